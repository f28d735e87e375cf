import WireProtocol

/// Requests about the daemon and its collections.
extension LogQRequest where Reply == Void {
    /// `PING`: nothing but a round trip.
    public static func ping() -> LogQRequest {
        LogQRequest(RequestLine("PING"))
    }

    /// `CREATE`: a collection of embeddings of `dimension` numbers.
    ///
    /// - Parameters:
    ///   - collection: 1 to 64 of `A`–`Z`, `a`–`z`, `0`–`9`, `_`, `-`.
    ///   - dimension: 1 to 4,096.
    ///   - alpha: above 0, at most 1: the weight of the newest gap in the estimate of the sampling frequency. 0.01 if nil.
    ///   - halfLife: the steps after which a hit counts half, above 0; nil: hits count 1 for ever.
    ///   - recentCount: how many of the last observations can be drawn from, 0 to 1,048,576. 16,384 if nil.
    ///   - idCountMax: past so many ids, those seen longest ago give way if only their statistics are known; nil: no cap.
    ///   - sketch: estimate in so much memory instead of for each id; then there is neither `recentCount` nor `idCountMax`.
    public static func create(
        _ collection: String,
        dimension: Int,
        metric: Metric = .dot,
        alpha: Double? = nil,
        halfLife: Double? = nil,
        recentCount: Int? = nil,
        idCountMax: Int? = nil,
        sketch: Sketch? = nil
    ) -> LogQRequest {
        LogQRequest(
            RequestLine("CREATE", collection, isWrite: true) { writer in
                writer.option("dim", Int64(dimension))
                writer.option("metric", metric.rawValue)
                if let alpha { writer.option("alpha", alpha) }
                if let halfLife { writer.option("half_life", halfLife) }
                if let recentCount { writer.option("recent", Int64(recentCount)) }
                if let idCountMax { writer.option("max_ids", Int64(idCountMax)) }
                guard let sketch else { return }
                writer.option("estimator", "sketch")
                writer.option("buckets", Int64(sketch.bucketCount))
                writer.option("hashes", Int64(sketch.hashCount))
            }
        )
    }

    /// `DROP`: the collection and all its items.
    public static func drop(_ collection: String) -> LogQRequest {
        LogQRequest(RequestLine("DROP", collection, isWrite: true))
    }

    /// `SWAP`: two collections exchange their names. Whatever was loaded into `next` is `live` from here on, and what was
    /// live can come back by another swap. They may differ in dimension and metric.
    public static func swap(_ first: String, _ second: String) -> LogQRequest {
        LogQRequest(
            RequestLine("SWAP", first, isWrite: true) { (writer) throws(WireError) in
                try writer.name(second, of: "collection")
            }
        )
    }

    /// `QUIT`: the daemon answers and closes the connection. ``LogQClient/quit()`` is what you want.
    static func quit() -> LogQRequest {
        LogQRequest(RequestLine("QUIT"))
    }
}

extension LogQRequest where Reply == NamedValues {
    /// `HELLO 1 vectors=f32`: version, protocol and limits of the daemon. Every client has said it when it connected.
    public static func hello() -> LogQRequest {
        let line = RequestLine("HELLO") { writer in
            writer.integer(Int64(Limits.protocolVersion))
            writer.option("vectors", "f32")
        }
        return LogQRequest(line) { (rows) throws(ReplyFormatError) in try rows.namedValues() }
    }

    /// `INFO`: numbers about the daemon, or those of one section of it (`server`, `memory`, `storage`, …).
    public static func info(_ section: String? = nil) -> LogQRequest {
        let line = RequestLine("INFO") { (writer) throws(WireError) in
            if let section { try writer.name(section, of: "section") }
        }
        return LogQRequest(line) { (rows) throws(ReplyFormatError) in try rows.namedValues() }
    }
}

extension LogQRequest where Reply == [String] {
    /// `HELP`: a line for each verb, or all about one verb.
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
    /// `COLLECTIONS`: all of them, by name.
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
