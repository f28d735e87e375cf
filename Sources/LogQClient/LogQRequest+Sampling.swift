import WireProtocol

/// The distribution that `SAMPLE` draws from.
public enum SamplingDistribution: Sendable, Hashable {
    /// Every item with an embedding has the same probability.
    case uniform
    /// Items that have an embedding and a count. q is proportional to count^`power`, with a power from 0 to 1.
    case frequency(power: Double = 1)
    /// A draw is by frequency with probability `inBatch` ÷ (`inBatch` + `uniform`), otherwise uniform. This models a
    /// batch of `inBatch` in-batch negatives and `uniform` uniform ones. Both are finite and 0 or more, and not both
    /// are 0.
    case mixed(inBatch: Double, uniform: Double, power: Double = 1)
    /// The latest observations of ids that have an embedding. q is the share of an id among them.
    case recent
}

/// The values that `SAMPLE` returns for each item besides its probability.
public struct SampleColumns: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// The embedding.
    public static let vector = SampleColumns(rawValue: 1)
    /// The natural logarithm of the q that `LOGQ` returns, whichever distribution the draw used.
    public static let logQ = SampleColumns(rawValue: 2)
    /// The features.
    public static let features = SampleColumns(rawValue: 4)
}

/// One draw of `SAMPLE`.
public struct SampledItem: Sendable, Hashable {
    public let id: ItemID
    /// The probability of this item in one draw, among all items that could be drawn. A trainer subtracts its logarithm
    /// from the logit of a negative that was drawn with replacement.
    public let q: Double
    /// The expected number of times that the item is drawn: draws × q. For unique draws, the probability that the item
    /// is drawn.
    public let expected: Double
    /// The embedding, if the request asked for it.
    public let vector: [Float]?
    /// The natural logarithm of the q that `LOGQ` returns, if the request asked for it.
    public let logQ: Double?
    /// A JSON object, if the request asked for it and there is one.
    public let features: String?
}

extension LogQRequest where Reply == [SampledItem] {
    /// `SAMPLE`: draws negatives, each with its probability.
    ///
    /// - Parameters:
    ///   - count: the number of draws; with `unique`, the number of different items. 1 to 16,384. The reply is empty if
    ///     there is nothing to draw from.
    ///   - unique: draw no item twice. The reply has fewer than `count` items if there are not enough, or if 100 ×
    ///     `count` draws did not find enough.
    ///   - insist: fail with ``LogQError/Code-swift.enum/noItem`` if the reply would have fewer than `count` items.
    ///   - except: ids that cannot be drawn, for example the positives. They need not exist.
    ///   - seed: the same seed gives the same draws from an unchanged collection.
    ///   - columns: the values to return for each item besides its probability.
    ///   - timeout: 1 ms to 60 s, rounded up to whole milliseconds; nil for the daemon's default. A draw that has not
    ///     started within this time fails with ``LogQError/Code-swift.enum/timeout``. If too many queries wait, it
    ///     fails with ``LogQError/Code-swift.enum/busy``.
    public static func sample(
        _ collection: String,
        _ count: Int,
        by distribution: SamplingDistribution = .uniform,
        unique: Bool = false,
        insist: Bool = false,
        except: [ItemID] = [],
        seed: UInt64? = nil,
        with columns: SampleColumns = [],
        timeout: Duration? = nil
    ) -> LogQRequest {
        let line = RequestLine("SAMPLE", collection) { (writer) throws(WireError) in
            writer.integer(Int64(count))
            try writer.options(of: distribution)
            if unique { writer.option("unique", "true") }
            if insist { writer.option("insist", "true") }
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
