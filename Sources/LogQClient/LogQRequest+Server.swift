import WireProtocol

/// Requests about the daemon and its collections.
extension LogQRequest where Reply == Void {
    /// `PING`: checks that the daemon answers.
    public static func ping() -> LogQRequest {
        LogQRequest(RequestLine("PING"))
    }

    /// `CREATE`: creates an empty collection.
    ///
    /// - Parameters:
    ///   - collection: 1 to 64 of `A`–`Z`, `a`–`z`, `0`–`9`, `_`, `-`.
    ///   - dimension: the length of every embedding, 1 to 4,096.
    ///   - metric: how scores are computed.
    ///   - alpha: the weight of the newest gap in the estimate of p, above 0 and at most 1; 0.01 if nil.
    ///   - halfLife: the number of steps after which a hit counts half for q, 1 or more. If nil, hits always count 1.
    ///   - recentCount: the number of latest observations that `SAMPLE` can draw from, 0 to 1,048,576; 16,384 if nil.
    ///   - idCountMax: the most ids. At this number, a new id evicts the id seen longest ago that has only statistics.
    ///     If nil, there is no such limit.
    ///   - sketch: estimates in a fixed amount of memory instead of separately for each id. It excludes `recentCount`
    ///     and `idCountMax`.
    ///   - ifMissing: accepts a collection of that name with the same parameters, which stays as it is.
    public static func create(
        _ collection: String,
        dimension: Int,
        metric: Metric = .dot,
        alpha: Double? = nil,
        halfLife: Double? = nil,
        recentCount: Int? = nil,
        idCountMax: Int? = nil,
        sketch: Sketch? = nil,
        ifMissing: Bool = false
    ) -> LogQRequest {
        LogQRequest(
            RequestLine("CREATE", collection, isWrite: true) { writer in
                writer.option("dim", Int64(dimension))
                writer.option("metric", metric.rawValue)
                if let alpha { writer.option("alpha", alpha) }
                if let halfLife { writer.option("half_life", halfLife) }
                if let recentCount { writer.option("recent", Int64(recentCount)) }
                if let idCountMax { writer.option("max_ids", Int64(idCountMax)) }
                if ifMissing { writer.option("if_missing", "true") }
                guard let sketch else { return }
                writer.option("estimator", "sketch")
                writer.option("buckets", Int64(sketch.bucketCount))
                writer.option("hashes", Int64(sketch.hashCount))
            }
        )
    }

    /// `CREATE … like=`: creates an empty collection with the parameters of another one, except for its vectors.
    ///
    /// - Parameters:
    ///   - like: the collection with the parameters. The seed of a sketch is taken too.
    ///   - dimension: the length of every embedding; that of the other collection if nil.
    ///   - metric: how scores are computed; that of the other collection if nil.
    ///   - ifMissing: accepts a collection of that name with the same parameters, which stays as it is.
    public static func create(
        _ collection: String,
        like: String,
        dimension: Int? = nil,
        metric: Metric? = nil,
        ifMissing: Bool = false
    ) -> LogQRequest {
        LogQRequest(
            RequestLine("CREATE", collection, isWrite: true) { (writer) throws(WireError) in
                try RequestWriter.check(like, of: "collection")
                writer.option("like", like)
                if let dimension { writer.option("dim", Int64(dimension)) }
                if let metric { writer.option("metric", metric.rawValue) }
                if ifMissing { writer.option("if_missing", "true") }
            }
        )
    }

    /// `DROP`: removes the collection and all its items.
    public static func drop(_ collection: String) -> LogQRequest {
        LogQRequest(RequestLine("DROP", collection, isWrite: true))
    }

    /// `SWAP`: exchanges the names of two collections, which may differ in dimension and metric.
    ///
    /// To replace a model, load a collection `next` and swap it with `live`. A second swap restores the old one.
    ///
    /// - Parameters:
    ///   - statistics: with `.stay`, the first name keeps its statistics, runs and producers: its new collection takes
    ///     a copy. So a trainer goes on as if nothing had happened.
    public static func swap(
        _ first: String,
        _ second: String,
        statistics: SwappedStatistics = .move
    ) -> LogQRequest {
        LogQRequest(
            RequestLine("SWAP", first, isWrite: true) { (writer) throws(WireError) in
                try writer.name(second, of: "collection")
                if statistics != .move { writer.option("statistics", statistics.rawValue) }
            }
        )
    }

    /// `QUIT`: the daemon answers and closes the connection. The public way is ``LogQClient/quit()``.
    static func quit() -> LogQRequest {
        LogQRequest(RequestLine("QUIT"))
    }
}

extension LogQRequest where Reply == NamedValues {
    /// `HELLO 1 vectors=f32`: version, protocol and limits of the daemon. Every client sends it when it connects.
    public static func hello() -> LogQRequest {
        let line = RequestLine("HELLO") { writer in
            writer.integer(Int64(Limits.protocolVersion))
            writer.option("vectors", "f32")
        }
        return LogQRequest(line) { (rows) throws(ReplyFormatError) in try rows.namedValues() }
    }

    /// `INFO`: figures about the daemon, all or those of one section (`server`, `memory`, `storage`, …).
    public static func info(_ section: String? = nil) -> LogQRequest {
        let line = RequestLine("INFO") { (writer) throws(WireError) in
            if let section { try writer.name(section, of: "section") }
        }
        return LogQRequest(line) { (rows) throws(ReplyFormatError) in try rows.namedValues() }
    }
}

extension LogQRequest where Reply == [String] {
    /// `HELP`: one line for each verb, or the full text about one verb.
    public static func help(_ verb: String? = nil) -> LogQRequest {
        let line = RequestLine("HELP") { (writer) throws(WireError) in
            if let verb { try writer.name(verb, of: "verb") }
        }
        return LogQRequest(line) { (rows) throws(ReplyFormatError) in
            try rows.map { (row) throws(ReplyFormatError) in row.text() }
        }
    }
}

extension LogQRequest where Reply == [CollectionDescription] {
    /// `COLLECTIONS`: all collections, ordered by name.
    public static func collections() -> LogQRequest {
        LogQRequest(RequestLine("COLLECTIONS")) { (rows) throws(ReplyFormatError) in
            try rows.map { (row) throws(ReplyFormatError) in
                let name = String(decoding: try row.word(), as: UTF8.self)
                let dimension = try RowReader.integer(try row.value(of: "dim"))
                let metricName = String(decoding: try row.value(of: "metric"), as: UTF8.self)
                guard let metric = Metric(rawValue: metricName) else {
                    throw ReplyFormatError("got the metric '\(metricName)'")
                }
                return CollectionDescription(
                    name: name,
                    dimension: Int(dimension),
                    metric: metric,
                    alpha: try row.number(of: "alpha"),
                    itemCount: Int(try RowReader.integer(try row.value(of: "items"))),
                    idCount: Int(try RowReader.integer(try row.value(of: "ids"))),
                    halfLife: try row.optionalNumber(of: "half_life"),
                    recentCount: Int(try RowReader.integer(try row.value(of: "recent"))),
                    idCountMax: try row.optionalInteger(of: "max_ids").map { Int($0) },
                    sketch: try sketch(&row)
                )
            }
        }
    }

    private static func sketch(_ row: inout RowReader) throws(ReplyFormatError) -> Sketch? {
        guard let bucketCount = try row.optionalInteger(of: "buckets"),
            let hashCount = try row.optionalInteger(of: "hashes")
        else { return nil }
        return Sketch(bucketCount: Int(bucketCount), hashCount: Int(hashCount))
    }
}
