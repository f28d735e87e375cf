package import SamplingFrequency
package import SystemSupport
package import VectorIndex

/// The settings of a store.
package struct StoreConfiguration: Sendable {
    /// The directory of the LMDB files. It is created if necessary, unless `isReadOnly`.
    package var directory: String
    /// Refuses every write. Several read-only stores may share a directory.
    package var isReadOnly: Bool
    package var limits: StoreLimits

    package init(directory: String, isReadOnly: Bool = false, limits: StoreLimits = StoreLimits()) {
        self.directory = directory
        self.isReadOnly = isReadOnly
        self.limits = limits
    }
}

/// The limits of a store.
package struct StoreLimits: Sendable {
    package var dimensionMax = 4096
    package var collectionsMax = 1024
    /// The most producers of a collection: distinct names in `seq=name:n`. At most 1,024, because
    /// `FrequencyKey.producers` has keys for 32 records of 32.
    package var producersMax = 1024
    /// The most memory of all collections. A write that needs more memory and would exceed it fails with `full`.
    package var memoryBytesMax = Int.max
    /// What `memoryBytesMax` follows from, as text for an operator.
    package var memorySource = "no limit"
    /// The most bytes of writes that wait for the store's thread. Past it, `submit` throws `busy`, unless no write
    /// waits.
    package var writeQueueBytesMax = 256 << 20
    /// A group is committed as soon as its operations have this size.
    package var groupBytesMax = 1 << 20
    /// The store's thread takes about this many bytes of waiting writes at once. After them it commits, even if the
    /// group is small.
    package var takenBytesMax = 1 << 20
    /// A pass of the checkpoint begins when the journal has this size.
    package var checkpointAtJournalBytes = 128 << 20
    /// When the journal has this size, writes wait for the checkpoint, so that recovery stays short.
    package var journalBytesMax = 256 << 20
    /// A slice of copying between two groups ends after this many bytes or milliseconds.
    package var checkpointSliceBytes = 1 << 20
    package var checkpointSliceMilliseconds = 5
    /// When no writes have come for this long, a checkpoint begins, whatever the size of the journal.
    package var idleCheckpointMilliseconds = 2000

    package init() {}

    /// Sets the limits that follow from the memory of the process. A fifth of it and 64 MiB are left for everything
    /// that is not in a collection: connections, waiting writes, the recovery, and the program itself.
    package mutating func setDefaults(for memory: AvailableMemory) {
        memoryBytesMax = max(1 << 20, memory.byteCount / 5 * 4 - 64 << 20)
        memorySource = "\(memory.byteCount) bytes of \(memory.source)"
        writeQueueBytesMax = min(writeQueueBytesMax, memory.byteCount / 16)
    }
}

/// The settings of a collection. They never change.
package struct CollectionConfiguration: Sendable, Equatable {
    /// The number of floats in an embedding.
    package let dimension: Int
    package let metric: Metric
    /// The weight of a new gap in the gap estimator, in (0, 1].
    package let alpha: Double
    /// The number of steps after which a hit counts half, 1 or more. Nil: it counts 1 forever.
    package let halfLife: Double?
    /// The size of the bank of recent observations; 0 if there is no bank.
    package let recentCount: Int
    /// The cap on the number of ids. When there are this many, a new id evicts the id seen longest ago that has neither
    /// embedding nor features. Nil: no cap.
    package let idCountMax: Int?
    /// The layout of the sketch, which counts observations in fixed memory. Nil: each id has statistics of its own.
    /// With a sketch, ids that are only observed get no row, so there is neither a bank nor a cap.
    package let sketch: SketchLayout?

    package static let alphaDefault = 0.01
    package static let recentCountDefault = 16_384
    package static let recentCountMax = 1 << 20

    package init(
        dimension: Int,
        metric: Metric = .dot,
        alpha: Double = alphaDefault,
        halfLife: Double? = nil,
        recentCount: Int = recentCountDefault,
        idCountMax: Int? = nil,
        sketch: SketchLayout? = nil
    ) {
        self.dimension = dimension
        self.metric = metric
        self.alpha = alpha
        self.halfLife = halfLife
        self.recentCount = sketch == nil ? recentCount : 0
        self.idCountMax = sketch == nil ? idCountMax : nil
        self.sketch = sketch
    }
}

extension CollectionConfiguration {
    /// The first parameter in which the two differ, by its name in the protocol. Nil if they are equal.
    func difference(from requested: CollectionConfiguration, withSeed: Bool) -> String? {
        func differ(_ value: (CollectionConfiguration) -> some Equatable) -> Bool { value(self) != value(requested) }
        return Self.first(of: [
            ("dim", differ(\.dimension)), ("metric", differ(\.metric)), ("alpha", differ(\.alpha)),
            ("half_life", differ(\.halfLife)), ("estimator", differ { $0.sketch == nil }),
            ("recent", differ(\.recentCount)), ("max_ids", differ(\.idCountMax)),
            ("buckets", differ(\.sketch?.bucketCount)), ("hashes", differ(\.sketch?.hashCount)),
            ("seed", withSeed && differ(\.sketch?.seed)),
        ])
    }

    /// The first parameter of the estimator in which the two differ, by its name in the protocol. If there is none, the
    /// statistics of one collection have the same meaning in the other.
    func estimatorDifference(from other: CollectionConfiguration) -> String? {
        Self.first(of: [
            ("alpha", alpha != other.alpha), ("half_life", halfLife != other.halfLife),
            ("estimator", (sketch == nil) != (other.sketch == nil)),
            ("buckets", sketch?.bucketCount != other.sketch?.bucketCount),
            ("hashes", sketch?.hashCount != other.sketch?.hashCount), ("seed", sketch?.seed != other.sketch?.seed),
        ])
    }

    private static func first(of differences: [(String, Bool)]) -> String? {
        differences.first(where: \.1)?.0
    }

    /// The same configuration for other vectors. Nil keeps the value.
    func with(dimension: Int?, metric: Metric?) -> CollectionConfiguration {
        CollectionConfiguration(
            dimension: dimension ?? self.dimension,
            metric: metric ?? self.metric,
            alpha: alpha,
            halfLife: halfLife,
            recentCount: recentCount,
            idCountMax: idCountMax,
            sketch: sketch
        )
    }
}

extension CollectionConfiguration {
    package enum VectorRole {
        case embedding
        case query
    }

    /// Throws `dimension` or `badVector` if the collection can't score the vector: it has another dimension, or it has
    /// no direction and the metric is cosine.
    package func check(_ vector: [Float], as role: VectorRole) throws(StoreError) {
        guard vector.count == dimension else {
            throw StoreError(.dimension, "got \(vector.count) numbers, expected \(dimension)")
        }
        guard metric == .cosine, vector.allSatisfy({ $0 == 0 }) else { return }
        switch role {
        case .embedding:
            throw StoreError(.badVector, "got a zero vector, which has no direction; the metric is cosine")
        case .query:
            throw StoreError(
                .badVector,
                "got a vector of zeros, expected one with a direction: the metric is cosine"
            )
        }
    }
}
