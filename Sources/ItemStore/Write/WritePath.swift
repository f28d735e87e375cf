import LMDB
import Logging
import PackedStrings

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The writer thread: group commit.
///
/// It takes all that is queued, judges each write against the state that all earlier writes leave, whether or not those
/// are durable yet, and encodes what the write means as operations (`WritePath+Judging.swift`). Then it appends the
/// operations of the group to the journal, commits once, applies the same operations to memory, and only then tells
/// the outcomes. So an acknowledged write is on disk and visible to everybody, and nobody ever reads what a crash
/// could take back.
///
/// Between groups it does a slice of checkpoint work (`Checkpoint.swift`).
///
/// Some writes can't be judged while an earlier one of the same group is pending: an id whose deletion is under way,
/// counts that an observation is about to change. Those *settle* first: the group so far is committed and applied.
final class WritePath: @unchecked Sendable {
    let environment: Environment
    let tables: Tables
    let catalogue: Catalogue
    let limits: StoreLimits
    let logger: Logger
    let queue: WriteQueue
    let status: StoreStatus

    var encoder = OperationEncoder()
    var checkpoint: Checkpoint
    var nextGroup: UInt64
    var nextCollectionNumber: UInt32
    /// Distinguishes the groups of this process: see `FreeStamp`. Raised after every commit, failed ones too.
    var groupSerial: UInt32 = 1
    /// How many rows the group under way is about to free.
    var pendingFreeCount = 0

    /// Batches whose outcomes are not all told, in the order in which they came.
    private var openBatches: [OpenBatch] = []
    /// The writes of the group under way: where their outcomes stand.
    private var pending: [(batch: Int, write: Int)] = []
    /// Which of them tell what is known of their ids, in the order of the operations.
    private var readings: [PendingReading] = []
    /// A full disk fails every commit; the log says so once.
    private var lastCommitFailed = false

    private struct OpenBatch {
        let batch: WriteBatch
        var outcomes: [WriteOutcome] = []
    }

    /// What is known of these ids when the operations before the end of the write have been applied, and none behind it.
    private struct PendingReading {
        let collection: Collection
        let ids: PackedStrings
        /// The bytes of the encoder that are the write's. It has fewer, or none, if it settled in between or is a retry.
        let offsets: Range<Int>
        let batch: Int
        let write: Int
    }

    init(
        environment: Environment,
        tables: Tables,
        recovered: RecoveredState,
        limits: StoreLimits,
        status: StoreStatus,
        logger: Logger
    ) {
        self.environment = environment
        self.tables = tables
        self.catalogue = recovered.catalogue
        self.limits = limits
        self.logger = logger
        self.status = status
        queue = WriteQueue(byteCountMax: limits.writeQueueBytesMax)
        nextGroup = recovered.lastGroup + 1
        nextCollectionNumber = recovered.nextCollectionNumber
        checkpoint = Checkpoint(recovered: recovered)
    }

    // MARK: - The thread

    private var thread: pthread_t?

    func start() {
        let retained = Unmanaged.passRetained(self)
        #if canImport(Darwin)
        var thread: pthread_t?
        #else
        var thread = pthread_t()
        #endif
        let status = pthread_create(&thread, nil, writerThreadMain, retained.toOpaque())
        precondition(status == 0, "could not start the writer thread: errno \(status)")
        self.thread = thread
    }

    /// Waits until everything queued is committed and the thread has ended. Call once, after `queue.close()`.
    func join() {
        guard let thread else { return }
        pthread_join(thread, nil)
        self.thread = nil
    }

    fileprivate func run() {
        while true {
            switch queue.take(byteCountMax: limits.groupBytesMax, waitingMilliseconds: idleWaitMilliseconds) {
            case .batches(let batches):
                for batch in batches { judge(batch) }
                commitGroup()
                checkpointSlice(isIdle: false)
            case .nothingYet:
                checkpointSlice(isIdle: true)
            case .closed:
                return
            }
        }
    }

    private var idleWaitMilliseconds: Int {
        checkpoint.hasWorkUnderWay && !checkpoint.isStalled ? 0 : limits.idleCheckpointMilliseconds
    }

    // MARK: - Judging and outcomes

    private func judge(_ batch: WriteBatch) {
        openBatches.append(OpenBatch(batch: batch))
        for write in batch.writes {
            // An earlier write of this batch may have settled the group and told the batches before it.
            let outcome: WriteOutcome
            let offset = encoder.byteCount
            do throws(StoreError) {
                try checkWritable()
                outcome = try judge(write)
            } catch {
                outcome = .failed(error)
            }
            let position = openBatches.count - 1
            if write.isJournalled { pending.append((position, openBatches[position].outcomes.count)) }
            if case .done = outcome { noteReading(of: write, from: offset, batch: position) }
            openBatches[position].outcomes.append(outcome)
            if encoder.byteCount >= limits.groupBytesMax { commitGroup() }
        }
    }

    /// An observation may want to know what it has led to: this write's operations are the last ones so far. One that has
    /// no operations, a retry, is told all the same.
    private func noteReading(of write: Write, from offset: Int, batch: Int) {
        guard case .observe(let name, _, _, let ids, returnsFrequencies: true) = write, let collection = catalogue[name]
        else { return }
        let write = openBatches[batch].outcomes.count
        let offsets = min(offset, encoder.byteCount)..<encoder.byteCount
        readings.append(
            PendingReading(collection: collection, ids: ids, offsets: offsets, batch: batch, write: write)
        )
    }

    func checkWritable() throws(StoreError) {
        if let reason = status.failure { throw StoreError(.readOnly, reason) }
    }

    /// Commits and applies what is pending, so that the next write is judged against memory alone.
    func settle() {
        commitGroup()
    }

    // MARK: - The group commit

    /// Makes the pending operations durable, applies them, and tells the outcomes of the batches that are complete.
    private func commitGroup() {
        if encoder.isEmpty {
            applyGroup()
        } else {
            do throws(StoreError) {
                // A group before this one may have failed while this one was judged.
                try checkWritable()
                try appendToJournal()
                applyGroup()
            } catch {
                abandonGroup(error)
            }
            encoder.removeAll()
            groupSerial = max(1, groupSerial &+ 1)
            pendingFreeCount = 0
        }
        pending.removeAll(keepingCapacity: true)
        readings.removeAll()
        tellOutcomes()
    }

    private func appendToJournal() throws(StoreError) {
        let group = nextGroup
        let byteCount: Int
        do {
            byteCount = try environment.write { transaction in
                try encoder.withBytes { bytes in
                    try JournalGroup.append(bytes, group: group, to: tables.journal, transaction)
                }
                return try transaction.byteCount(of: tables.journal)
            }
        } catch {
            throw noteFailure(StoreError(error))
        }
        if lastCommitFailed { logger.notice("group commits succeed again") }
        lastCommitFailed = false
        nextGroup += 1
        checkpoint.noteGroup(group, journalByteCount: byteCount)
        publishStatus()
    }

    /// Readings are taken in between, where they belong: what later writes of the group do is not in them.
    private func applyGroup() {
        var readings = readings[...]
        // Of the write whose reading is the next one, once its observation has been applied.
        var rows: [UInt32]?
        func takeReadings(upTo offset: Int) {
            while let reading = readings.first, reading.offsets.upperBound <= offset {
                readings.removeFirst()
                let snapshot =
                    rows.map { reading.collection.frequencySnapshotByWriter(of: $0) }
                    ?? reading.collection.frequencySnapshot(of: reading.ids, 0..<reading.ids.count)
                rows = nil
                openBatches[reading.batch].outcomes[reading.write] = .observed(snapshot)
            }
        }
        forEachOperation { collection, operation, offset in
            takeReadings(upTo: offset)
            collection.apply(operation)
            if case .observe(_, _, let entries) = operation, readings.first?.offsets.contains(offset) ?? false {
                rows = entries.map(\.row)
            }
        }
        takeReadings(upTo: .max)
    }

    /// The operations of the group under way, in order, with where each begins.
    private func forEachOperation(_ body: (Collection, Operation, Int) -> Void) {
        encoder.withBytes { bytes in
            var reader = OperationReader(group: UnsafeRawBufferPointer(bytes))
            var current: Collection?
            do throws(StoreError) {
                while true {
                    let offset = bytes.count - reader.bytesLeft
                    guard let (number, operation) = try reader.next() else { break }
                    if current?.number != number { current = catalogue[number: number] }
                    // A collection is dropped only after the group before the drop was applied or abandoned.
                    body(current!, operation, offset)
                }
            } catch {
                preconditionFailure("the writer can't read what it has just encoded: \(error)")
            }
        }
    }

    /// The group did not become durable: takes its reservations back and fails its writes.
    private func abandonGroup(_ error: StoreError) {
        forEachOperation { collection, operation, _ in
            switch operation {
            case .assign(let row, _): collection.cancelReservation(of: row)
            case .free(let row): collection.cancelFree(of: row)
            default: break
            }
        }
        for collection in catalogue.all { collection.forgetJudged() }
        for (batch, write) in pending {
            if case .failed = openBatches[batch].outcomes[write] { continue }
            openBatches[batch].outcomes[write] = .failed(error)
        }
        if !lastCommitFailed { logger.error("a group commit failed", metadata: ["error": "\(error)"]) }
        lastCommitFailed = true
    }

    private func tellOutcomes() {
        var told = 0
        while told < openBatches.count, openBatches[told].outcomes.count == openBatches[told].batch.writes.count {
            openBatches[told].batch.completion(openBatches[told].outcomes)
            told += 1
        }
        openBatches.removeFirst(told)
    }

    /// After a failure that storage can't be trusted beyond, no more writes are served.
    func noteFailure(_ error: StoreError) -> StoreError {
        if error.code == .readOnly { status.fail(error.message) }
        return error
    }

    // MARK: - Catalogue

    /// Creates a collection in a commit of its own. The last number is never used: nothing could come after it.
    func create(_ name: String, _ configuration: CollectionConfiguration) throws(StoreError) {
        settle()
        try checkWritable()
        guard catalogue[name] == nil else { throw StoreError(.exists, "there is a collection '\(name)' already") }
        guard catalogue.count < limits.collectionsMax else {
            throw StoreError(.limit, "there are \(catalogue.count) collections, at most \(limits.collectionsMax) fit")
        }
        guard configuration.dimension <= limits.dimensionMax else {
            throw StoreError(.limit, "got dimension \(configuration.dimension), at most \(limits.dimensionMax)")
        }
        try checkMemory(for: configuration)
        let number = nextCollectionNumber
        guard number < .max else { throw StoreError(.limit, "all \(number) numbers for collections are used up") }
        // Before the commit: there may be no memory for it.
        let collection = try Collection(number: number, configuration: configuration)
        do {
            try environment.write { transaction in
                let record = CatalogueRecord(name: name, configuration: configuration)
                try record.write(number: number, in: tables.meta, transaction)
                try tables.putInteger(number + 1, for: MetaKey(.nextCollection), transaction)
            }
        } catch {
            throw noteFailure(StoreError(error))
        }
        nextCollectionNumber += 1
        catalogue.add(collection, named: name)
    }

    /// A sketch takes all its memory at once; everything else grows.
    private func checkMemory(for configuration: CollectionConfiguration) throws(StoreError) {
        guard let sketch = configuration.sketch else { return }
        let needed = SketchBuckets.byteCount(sketch)
        let used = catalogue.all.reduce(0) { $0 + $1.memoryByteCount }
        guard needed <= limits.memoryBytesMax - used else {
            throw StoreError(
                .full,
                "got a sketch of \(needed) bytes of memory, \(used) of \(limits.memoryBytesMax) are used"
            )
        }
    }

    /// Drops a collection in a commit of its own; its records are erased in slices later.
    func drop(_ name: String) throws(StoreError) {
        settle()
        try checkWritable()
        guard let collection = catalogue[name] else { throw .noCollection(name) }
        do {
            try environment.write { transaction in
                _ = try transaction.delete(MetaKey(.collection, number: collection.number), from: tables.meta)
            }
        } catch {
            throw noteFailure(StoreError(error))
        }
        catalogue.remove(name)
        checkpoint.noteDropped(collection.number)
    }

    /// Two collections exchange their names in a commit of its own. Their numbers, and so all their records, stay.
    func swap(_ first: String, _ second: String) throws(StoreError) {
        settle()
        try checkWritable()
        guard let firstCollection = catalogue[first] else { throw .noCollection(first) }
        guard let secondCollection = catalogue[second] else { throw .noCollection(second) }
        do {
            try environment.write { transaction in
                for (collection, name) in [(firstCollection, second), (secondCollection, first)] {
                    let record = CatalogueRecord(name: name, configuration: collection.configuration)
                    try record.write(number: collection.number, in: tables.meta, transaction)
                }
            }
        } catch {
            throw noteFailure(StoreError(error))
        }
        catalogue.swap(first, second)
    }
}

private func writerThreadMain(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    let path = Unmanaged<WritePath>.fromOpaque(context!).takeRetainedValue()
    path.run()
    return nil
}
