package import SamplingFrequency
import Synchronization
import SystemSupport

/// A set of items with one dimension and one metric, all in memory. Its name is in the `Catalogue`.
///
/// The id table maps an *id* to its *row*, a dense number. The vector, id, statistics and features of a row are in a
/// *chunk* of 1,024 rows, under one read-write lock. The chunk directory maps rows to chunks. Chunks do not move when a
/// collection grows.
///
/// `SAMPLE` draws from the population (all rows with an embedding) or from the bank of recent observations. Both are
/// under one lock, the draw lock.
///
/// Any thread may read, under the locks (`Collection+Reading.swift`). Only the store's thread changes anything
/// (`Collection+Applying.swift`). So it reads without locks, and takes them only to change data that readers may read.
/// Lock order: draw lock, id shard, chunk, sketch, summary; never two chunks at once.
package final class Collection: @unchecked Sendable {
    /// The number of the collection in keys and in the journal. It is never reused.
    package let number: UInt32
    package let configuration: CollectionConfiguration

    let estimator: GapEstimator
    let decay: CountDecay
    let identifiers = IdentifierTable()
    let chunks: ChunkDirectory
    /// The buckets that count observations if the estimator is a sketch, otherwise nil: see `Collection+Sketch.swift`.
    let sketch: SketchBuckets?
    /// Observations at steps that were not the next ones, since the start.
    package let stepCounters = StepCounters()
    /// Incremented when an id loses its row.
    let freedRowCount = Atomic<Int>(0)
    /// Guards `population` and `recent`. While a reader holds it, the counts of the rows do not change.
    let drawLock = ReadWriteLock()
    /// All rows with an embedding, by count.
    var population = WeightedRows()
    var recent: RecentBank
    private let summaryLock = ReadWriteLock()
    private var lockedSummary: Summary
    /// The memory of the collection that `account` contains, in bytes.
    private let countedByteCount = Atomic<Int>(0)
    private let account: MemoryAccount

    /// Store thread only.
    var owner: OwnerState
    /// The ids that the cap evicts next. Store thread only. Not in `owner`, because it changes while counts do.
    var evictions = EvictionQueue()
    /// Whether recovery is complete, so that there are an id table, a population and sums. Store thread only.
    var isServing = false

    // MARK: Records

    let rows = Rows()
    let features = Features()
    let statisticsPages = StatisticsPages()
    let recentRecords = RecentRecords()
    let sketchPages: SketchPages?
    let producers = Producers(keys: FrequencyKey.producers)
    let runs = TrainerRuns(keys: FrequencyKey.runs)
    let totalsRecord = TotalsRecord()

    /// The kinds of records in the `frequency` table.
    let frequencyKinds: [any FrequencyTableKind]
    /// What the tables have of this collection. Store thread only.
    var sums = CollectionSums()
    /// All kinds of records, in the order in which the checkpoint copies them.
    let kinds: [any RecordKind]

    /// The totals of a collection.
    struct Summary {
        var totals: FrequencyTotals
        /// The number of ids with an embedding.
        var itemCount = 0
        /// The number of all ids that have a row.
        var idCount = 0
        /// Memory that the features take outside the chunks; likewise long ids.
        var featureByteCount = 0
        var longIdByteCount = 0
        /// The bytes of the longest JSON that any id has had since the start. It only rises.
        var longestFeatures = 0
        var drawByteCount = 0
    }

    /// State that only the store's thread uses.
    struct OwnerState {
        /// All rows that were ever handed out are in 0 ..< rowCount.
        var rowCount: UInt32 = 0
        var freeRows = FreeRows()
        /// The sum of the counts of all ids.
        var countSum = ExactSum()
        var evictionShortage: EvictionShortage?
        /// The last numbers of the producers, the runs, the totals (without C), and the position of the bank. They
        /// include writes that are judged but not durable yet.
        var judgedSequences = NamedList<ProducerEntry>()
        var judgedRuns = NamedList<TrainerRun>()
        var judgedTotals: FrequencyTotals
        var judgedRecentPosition: UInt64 = 0
    }

    /// Throws `full` if the system has no memory for the sketch or no address space for the chunks.
    init(
        number: UInt32,
        configuration: CollectionConfiguration,
        account: MemoryAccount = MemoryAccount()
    ) throws(StoreError) {
        self.number = number
        self.configuration = configuration
        self.account = account
        decay = CountDecay(halfLife: configuration.halfLife)
        estimator = GapEstimator(alpha: configuration.alpha, decay: decay)
        if let layout = configuration.sketch { sketch = try SketchBuckets(layout, estimator) } else { sketch = nil }
        sketchPages = sketch.map { SketchPages($0) }
        let estimates: [any FrequencyTableKind] = sketchPages.map { [$0] } ?? [statisticsPages, recentRecords]
        frequencyKinds = estimates + [producers, runs, totalsRecord]
        kinds = [rows, features] + frequencyKinds
        let totals = FrequencyTotals(estimator: estimator)
        lockedSummary = Summary(totals: totals)
        owner = OwnerState(judgedTotals: totals)
        recent = RecentBank(capacity: configuration.recentCount)
        chunks = try ChunkDirectory(dimension: configuration.dimension, metric: configuration.metric)
        lockedSummary.drawByteCount = drawByteCount
        countMemory()
    }

    deinit {
        account.add(-memoryByteCount)
        summaryLock.destroy()
        drawLock.destroy()
    }

    var summary: Summary {
        summaryLock.withReadLock { lockedSummary }
    }

    /// Store thread only.
    func updateSummary(_ body: (inout Summary) -> Void) {
        summaryLock.withWriteLock { body(&lockedSummary) }
        countMemory()
    }

    /// Brings the account up to date. Call this after memory was allocated or freed, unless `updateSummary` follows.
    /// Store thread only.
    func countMemory() {
        let byteCount =
            chunks.byteCount + identifiers.byteCount + sketchByteCount + producers.list.byteCount
            + lockedSummary.featureByteCount + lockedSummary.longIdByteCount + lockedSummary.drawByteCount
        let change = byteCount - countedByteCount.exchange(byteCount, ordering: .relaxed)
        if change != 0 { account.add(change) }
    }

    /// The number of ids with an embedding.
    package var itemCount: Int { summary.itemCount }

    /// The number of ids that have a row, because they have an embedding, features or statistics.
    package var idCount: Int { summary.idCount }

    /// No features of an id have more bytes of JSON than this, unless a later write sets them.
    package var longestFeatures: Int { summary.longestFeatures }

    /// The first and last step, and C, the sum of the counts of all ids.
    package var totals: FrequencyTotals { summary.totals }

    /// The memory of the collection in bytes: whole chunks, the id table, long ids, features, the population, the bank,
    /// the sketch and producers.
    package var memoryByteCount: Int { countedByteCount.load(ordering: .relaxed) }

    /// The memory in bytes that a collection takes before it has any id.
    static func initialByteCount(_ configuration: CollectionConfiguration) -> Int {
        IdentifierTable.byteCount(entryCount: 0) + RecentBank.byteCount(capacity: configuration.recentCount)
            + (configuration.sketch.map(SketchBuckets.byteCount) ?? 0)
    }

    /// The memory of the sketch in bytes. It never changes.
    package var sketchByteCount: Int { configuration.sketch.map(SketchBuckets.byteCount) ?? 0 }

    /// The chunk of a row. The row must have been handed out.
    @inline(__always)
    func chunk(of row: UInt32) -> UnsafeMutablePointer<ItemChunk> {
        chunks[Int(row) / ItemChunk.rowCount]
    }

    /// The reuse of a row. Other threads may only read the generation, under the chunk's lock, or under the draw lock
    /// if the row has an embedding.
    @inline(__always)
    func reuse(of row: UInt32) -> UnsafeMutablePointer<RowReuse> {
        chunk(of: row).pointee.reuses + Self.index(of: row)
    }

    /// The chunk of a row, and the row's index in it. The row must have been handed out.
    @inline(__always)
    func place(of row: UInt32) -> (chunk: UnsafeMutablePointer<ItemChunk>, index: Int) {
        (chunk(of: row), Self.index(of: row))
    }

    /// The index of a row within its chunk.
    @inline(__always)
    static func index(of row: UInt32) -> Int {
        Int(row) % ItemChunk.rowCount
    }
}
