package import SamplingFrequency
package import VectorIndex

/// What a store is opened with.
package struct StoreConfiguration: Sendable {
    /// The directory of the LMDB files; made if it is missing.
    package var directory: String
    /// Serve what is there and refuse every write. Several read-only stores may share a directory.
    package var isReadOnly: Bool
    package var limits: StoreLimits

    package init(directory: String, isReadOnly: Bool = false, limits: StoreLimits = StoreLimits()) {
        self.directory = directory
        self.isReadOnly = isReadOnly
        self.limits = limits
    }
}

/// The bounds of a store. Units last in a name.
package struct StoreLimits: Sendable {
    package var dimensionMax = 4096
    package var collectionsMax = 1024
    /// Distinct writers in `seq=writer:n`, for each collection.
    package var sequenceWritersMax = 1024
    /// Memory of all collections: past it no chunk of rows is added, and a write that needs one is `full`.
    package var memoryBytesMax = Int.max
    /// Writes that wait for the writer thread; past it `submit` refuses with `busy`.
    package var writeQueueBytesMax = 256 << 20
    /// A group commit takes no further write once its journal bytes reach this.
    package var groupBytesMax = 1 << 20
    /// A checkpoint pass begins when the journal has grown to this.
    package var checkpointAtJournalBytes = 128 << 20
    /// Writes wait for the checkpoint when the journal has grown to this, so that recovery stays short.
    package var journalBytesMax = 256 << 20
    /// A slice of checkpoint work between two groups ends after this many bytes or milliseconds.
    package var checkpointSliceBytes = 1 << 20
    package var checkpointSliceMilliseconds = 5
    /// A journal that has been idle this long is checkpointed whatever its size.
    package var idleCheckpointMilliseconds = 2000

    package init() {}
}

/// What a collection is created with; fixed for its life.
package struct CollectionConfiguration: Sendable, Equatable {
    /// Numbers in an embedding.
    package let dimension: Int
    package let metric: Metric
    /// The weight of a new gap in the gap estimator, in (0, 1].
    package let alpha: Double
    /// The steps after which a hit counts half, above 0; nil: it counts 1 for ever.
    package let halfLife: Double?
    /// How many of the last observations the bank of recent ones keeps; 0: none.
    package let recentCount: Int
    /// Past so many ids, those seen longest ago give way, if they have neither embedding nor features; nil: no cap.
    package let idCountMax: Int?
    /// Where observations go that are counted in fixed memory; nil: each id has statistics of its own. With a sketch ids
    /// that are only observed get no row, so there is neither a bank of recent ones nor a cap.
    package let sketch: SketchLayout?

    package static let recentCountDefault = 16_384
    package static let recentCountMax = 1 << 20

    package init(
        dimension: Int,
        metric: Metric = .dot,
        alpha: Double = 0.01,
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
