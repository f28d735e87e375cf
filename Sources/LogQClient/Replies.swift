/// How items are compared. A larger score is always better.
public enum Metric: String, Sendable, CaseIterable {
    /// The inner product.
    case dot
    /// The cosine of the angle: −1 to 1. Zero vectors are refused.
    case cosine
    /// −Σ(x−y)²: the negated squared distance.
    case l2
}

/// A name and its value, as `HELLO` and `INFO` list them.
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

    /// The value of that name, or nil.
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
    /// The weight of the newest gap in the estimate of the sampling frequency.
    public let alpha: Double
    /// Items with an embedding.
    public let itemCount: Int
    /// Ids in use: items, and ids that have only features or were only observed.
    public let idCount: Int
    /// The steps after which a hit counts half; nil: it counts 1 for ever.
    public let halfLife: Double?
    /// How many of the last observations can be drawn from.
    public let recentCount: Int
    /// Past so many ids, those seen longest ago give way; nil: no cap.
    public let idCountMax: Int?
    /// The buckets that statistics are kept in; nil: each id has its own.
    public let sketch: Sketch?
}

/// Estimation in fixed memory (`estimator=sketch`): ids are hashed into buckets of 32 bytes, `bucketCount` for each of
/// `hashCount` hashes. What is estimated is never below the truth, and the truth for an id that has one bucket to itself.
public struct Sketch: Sendable, Hashable {
    /// For each hash. Five times as many as there are usual ids, or more.
    public let bucketCount: Int
    /// 1 to 8.
    public let hashCount: Int

    public init(bucketCount: Int, hashCount: Int = 4) {
        self.bucketCount = bucketCount
        self.hashCount = hashCount
    }
}

/// The embeddings of some ids: one matrix, so that thousands cost one allocation.
///
/// A collection of as many elements as ids were asked for, in their order. An element is the embedding, or nil if the id
/// has none.
public struct Embeddings: Sendable, Hashable, RandomAccessCollection {
    /// The length of each embedding; 0 if none of the ids has one.
    public private(set) var dimension = 0
    /// All embeddings one after another: `count` × `dimension` numbers, zeros where there is none.
    public private(set) var values: [Float] = []
    /// For each id, whether it has an embedding.
    public private(set) var isPresent: [Bool] = []

    public var startIndex: Int { 0 }
    public var endIndex: Int { isPresent.count }

    /// The embedding of id `position`, as a slice of ``values``, or nil.
    public subscript(position: Int) -> ArraySlice<Float>? {
        isPresent[position] ? values[position * dimension..<(position + 1) * dimension] : nil
    }

    mutating func reserve(_ count: Int) {
        isPresent.reserveCapacity(count)
    }

    /// False if the dimension differs from that of the others.
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

/// An item as `SCAN` lists it.
public struct ScannedItem: Sendable, Hashable {
    /// The collection's number for the id. Pass the last one as `after` to go on.
    public let row: UInt32
    public let id: ItemID
}

/// How well the frequency of an id is known.
public enum FrequencyState: String, Sendable, CaseIterable {
    /// At least two sightings: the gap between them is estimated.
    case seen
    /// One sighting: counted as one hit in all the steps there were.
    case once
    /// None: counted as half a hit.
    case unseen
    /// Overdue for so long that the time since the last hit tells more than the gap.
    case stale
}

/// Which of the three sampling frequencies a number is about.
///
/// They differ: at q = 1e-4 and 8,192 draws a batch, `expected` is 0.8192 and `p` is 0.5592.
public enum FrequencyUnit: Sendable, Hashable {
    /// Probability per draw: count ÷ total. Sums to 1 over all ids.
    case q
    /// Probability of being in a batch: 1 ÷ gap.
    case p
    /// Expected count in a batch of so many draws: batch × q.
    case expected(batch: Int)
}

/// The logarithm of a sampling frequency: what a trainer subtracts from the item's logit.
public struct LogQ: Sendable, Hashable {
    /// The natural logarithm of the frequency, times `strength` if that was given. Always finite.
    public let value: Double
    public let state: FrequencyState
}

/// All that is known about how often an id is sampled.
public struct Frequency: Sendable, Hashable {
    /// Probability per draw.
    public let q: Double
    /// Probability of being in a batch.
    public let p: Double
    /// Expected count in a batch, if the size of the batch was given.
    public let expected: Double?
    /// Estimated steps between two hits, nil before the second.
    public let gap: Double?
    /// Hits so far.
    public let count: Double
    /// The step of the last hit, nil if never hit.
    public let lastStep: Int64?
    public let state: FrequencyState
}

/// A trainer's own estimates for an id. What is nil stays as it is.
public struct FrequencyUpdate: Sendable, Hashable {
    public var id: ItemID
    /// Steps between two hits: finite, above 0.
    public var gap: Double?
    /// Hits: finite, 0 to 2^53.
    public var count: Double?

    public init(_ id: ItemID, gap: Double? = nil, count: Double? = nil) {
        self.id = id
        self.gap = gap
        self.count = count
    }
}

/// A number for an observation, so that sending it twice counts once.
///
/// A writer counts up from 1. The daemon remembers each writer's last number durably and skips what is not above it.
public struct WriterSequence: Sendable, Hashable {
    /// The writer's name: 1 to 64 of `A`–`Z`, `a`–`z`, `0`–`9`, `_`, `-`.
    public var writer: String
    /// 1 to 2^63 − 1.
    public var number: Int64

    public init(writer: String, number: Int64) {
        self.writer = writer
        self.number = number
    }
}

/// What `TOPK` searches the neighbours of.
public enum TopKQuery: Sendable, Hashable {
    /// A vector of the collection's dimension.
    case vector([Float])
    /// The embedding of this item, which itself is left out.
    case like(ItemID)
}

/// Some of the items that `TOPK` found: 1 to 10,000, or all if there are no more. The best one comes first, as ever.
public enum TopKSample: Sendable, Hashable {
    /// The best ones.
    case top(Int)
    /// Any, each as likely as the next, none twice. The same seed draws the same ones of the same items; nil for another
    /// draw each time.
    case random(Int, seed: UInt64? = nil)
}

/// What `TOPK` tells of each item besides its score.
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
    /// The rank, counted from 1 at the best: told where it doesn't follow from the place in the answer.
    public static let rank = TopKColumns(rawValue: 8)
}

/// One answer of `TOPK`.
public struct Neighbor: Sendable, Hashable {
    public let id: ItemID
    /// Larger is better in every metric. Less `strength × log q`, if a strength was given.
    public let score: Double
    /// Counted from 1, if asked for.
    public let rank: Int?
    /// If asked for.
    public let vector: [Float]?
    /// The natural logarithm of q, if asked for.
    public let logQ: Double?
    /// A JSON object, if asked for and there is one.
    public let features: String?
}
