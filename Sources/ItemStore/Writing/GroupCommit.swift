import LMDB
import Logging
import PackedStrings

/// The current group: operations of judged writes that the next commit makes durable. Store thread only.
///
/// A commit appends the operations to the journal. After it come the *effects*, in the order in which the writes were
/// judged: operations change memory, and read-backs take the frequencies that an observation asked for. Then the
/// outcomes are reported.
///
/// A group has no fixed size. It is committed after the writes that were taken from the queue at once
/// (`StoreLimits.takenBytesMax`), or when it reaches `StoreLimits.groupBytesMax`.
/// It is also committed before a write that can't be judged while an earlier one is pending: for example, a write of an
/// id with a pending deletion.
final class GroupCommit {
    private let environment: Environment
    private let tables: Tables
    private let records: CatalogueRecords
    private let interpreter: OperationInterpreter
    private let checkpointer: Checkpointer
    private let health: StoreHealth
    private let watch: DirectoryWatch
    private let logger: Logger

    /// The operations of the group. All operations of a write are in one group, so a write that must commit the pending
    /// ones does so before it encodes its own.
    var encoder = OperationEncoder()
    /// Tells apart the groups of this process, including those with a failed commit. Even, and never 0: see `RowStamp`.
    private(set) var serial = RowStamp.firstSerial
    /// How the group will change the memory of collections.
    var pendingMemory = PendingMemory()

    /// The places in `encoder` of the features that the group sets.
    private var pendingFeatures: [CollectionRow: Range<Int>] = [:]

    private var nextGroup: UInt64
    private var effects: [Effect] = []
    /// The offset of the first operation that is not in `effects` yet.
    private var nextOffset = JournalGroup.headerByteCount
    /// Batches with outcomes that are not reported yet, in the order in which they came.
    private var openBatches: [OpenBatch] = []
    /// The indices of the writes in the group: in `openBatches`, and in the batch.
    private var pending: [(batch: Int, write: Int)] = []
    /// With a full disk every commit fails, but only the first failure is logged.
    private var lastCommitFailed = false
    private var headFailed = false

    private struct OpenBatch {
        let batch: WriteBatch
        var outcomes: [WriteOutcome] = []
    }

    private enum Effect {
        /// The operations at these offsets of the encoder.
        case operations(Range<Int>)
        case readBack(ReadBack, batch: Int, write: Int)
    }

    init(
        _ environment: Environment,
        _ tables: Tables,
        _ recovered: RecoveredState,
        _ checkpointer: Checkpointer,
        _ health: StoreHealth,
        _ watch: DirectoryWatch,
        _ logger: Logger
    ) {
        self.environment = environment
        self.tables = tables
        self.checkpointer = checkpointer
        self.health = health
        self.watch = watch
        self.logger = logger
        records = recovered.records
        interpreter = OperationInterpreter(records: recovered.records)
        nextGroup = recovered.lastGroup + 1
    }

    var isEmpty: Bool { encoder.isEmpty }
    var byteCount: Int { encoder.byteCount }

    // MARK: - Judged writes

    /// Begins a batch. The next calls of `note` are for its writes.
    func open(_ batch: WriteBatch) {
        openBatches.append(OpenBatch(batch: batch))
    }

    /// Notes the judgement of the next write of the last batch. Judging may have committed the group and reported
    /// earlier batches.
    func note(_ judgement: Judgement, of write: Write) {
        let batch = openBatches.count - 1
        let index = openBatches[batch].outcomes.count
        if !write.hasOwnGroup { pending.append((batch, index)) }
        switch judgement {
        case .outcome(let outcome):
            openBatches[batch].outcomes.append(outcome)
        case .readBack(let readBack):
            openBatches[batch].outcomes.append(.done)
            noteOperations()
            effects.append(.readBack(readBack, batch: batch, write: index))
        }
    }

    /// Encodes the features of a row.
    func setFeatures(of row: UInt32, in collection: Collection, _ json: [UInt8]) {
        encoder.features(collection: collection.number, row: row, json: json)
        let place = encoder.byteCount - json.count..<encoder.byteCount
        pendingFeatures[CollectionRow(collection: collection.number, row: row)] = place
    }

    /// The features that a pending write sets; nil if none sets those of the row.
    func pendingFeatures(of row: UInt32, in collection: Collection) -> ArraySlice<UInt8>? {
        pendingFeatures[CollectionRow(collection: collection.number, row: row)].map { encoder.bytes[$0] }
    }

    private func noteOperations() {
        guard encoder.byteCount > nextOffset else { return }
        effects.append(.operations(nextOffset..<encoder.byteCount))
        nextOffset = encoder.byteCount
    }

    // MARK: - Committing

    /// Makes the pending operations durable, applies them, and reports the outcomes of complete batches. After this,
    /// memory has the effects of all judged writes.
    func commit() {
        do throws(StoreError) {
            try commitOperations()
        } catch {
            for (batch, write) in pending {
                if case .failed = openBatches[batch].outcomes[write] { continue }
                openBatches[batch].outcomes[write] = .failed(error)
            }
        }
        pending.removeAll(keepingCapacity: true)
        reportOutcomes()
    }

    /// Commits the pending operations. Throws `readOnly` if the store takes no more writes.
    func commitPending() throws(StoreError) {
        commit()
        try health.checkWritable()
    }

    /// Commits the operations that `encode` adds as a group of their own. No operations may be pending.
    func commitAlone(_ encode: (inout OperationEncoder) -> Void) throws(StoreError) {
        precondition(encoder.isEmpty, "there are pending operations")
        encode(&encoder)
        try commitOperations()
    }

    /// Commits the operations that one write has encoded, as a group of their own.
    func commitEncoded() throws(StoreError) {
        precondition(pending.isEmpty, "the group has operations of other writes")
        try commitOperations()
    }

    private func commitOperations() throws(StoreError) {
        noteOperations()
        defer {
            if !encoder.isEmpty {
                encoder.removeAll()
                serial = RowStamp.serial(after: serial)
                pendingMemory = PendingMemory()
                pendingFeatures.removeAll(keepingCapacity: true)
            }
            effects.removeAll(keepingCapacity: true)
            nextOffset = JournalGroup.headerByteCount
        }
        if !encoder.isEmpty {
            do throws(StoreError) {
                // The store may have stopped taking writes while this group was judged.
                try health.checkWritable()
                try appendToJournal()
            } catch {
                abandon(error)
                throw error
            }
        }
        applyEffects()
    }

    private func appendToJournal() throws(StoreError) {
        let group = nextGroup
        let byteCount: Int
        do {
            try watch.check()
            byteCount = try environment.write { transaction in
                try encoder.withBytes { bytes in
                    try JournalGroup.append(bytes, group: group, to: tables.journal, transaction)
                }
                return try transaction.byteCount(of: tables.journal)
            }
            // If the files were removed during the commit, nobody will find it.
            try watch.check()
        } catch {
            throw health.noteFailure(StoreError(error))
        }
        if lastCommitFailed { logger.notice("group commits succeed again") }
        lastCommitFailed = false
        health.noteCommit()
        nextGroup += 1
        noteHead(group)
        checkpointer.noteGroup(group, journalByteCount: byteCount)
    }

    /// The group is durable, so it is acknowledged even if `HEAD` can't name it.
    private func noteHead(_ group: UInt64) {
        do throws(StoreError) {
            try watch.noteGroup(group)
            headFailed = false
        } catch {
            if !headFailed { logger.error("HEAD does not name the last group", metadata: ["error": "\(error)"]) }
            headFailed = true
        }
    }

    private func applyEffects() {
        encoder.withBytes { bytes in
            for effect in effects {
                switch effect {
                case .operations(let range):
                    let operations = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[range])
                    do throws(StoreError) {
                        try interpreter.apply(OperationReader(operations), group: nextGroup - 1)
                    } catch {
                        preconditionFailure("the store can't apply what it has just encoded: \(error)")
                    }
                case .readBack(let readBack, let batch, let write):
                    openBatches[batch].outcomes[write] = .observed(readBack.snapshot())
                }
            }
        }
    }

    /// Cancels the reservations and deletions of the group, because it did not become durable.
    private func abandon(_ error: StoreError) {
        encoder.withBytes { bytes in
            var operations = OperationReader(group: UnsafeRawBufferPointer(bytes))
            while let (number, operation) = try? operations.next() {
                switch operation {
                case .assign(let row, _): records.catalogue[number: number]?.cancelReservation(of: row)
                case .free(let row): records.catalogue[number: number]?.cancelFree(of: row)
                default: break
                }
            }
        }
        health.noteFailedWrite(error)
        records.forgetPrepared()
        for collection in records.catalogue.all { collection.forgetJudged() }
        if !lastCommitFailed { logger.error("a group commit failed", metadata: ["error": "\(error)"]) }
        lastCommitFailed = true
    }

    private func reportOutcomes() {
        let complete = openBatches.prefix { $0.outcomes.count == $0.batch.writes.count }
        for open in complete { open.batch.completion(open.outcomes) }
        openBatches.removeFirst(complete.count)
    }
}

/// The result of judging a write.
enum Judgement {
    case outcome(WriteOutcome)
    /// The outcome is the frequencies of ids, read right after the operations of this write and before any later ones.
    case readBack(ReadBack)
}

/// The frequencies of ids that an observation asked for.
struct ReadBack {
    let collection: Collection
    let ids: PackedStrings
    /// The rows of the ids; nil if some ids may have none.
    let rows: [UInt32]?

    func snapshot() -> FrequencySnapshot {
        rows.map { collection.ownersFrequencySnapshot(of: $0) } ?? collection.frequencySnapshot(of: ids, 0..<ids.count)
    }
}
