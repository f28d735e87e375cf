import PackedStrings
import WireProtocol

/// Requests about items: embeddings, features, nearest neighbours.
extension LogQRequest where Reply == Void {
    /// `PUT`: sets the embedding of a new or existing item.
    ///
    /// - Parameters:
    ///   - vector: one finite number for each dimension of the collection. With the metric cosine, not all may be zero.
    ///   - features: a JSON object that replaces the item's features; nil leaves them unchanged. It may have at most
    ///     65,535 bytes without white space, and no duplicate key.
    public static func put(
        _ collection: String,
        _ id: ItemID,
        _ vector: [Float],
        features: String? = nil
    ) -> LogQRequest {
        LogQRequest(
            RequestLine("PUT", collection, isWrite: true) { (writer) throws(WireError) in
                try writer.id(id)
                writer.vector(vector)
                if let features { writer.json(features) }
            }
        )
    }

    /// `FSET`: replaces the features of an item, which need not have an embedding yet.
    ///
    /// - Parameter features: a JSON object of at most 65,535 bytes without white space, with no duplicate key.
    public static func setFeatures(_ collection: String, _ id: ItemID, _ features: String) -> LogQRequest {
        LogQRequest(
            RequestLine("FSET", collection, isWrite: true) { (writer) throws(WireError) in
                try writer.id(id)
                writer.json(features)
            }
        )
    }

    /// `FSET` with `merge=true`: changes some keys of an item's features, and leaves the others as they are (RFC 7396).
    /// A key with the value `null` is removed, and objects within the object are merged in the same way.
    ///
    /// - Parameter changes: a JSON object. The result has the bounds of ``setFeatures(_:_:_:)``.
    public static func mergeFeatures(_ collection: String, _ id: ItemID, _ changes: String) -> LogQRequest {
        LogQRequest(
            RequestLine("FSET", collection, isWrite: true) { (writer) throws(WireError) in
                try writer.id(id)
                writer.option("merge", "true")
                writer.json(changes)
            }
        )
    }
}

extension LogQRequest where Reply == Embeddings {
    /// `GET`: the embeddings of 1 to 16,384 ids.
    public static func get(_ collection: String, _ ids: [ItemID]) -> LogQRequest {
        let line = RequestLine("GET", collection) { (writer) throws(WireError) in try writer.ids(ids) }
        return LogQRequest(line) { (rows) throws(ReplyFormatError) in
            try rows.expect(count: ids.count)
            return try rows.read { (rows) throws(ReplyFormatError) in
                var embeddings = Embeddings()
                embeddings.reserve(ids.count)
                while var row = rows.next() {
                    try row.skipID()
                    guard embeddings.append(try row.vector()) else {
                        throw ReplyFormatError("got embeddings of different lengths")
                    }
                }
                return embeddings
            }
        }
    }
}

extension LogQRequest where Reply == [Bool] {
    /// `DEL`: removes embedding, features and statistics of 1 to 16,384 ids. Returns, for each, whether there was
    /// anything to remove.
    public static func delete(_ collection: String, _ ids: [ItemID]) -> LogQRequest {
        let line = RequestLine("DEL", collection, isWrite: true) { (writer) throws(WireError) in
            try writer.ids(ids)
        }
        return LogQRequest(line) { (rows) throws(ReplyFormatError) in
            try rows.map(expected: ids.count) { (row) throws(ReplyFormatError) in
                try row.skipID()
                return try row.integer() != 0
            }
        }
    }
}

extension LogQRequest where Reply == [ScannedItem] {
    /// `SCAN`: a page of the items, in the order of their rows.
    ///
    /// - Parameters:
    ///   - row: the last row of the previous page; nil for the first page.
    ///   - limit: the most items of the page: 1 to 16,384, or 1,000 if nil. A page with fewer items is the last.
    public static func scan(_ collection: String, after row: UInt32? = nil, limit: Int? = nil) -> LogQRequest {
        let line = RequestLine("SCAN", collection) { writer in
            if let row { writer.option("after", Int64(row)) }
            if let limit { writer.option("limit", Int64(limit)) }
        }
        return LogQRequest(line) { (rows) throws(ReplyFormatError) in
            try rows.map { (row) throws(ReplyFormatError) in
                guard let number = UInt32(exactly: try row.integer()) else {
                    throw ReplyFormatError("got a row number out of range")
                }
                return ScannedItem(row: number, id: try row.id())
            }
        }
    }
}

extension LogQRequest where Reply == [String?] {
    /// `FGET`: the features of 1 to 16,384 ids, each a JSON object or nil.
    ///
    /// - Parameter fields: the keys to return; empty for all.
    public static func features(_ collection: String, _ ids: [ItemID], fields: [String] = []) -> LogQRequest {
        let line = RequestLine("FGET", collection) { (writer) throws(WireError) in
            if !fields.isEmpty { writer.option("fields", ids: PackedStrings(fields.map(\.utf8))) }
            try writer.ids(ids)
        }
        return LogQRequest(line) { (rows) throws(ReplyFormatError) in
            try rows.map(expected: ids.count) { (row) throws(ReplyFormatError) in
                try row.skipID()
                return try row.json()
            }
        }
    }
}

extension LogQRequest where Reply == [Neighbor] {
    /// `TOPK`: exactly the `k` items with the highest scores, best first. Items with equal scores are ordered by id.
    ///
    /// - Parameters:
    ///   - k: 1 to 10,000. The reply has fewer items if there are not enough.
    ///   - query: a vector, or an item whose embedding is the vector.
    ///   - strength: ranks by `score − strength × log q` instead of the score, and returns that number. Log q is the
    ///     value that ``logQ(_:ids:unit:strength:)`` returns for ``FrequencyUnit/q``, so the ranking is that of a
    ///     trainer with log-Q correction. From −1,000 to 1,000. `radius` and `margin` apply to the corrected number.
    ///   - ranks: only items with these ranks, at most `k` of them. The best item has rank 1. The last rank of the
    ///     reply may be at most 10,000. For example, `101...500` skips the 100 best, which gives hard negatives.
    ///   - radius: only items with this score or more. Scores of ``Metric/l2`` are negated squared distances, so a
    ///     distance of at most 0.5 is a radius of −0.25.
    ///   - except: ids to leave out before ranks are counted.
    ///   - margin: keeps only items that score at least this much below the lowest score of the ids in `except`. Items
    ///     nearer to a positive are often unlabelled positives. They are dropped after ranks are counted. Finite, 0 or
    ///     more. If no id in `except` has an embedding, the error is ``LogQError/Code-swift.enum/noItem``.
    ///   - sample: returns only a selection of the remaining items.
    ///   - columns: the values to return for each item besides its score.
    ///   - timeout: 1 ms to 60 s, rounded up to whole milliseconds; nil for the daemon's default, which is 1 s unless
    ///     configured otherwise. A search that takes longer fails with ``LogQError/Code-swift.enum/timeout``. If too
    ///     many queries wait, it fails with ``LogQError/Code-swift.enum/busy``.
    public static func topK(
        _ collection: String,
        _ k: Int,
        nearest query: TopKQuery,
        strength: Double? = nil,
        ranks: ClosedRange<Int>? = nil,
        radius: Double? = nil,
        except: [ItemID] = [],
        margin: Double? = nil,
        sample: TopKSample? = nil,
        with columns: TopKColumns = [],
        timeout: Duration? = nil
    ) -> LogQRequest {
        let line = RequestLine("TOPK", collection) { (writer) throws(WireError) in
            writer.integer(Int64(k))
            if let strength { try writer.option("strength", finite: strength) }
            if let ranks {
                writer.option("range_min", Int64(ranks.lowerBound))
                writer.option("range_max", Int64(ranks.upperBound))
            }
            if let radius { try writer.option("radius", finite: radius) }
            if !except.isEmpty { try writer.option("except", ids: except) }
            if let margin { try writer.option("margin", finite: margin) }
            if let sample { writer.sample(sample) }
            if !columns.isEmpty { writer.option("with", columns.names) }
            if let timeout { writer.option("timeout_ms", timeout.wholeMilliseconds) }
            switch query {
            case .vector(let vector): writer.vector(vector)
            case .like(let id): try writer.option("like", ids: [id])
            }
        }
        return LogQRequest(line) { (rows) throws(ReplyFormatError) in
            try rows.map { (row) throws(ReplyFormatError) in
                Neighbor(
                    id: try row.id(),
                    score: try row.number(),
                    rank: columns.contains(.rank) ? Int(try row.integer()) : nil,
                    vector: columns.contains(.vector) ? try row.vector() : nil,
                    logQ: columns.contains(.logQ) ? try row.optionalNumber() : nil,
                    features: columns.contains(.features) ? try row.json() : nil
                )
            }
        }
    }
}

extension Duration {
    /// The number of milliseconds, rounded up. A very large duration is cut, but stays outside the daemon's range.
    var wholeMilliseconds: Int64 {
        let secondsMax: Int64 = 1_000_000_000
        let attosecondsPerMillisecond: Int64 = 1_000_000_000_000_000
        let (milliseconds, rest) = components.attoseconds.quotientAndRemainder(dividingBy: attosecondsPerMillisecond)
        return min(max(components.seconds, -secondsMax), secondsMax) * 1_000 + milliseconds + (rest > 0 ? 1 : 0)
    }
}

extension TopKColumns {
    fileprivate var names: String {
        let all: [(TopKColumns, String)] = [
            (.rank, "rank"), (.vector, "vector"), (.logQ, "logq"), (.features, "features"),
        ]
        return all.filter { contains($0.0) }.map(\.1).joined(separator: ",")
    }
}

extension RequestWriter {
    fileprivate mutating func sample(_ sample: TopKSample) {
        switch sample {
        case .top(let count):
            option("sample", Int64(count))
        case .random(let count, let seed):
            option("sample", Int64(count))
            option("strategy", "random")
            if let seed { option("seed", seed) }
        }
    }
}

extension LogQRequest where Reply == [Double?] {
    /// `SCORE`: the score of each of 1 to 16,384 ids against a vector; nil for an id without an embedding.
    public static func score(_ collection: String, _ vector: [Float], _ ids: [ItemID]) -> LogQRequest {
        let line = RequestLine("SCORE", collection) { (writer) throws(WireError) in
            writer.vector(vector)
            try writer.ids(ids)
        }
        return LogQRequest(line) { (rows) throws(ReplyFormatError) in
            try rows.map(expected: ids.count) { (row) throws(ReplyFormatError) in
                try row.skipID()
                return try row.optionalNumber()
            }
        }
    }
}
