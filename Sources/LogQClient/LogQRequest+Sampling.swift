import WireProtocol

/// What makes an item likely when `SAMPLE` draws.
public enum SamplingDistribution: Sendable, Hashable {
    /// Every item with an embedding alike.
    case uniform
    /// Items with an embedding and a count: q is in proportion to count^`power`, 0 to 1.
    case frequency(power: Double = 1)
    /// A draw is by frequency with probability `inBatch` ÷ (`inBatch` + `uniform`), else uniform: a batch of `inBatch`
    /// in-batch negatives and `uniform` uniform ones. Finite, not below 0, not both 0.
    case mixed(inBatch: Double, uniform: Double, power: Double = 1)
    /// From the latest observations: q is an id's part in those whose ids have an embedding.
    case recent
}

/// What `SAMPLE` tells of each item besides its probability.
public struct SampleColumns: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// The embedding.
    public static let vector = SampleColumns(rawValue: 1)
    /// The natural logarithm of the q that `LOGQ` answers, whatever was drawn by.
    public static let logQ = SampleColumns(rawValue: 2)
    /// The features.
    public static let features = SampleColumns(rawValue: 4)
}

/// One draw of `SAMPLE`.
public struct SampledItem: Sendable, Hashable {
    public let id: ItemID
    /// The probability of this item in one draw, over all that could be drawn. Its logarithm is what a trainer subtracts
    /// from the logit of a negative that was drawn with replacement.
    public let q: Double
    /// The expected number of times that the item is among what was drawn: draws × q, and for unique draws the probability
    /// of being among them.
    public let expected: Double
    /// If asked for.
    public let vector: [Float]?
    /// The natural logarithm of the q of the stream, if asked for.
    public let logQ: Double?
    /// A JSON object, if asked for and there is one.
    public let features: String?
}

extension LogQRequest where Reply == [SampledItem] {
    /// `SAMPLE`: draws negatives, each with its probability.
    ///
    /// - Parameters:
    ///   - count: how many draws; with `unique` how many different items. 1 to 16,384. None come back if nothing can be
    ///     drawn.
    ///   - unique: no item twice. There are fewer than `count` if there are no more items, or if 100 × `count` draws did not
    ///     meet as many.
    ///   - except: ids that can't be drawn, the positives for example. They need not exist.
    ///   - seed: the same seed and the same collection give the same draw.
    ///   - columns: what to tell of each item besides its probability.
    ///   - timeout: 1 ms to 60 s, in whole milliseconds (a part of one counts as one); nil for the daemon's own. What is
    ///     not begun by then ends with ``LogQError/Code-swift.enum/timeout``, and what finds too many others waiting with
    ///     ``LogQError/Code-swift.enum/busy``.
    public static func sample(
        _ collection: String,
        _ count: Int,
        by distribution: SamplingDistribution = .uniform,
        unique: Bool = false,
        except: [ItemID] = [],
        seed: UInt64? = nil,
        with columns: SampleColumns = [],
        timeout: Duration? = nil
    ) -> LogQRequest {
        let line = RequestLine("SAMPLE", collection) { (writer) throws(WireError) in
            writer.integer(Int64(count))
            try writer.options(of: distribution)
            if unique { writer.option("unique", "true") }
            if !except.isEmpty { try writer.option("except", ids: except) }
            if let seed { writer.option("seed", seed) }
            if !columns.isEmpty { writer.option("with", columns.names) }
            if let timeout { writer.option("timeout_ms", timeout.wholeMilliseconds) }
        }
        return LogQRequest(line) { (rows) throws(ReplyFormatError) in
            try rows.map { (row) throws(ReplyFormatError) in
                SampledItem(
                    id: try row.id(),
                    q: try row.number(),
                    expected: try row.number(),
                    vector: columns.contains(.vector) ? try row.vector() : nil,
                    logQ: columns.contains(.logQ) ? try row.optionalNumber() : nil,
                    features: columns.contains(.features) ? try row.json() : nil
                )
            }
        }
    }
}

extension RequestWriter {
    fileprivate mutating func options(of distribution: SamplingDistribution) throws(WireError) {
        switch distribution {
        case .uniform:
            option("by", "uniform")
        case .frequency(let power):
            option("by", "frequency")
            try option("power", finite: power)
        case .mixed(let inBatch, let uniform, let power):
            option("by", "mixed")
            try option("power", finite: power)
            guard inBatch.isFinite, uniform.isFinite else {
                throw WireError(.badRequest, "got mix=\(inBatch):\(uniform), expected finite numbers")
            }
            option("mix", "\(NumberText.text(inBatch)):\(NumberText.text(uniform))")
        case .recent:
            option("by", "recent")
        }
    }
}

extension SampleColumns {
    fileprivate var names: String {
        let all: [(SampleColumns, String)] = [(.vector, "vector"), (.logQ, "logq"), (.features, "features")]
        return all.filter { contains($0.0) }.map(\.1).joined(separator: ",")
    }
}
