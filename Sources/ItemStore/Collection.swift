package import SamplingFrequency
import Synchronization

/// A set of items with one dimension and one metric, wholly in memory. What it is called, the `Catalogue` knows.
///
/// Data structures first. An *id* leads through the id table to its *row*, a dense number. A row's vector, id,
/// statistics and features stand in a *chunk* of 1,024 rows under one read-write lock. The chunk directory leads from
/// row to chunk. Nothing moves when a collection grows.
///
/// What `SAMPLE` draws from, the draw table and the bank of recent observations, is one for all rows, under a lock of its
/// own.
///
/// Who may do what: any thread reads, under the locks (`Collection+Reading.swift`). One thread, the store's writer,
/// changes (`Collection+Applying.swift`); it is the only one that changes anything, so it reads without locks and takes
/// them only where a reader could look. Lock order: draws, id shard, chunk, sketch; never two chunks at
/// once.
package final class Collection: @unchecked Sendable {
    /// The number under which the collection is stored; never used again.
    package let number: UInt32
    package let configuration: CollectionConfiguration

    let estimator: GapEstimator
    let decay: CountDecay
    let identifiers = IdentifierTable()
    let chunks: ChunkDirectory
    /// Where observations go, if the estimator is a sketch: see `Collection+Sketch.swift`.
    let sketch: SketchBuckets?
    /// Rises when an id loses its row.
    let freedRowCount = Atomic<Int>(0)
    /// Guards `draws` and `recent`. Whoever holds it finds the counts as the draw table has them.
    let drawLock = ReadWriteLock()
    /// All rows with an embedding.
    var draws = DrawTable()
    var recent: RecentBank
    private let summaryLock = ReadWriteLock()
    private var lockedSummary: Summary

    /// For the writer thread alone.
    var writer = WriterState()

    /// What belongs to the collection as a whole.
    struct Summary {
        var totals: FrequencyTotals
        /// Ids with an embedding.
        var itemCount = 0
        /// Ids with anything.
        var idCount = 0
        var featureByteCount = 0
        var longIdByteCount = 0
        var drawByteCount = 0
    }

    /// What only the writer thread knows.
    struct WriterState {
        /// Rows that were ever handed out: 0 ..< rowCount.
        var rowCount: UInt32 = 0
        var freeRows: [UInt32] = []
        var sequences = WriterSequences()
        /// The counts of all ids.
        var countSum = ExactSum()
        /// Ids that a cap would take next: the oldest at the end.
        var evictionCandidates: [EvictionCandidate] = []
        var evictionShortage: EvictionShortage?
        /// As `sequences`, the totals and the bank's position, with the effects of writes that are judged but not yet
        /// durable.
        var judgedSequences = WriterSequences()
        var judgedLastStep: Int64 = -1
        var judgedRecentPosition: UInt64 = 0
        var dirty = DirtyScalars()
        /// Chunks of the bank that differ from the table.
        var dirtyRecentChunks = ChunkBitmap()
    }

    /// Which of the collection's own records differ from the tables.
    struct DirtyScalars {
        var totals = false
        /// A bit for each chunk of 32 writers.
        var writerChunks: UInt32 = 0
    }

    /// Fails if there is no memory for the sketch.
    init(number: UInt32, configuration: CollectionConfiguration) throws(StoreError) {
        self.number = number
        self.configuration = configuration
        decay = CountDecay(halfLife: configuration.halfLife)
        if let layout = configuration.sketch { sketch = try SketchBuckets(layout, decay) } else { sketch = nil }
        estimator = GapEstimator(alpha: configuration.alpha, decay: decay)
        lockedSummary = Summary(totals: FrequencyTotals(decay: decay))
        recent = RecentBank(capacity: configuration.recentCount)
        chunks = ChunkDirectory(dimension: configuration.dimension, metric: configuration.metric)
    }

    deinit {
        summaryLock.destroy()
        drawLock.destroy()
    }

    var summary: Summary {
        summaryLock.withReadLock { lockedSummary }
    }

    /// Writer thread only.
    func updateSummary(_ body: (inout Summary) -> Void) {
        summaryLock.withWriteLock { body(&lockedSummary) }
    }

    /// The number of ids with an embedding.
    package var itemCount: Int { summary.itemCount }

    /// The number of ids with an embedding, features or statistics.
    package var idCount: Int { summary.idCount }

    /// Observed hits of all ids, the C of q = count / C.
    package var totals: FrequencyTotals { summary.totals }

    /// The memory of the collection in bytes: chunks (counted whole), id table, long ids, features, and what draws need.
    package var memoryByteCount: Int {
        let summary = summary
        return chunks.byteCount + identifiers.byteCount + summary.featureByteCount + summary.longIdByteCount
            + summary.drawByteCount + sketchByteCount
    }

    /// What of it is the sketch, the same from the first observation to the last.
    package var sketchByteCount: Int { configuration.sketch.map(SketchBuckets.byteCount) ?? 0 }

    /// The chunk of a row that was handed out.
    @inline(__always)
    func chunk(of row: UInt32) -> UnsafeMutablePointer<ItemChunk> {
        chunks[Int(row) / ItemChunk.rowCount]
    }

    /// The writer thread may look at all of it, others at the generation: under the chunk's lock, or under the draw lock if the
    /// row has an embedding.
    @inline(__always)
    func life(of row: UInt32) -> UnsafeMutablePointer<RowLife> {
        chunk(of: row).pointee.lives + Self.index(of: row)
    }

    /// The place of a row within its chunk.
    @inline(__always)
    static func index(of row: UInt32) -> Int {
        Int(row) % ItemChunk.rowCount
    }
}
