/// The score of two vectors. A larger score is always better.
public enum Metric: String, Sendable, CaseIterable {
    /// The inner product.
    case dot
    /// The cosine of the angle: −1 to 1. Zero vectors are refused.
    case cosine
    /// −Σ(x−y)²: the negated squared distance.
    case l2
}

/// Whose statistics, runs and producers the first collection of a swap has afterwards.
public enum SwappedStatistics: String, Sendable, CaseIterable {
    /// Those of the second one: they move with the embeddings.
    case move
    /// Its own, as before.
    case stay
}

/// A name and a value from `HELLO` or `INFO`.
public struct NamedValue: Sendable, Hashable {
    public let name: String
    public let value: String
}

/// Named values in the daemon's order.
public struct NamedValues: Sendable, Hashable, RandomAccessCollection {
    private let values: [NamedValue]

    init(_ values: [NamedValue]) {
        self.values = values
    }

    public var startIndex: Int { values.startIndex }
    public var endIndex: Int { values.endIndex }
    public subscript(position: Int) -> NamedValue { values[position] }

    /// The value with this name, or nil.
    public subscript(name: String) -> String? {
        values.first { $0.name == name }?.value
    }
}

/// A collection as `COLLECTIONS` describes it.
public struct CollectionDescription: Sendable, Hashable {
    public let name: String
    /// The length of every embedding.
    public let dimension: Int
    public let metric: Metric
    /// The weight of the newest gap in the estimate of p.
    public let alpha: Double
    /// The number of items with an embedding.
    public let itemCount: Int
    /// The number of ids in use: items, and ids that have only features or were only observed.
    public let idCount: Int
    /// The number of steps after which a hit counts half for q. If nil, hits always count 1.
    public let halfLife: Double?
    /// The number of latest observations that `SAMPLE` can draw from.
    public let recentCount: Int
    /// The most ids; nil if there is no such limit.
    public let idCountMax: Int?
    /// The buckets that hold the statistics; nil if each id has its own statistics.
    public let sketch: Sketch?
}

/// Estimation in fixed memory (`estimator=sketch`): ids are hashed into buckets of 40 bytes, `bucketCount` for each of
/// `hashCount` hashes.
///
/// The count is exact if the id shares one of its buckets with no other id. Otherwise it may be too high, but not too
/// low (apart from rounding), unless `FREQSET` was used on an id that shares a bucket. The gap, if wrong, is usually
/// too short.
public struct Sketch: Sendable, Hashable {
    /// The number of buckets for each hash. Use at least five times the usual number of ids.
    public let bucketCount: Int
    /// The number of hashes for each id, 1 to 8.
    public let hashCount: Int

    public init(bucketCount: Int, hashCount: Int = 4) {
        self.bucketCount = bucketCount
        self.hashCount = hashCount
    }
}

/// The embeddings of some ids in one matrix, so that thousands of them cost one allocation.
///
/// The collection has one element for each id of the request, in the same order: the embedding, or nil if the id has
/// none.
public struct Embeddings: Sendable, Hashable, RandomAccessCollection {
    /// The length of each embedding; 0 if none of the ids has one.
    public private(set) var dimension = 0
    /// All embeddings one after another: `count` × `dimension` numbers, zeros for an id without an embedding.
    public private(set) var values: [Float] = []
    /// For each id, whether it has an embedding.
    public private(set) var isPresent: [Bool] = []

    public var startIndex: Int { 0 }
    public var endIndex: Int { isPresent.count }

    /// The embedding of the id at `position`, as a slice of ``values``, or nil.
    public subscript(position: Int) -> ArraySlice<Float>? {
        isPresent[position] ? values[position * dimension..<(position + 1) * dimension] : nil
    }

    mutating func reserve(_ count: Int) {
        isPresent.reserveCapacity(count)
    }

    /// Appends the embedding of the next id. Returns false if its dimension differs from that of the others.
    mutating func append(_ vector: [Float]?) -> Bool {
        if let vector {
            if dimension == 0 {
                dimension = vector.count
                values.reserveCapacity(isPresent.capacity * dimension)
                values.append(contentsOf: repeatElement(0, count: isPresent.count * dimension))
            }
            guard vector.count == dimension else { return false }
            values.append(contentsOf: vector)
        } else {
            values.append(contentsOf: repeatElement(0, count: dimension))
        }
        isPresent.append(vector != nil)
        return true
    }
}

/// One item of a `SCAN` page.
public struct ScannedItem: Sendable, Hashable {
    /// The collection's number for the id. Pass the last one as `after` to get the next page.
    public let row: UInt32
    public let id: ItemID
}

/// One id of a `POPULAR` page, with its count.
public struct PopularID: Sendable, Hashable {
    public let id: ItemID
    /// The number of hits. With a half-life, older hits count less, as of `step`.
    public let count: Double
    /// The last step of the collection when the first page was made; nil if it had none.
    public let step: Int64?

    public init(_ id: ItemID, count: Double, step: Int64?) {
        self.id = id
        self.count = count
        self.step = step
    }
}

/// How well the sampling frequency of an id is known.
public enum FrequencyState: String, Sendable, CaseIterable {
    /// The id has an estimated gap, which takes two hits at different steps or a `FREQSET`.
    case seen
    /// The id has no gap yet. p counts it as one hit in all steps so far.
    case once
    /// The id was never seen. p counts it as half a hit.
    case unseen
    /// The id was not seen for more than eight gaps. An eighth of the time since its last hit replaces the gap.
    case stale
}

/// The unit of a sampling frequency.
///
/// The three units differ: with q = 1e-4 and 8,192 independent draws in a batch, `expected` is 0.8192 and `p` is
/// 0.5592.
public enum FrequencyUnit: Sendable, Hashable {
    /// Probability per draw: count ÷ total. It sums to 1 over all observed ids, or to more in a sketch with collisions.
    case q
    /// Probability of being in a batch: 1 ÷ gap.
    case p
    /// Expected count in a batch of this many draws: batch × q.
    case expected(batch: Int)
}

/// The logarithm of a sampling frequency, which a trainer subtracts from the item's logit.
public struct LogQ: Sendable, Hashable {
    /// The natural logarithm of the frequency, times `strength` if the request gave one. Always finite.
    public let value: Double
    public let state: FrequencyState
}

/// The statistics of one id and the sampling frequencies that follow from them.
public struct Frequency: Sendable, Hashable {
    /// Probability per draw.
    public let q: Double
    /// Probability of being in a batch.
    public let p: Double
    /// Expected count in a batch, if the request gave the size of the batch.
    public let expected: Double?
    /// Estimated steps between two hits; nil if there is no estimate yet.
    public let gap: Double?
    /// The number of hits. With a half-life, older hits count less.
    public let count: Double
    /// The step of the last hit; nil if there was none.
    public let lastStep: Int64?
    public let state: FrequencyState
}

/// A trainer's own estimates for an id. A nil leaves the stored value unchanged.
public struct FrequencyUpdate: Sendable, Hashable {
    public var id: ItemID
    /// The number of steps between two hits: finite and above 0.
    public var gap: Double?
    /// The number of hits: 0 to 2^53.
    public var count: Double?

    public init(_ id: ItemID, gap: Double? = nil, count: Double? = nil) {
        self.id = id
        self.gap = gap
        self.count = count
    }
}

/// A number for an observation, so that an observation that is sent twice counts once.
///
/// A producer (a trainer that numbers its requests) counts up from 1. The daemon remembers each producer's last number
/// durably, and skips every number that is not above it.
public struct ProducerSequence: Sendable, Hashable {
    /// The producer's name: 1 to 64 of `A`–`Z`, `a`–`z`, `0`–`9`, `_`, `-`.
    public var producer: String
    /// 1 to 2^63 − 1.
    public var number: Int64

    public init(producer: String, number: Int64) {
        self.producer = producer
        self.number = number
    }
}

@available(*, deprecated, renamed: "ProducerSequence")
public typealias WriterSequence = ProducerSequence

extension ProducerSequence {
    @available(*, deprecated, renamed: "init(producer:number:)")
    public init(writer: String, number: Int64) {
        self.init(producer: writer, number: number)
    }
}

/// The vector that `TOPK` compares the items with.
public enum TopKQuery: Sendable, Hashable {
    /// A vector of the collection's dimension.
    case vector([Float])
    /// The embedding of this item. The reply leaves out the item itself.
    case like(ItemID)
}

/// A selection of 1 to 10,000 from the items that `TOPK` found, or of all if there are fewer. The result stays in the
/// order of the scores, best first.
public enum TopKSample: Sendable, Hashable {
    /// The best ones.
    case top(Int)
    /// Random items, each with the same probability, none twice. The same seed draws the same items from the same
    /// candidates. Without a seed, every request makes a new draw.
    case random(Int, seed: UInt64? = nil)
}

/// The values that `TOPK` returns for each item besides its score.
public struct TopKColumns: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// The embedding.
    public static let vector = TopKColumns(rawValue: 1)
    /// The natural logarithm of q.
    public static let logQ = TopKColumns(rawValue: 2)
    /// The features.
    public static let features = TopKColumns(rawValue: 4)
    /// The rank; the best item has rank 1. With `margin` or a random sample, it does not follow from the position in
    /// the reply.
    public static let rank = TopKColumns(rawValue: 8)
}

/// One item of a `TOPK` reply.
public struct Neighbor: Sendable, Hashable {
    public let id: ItemID
    /// Larger is better with every metric. If the request has a strength, `strength × log q` is already subtracted.
    public let score: Double
    /// The rank, counted from 1, if the request asked for it.
    public let rank: Int?
    /// The embedding, if the request asked for it.
    public let vector: [Float]?
    /// The natural logarithm of q, if the request asked for it.
    public let logQ: Double?
    /// A JSON object, if the request asked for it and there is one.
    public let features: String?
}
