import LMDB
import Logging
import SystemSupport

/// The checkpoint copies changed records to the tables, which keeps the journal short.
///
/// A pass notes the last group S. Then it copies all dirty records to their tables, kind by kind, in key order, in
/// small slices between group commits. A record is copied in its *present* state, together with the number of the last
/// group (`applied`). So a row that changed a hundred times is written once, and replay skips operations that a record
/// already contains. After the pass, the tables contain all groups up to S. The last slice writes S to `meta`. Then
/// the journal is cut up to S, also in slices.
///
/// The records of dropped collections are erased in slices, when there is nothing else to do. Passes may follow each
/// other without a pause, so every fourth slice erases too.
///
/// Copying happens only between groups: while a group is judged, memory has reserved rows that are not in the journal
/// yet. Store thread only.
final class Checkpointer {
    private static let framesInCutSlice = 2048
    private static let recordsInEraseSlice = 4096
    private static let slicesBeforeErasing = 3

    private enum Phase {
        case idle
        case copying(CopyCursor)
        case cutting
    }

    private let environment: Environment
    private let tables: Tables
    private let records: CatalogueRecords
    private let limits: StoreLimits
    private let health: StoreHealth
    private let watch: DirectoryWatch
    private let logger: Logger

    private var phase = Phase.idle
    /// The tables contain all groups up to this one.
    private var checkpointedGroup: UInt64
    private var lastGroup: UInt64
    /// The size of the `journal` table in bytes.
    private var journalByteCount: Int
    private var passCount = 0
    /// The number of slices since records of a dropped collection were erased.
    private var slicesSinceErasing = 0
    /// The last slice failed. Unless the store is idle, the next one waits until `retryTime`.
    private var isStalled = false
    private var retryTime: UInt64 = 0

    init(
        _ environment: Environment,
        _ tables: Tables,
        _ recovered: RecoveredState,
        _ limits: StoreLimits,
        _ health: StoreHealth,
        _ watch: DirectoryWatch,
        _ logger: Logger
    ) {
        self.environment = environment
        self.tables = tables
        self.limits = limits
        self.health = health
        self.watch = watch
        self.logger = logger
        records = recovered.records
        checkpointedGroup = recovered.checkpointedGroup
        lastGroup = recovered.lastGroup
        journalByteCount = recovered.journalByteCount
        // An earlier process did not finish cutting the journal.
        if recovered.hasCutGroups { phase = .cutting }
        publishStatus()
    }

    /// The longest wait for writes before the next slice. After a failure that ends the service of writes there are no
    /// more slices, so the wait is never 0 then.
    var idleMilliseconds: Int {
        hasWorkUnderWay && !isStalled && health.failure == nil ? 0 : limits.idleCheckpointMilliseconds
    }

    private var hasWorkUnderWay: Bool {
        if case .idle = phase { return records.erasable(checkpointed: checkpointedGroup) != nil }
        return true
    }

    func noteGroup(_ group: UInt64, journalByteCount: Int) {
        lastGroup = group
        self.journalByteCount = journalByteCount
        publishStatus()
    }

    private func publishStatus() {
        health.journal = StoreHealth.JournalStatus(
            lastGroup: lastGroup,
            checkpointedGroup: checkpointedGroup,
            byteCount: journalByteCount,
            checkpointPassCount: passCount,
            droppedCollectionCount: records.dropped.count
        )
    }

    // MARK: - Slices

    /// Does one slice of work, if there is any. A failed slice is logged and repeated later; the journal still has
    /// everything. Does nothing once the store takes no more writes.
    func advance(isIdle: Bool) {
        guard health.failure == nil else { return }
        if isStalled, !isIdle, monotonicNanoseconds() < retryTime { return }
        do throws(StoreError) {
            try advance(startAt: isIdle ? 1 : limits.checkpointAtJournalBytes, erasesInTurn: true)
        } catch {
            if !isStalled {
                logger.error("a checkpoint slice failed, the journal stays", metadata: ["error": "\(error)"])
            }
            isStalled = true
            retryTime = monotonicNanoseconds() + UInt64(limits.idleCheckpointMilliseconds) * 1_000_000
        }
        publishStatus()
    }

    /// Call this before a group is judged. If the journal has reached its limit, it does checkpoint work until there is
    /// room.
    func makeRoomInJournal() throws(StoreError) {
        do throws(StoreError) {
            while journalByteCount >= limits.journalBytesMax { try advance(startAt: 1) }
        } catch {
            health.noteFailedWrite(error)
            throw error
        }
    }

    /// Call this at the end. It copies all dirty records and cuts the whole journal, so the next start has nothing to
    /// replay. That takes the rest of a pass that is under way, and another one. With `erasingDropped` it also erases
    /// the records of all dropped collections.
    func finish(erasingDropped: Bool) {
        let lastPass = passCount + 2
        do throws(StoreError) {
            try health.checkWritable()
            while journalByteCount > 0, passCount < lastPass {
                try advance(startAt: 1)
            }
            if erasingDropped {
                while records.erasable(checkpointed: checkpointedGroup) != nil { try advance(startAt: .max) }
            }
            try watch.finish()
        } catch {
            logger.error("the last checkpoint failed, the journal stays", metadata: ["error": "\(error)"])
        }
        publishStatus()
    }

    /// With `erasesInTurn`, dropped collections get their share of the slices.
    private func advance(startAt journalBytes: Int, erasesInTurn: Bool = false) throws(StoreError) {
        do {
            try watch.check()
            if erasesInTurn, slicesSinceErasing >= Self.slicesBeforeErasing, try eraseSlice() {
                isStalled = false
                return
            }
            slicesSinceErasing += 1
            switch phase {
            case .idle:
                if journalByteCount >= journalBytes {
                    phase = .copying(CopyCursor(records.catalogue, group: lastGroup))
                } else {
                    try eraseSlice()
                }
            case .copying(let cursor):
                try copySlice(cursor)
            case .cutting:
                try cutSlice()
            }
            isStalled = false
        } catch {
            throw health.noteFailure(StoreError(error))
        }
    }

    /// Records stay dirty until the transaction is committed, so a failed slice leaves nothing to undo.
    private func copySlice(_ start: CopyCursor) throws {
        var cursor = start
        var copied: [(dirty: RecordSet, record: Int)] = []
        var changes = SumChanges()
        let isComplete = try environment.write { transaction in
            var budget = SliceBudget(limits)
            if !cursor.hasCopiedCatalogue {
                try records.write(applied: lastGroup, to: tables, transaction)
            }
            var source: (collection: Collection, kind: any RecordKind)?
            while !budget.isSpent {
                guard let part = cursor.parts.last else {
                    try changes.write(to: tables, transaction)
                    try tables.putInteger(cursor.group, for: MetaKey(.checkpoint), transaction)
                    return true
                }
                source = source ?? records.catalogue[number: part.collection].map { ($0, $0.kinds[part.kind]) }
                guard let (collection, kind) = source, let record = kind.dirty.first(from: cursor.nextRecord),
                    record < part.recordCount
                else {
                    cursor.enterNextPart()
                    source = nil
                    continue
                }
                let before = try kind.sum(of: record, in: collection, tables, transaction)
                let byteCount = try kind.write(record, of: collection, applied: lastGroup, to: tables, transaction)
                let after = try kind.sum(of: record, in: collection, tables, transaction)
                changes.replace(before, by: after, in: kind.table, of: collection)
                budget.spend(byteCount)
                copied.append((kind.dirty, record))
                cursor.nextRecord = record + 1
            }
            try changes.write(to: tables, transaction)
            return false
        }
        changes.noteCommitted()
        for (dirty, record) in copied { dirty.remove(record) }
        if !cursor.hasCopiedCatalogue { records.noteCopied() }
        cursor.hasCopiedCatalogue = true
        if isComplete {
            checkpointedGroup = cursor.group
            phase = .cutting
        } else {
            phase = .copying(cursor)
        }
    }

    private func cutSlice() throws {
        let last = checkpointedGroup
        let (count, byteCount) = try environment.write { transaction in
            let count = try transaction.deleteRange(
                from: JournalKey(group: 0, frame: 0),
                while: { $0.group <= last },
                limit: Self.framesInCutSlice,
                in: tables.journal
            )
            return (count, try transaction.byteCount(of: tables.journal))
        }
        journalByteCount = byteCount
        if count < Self.framesInCutSlice {
            phase = .idle
            passCount += 1
        }
    }

    /// Erases some records of a dropped collection. Returns false if there is none to erase.
    @discardableResult
    private func eraseSlice() throws -> Bool {
        slicesSinceErasing = 0
        guard let number = records.erasable(checkpointed: checkpointedGroup) else { return false }
        let isErased = try environment.write { transaction in
            var limit = Self.recordsInEraseSlice
            limit -= try erase(number, from: tables.rows, limit: limit, transaction)
            limit -= try erase(number, from: tables.features, limit: limit, transaction)
            limit -= try erase(number, from: tables.frequency, limit: limit, transaction)
            if limit > 0 { try records.forgetDropped(number, in: tables, transaction) }
            return limit > 0
        }
        if isErased { records.noteErased(number) }
        return true
    }

    private func erase<Key: CollectionKey>(
        _ number: UInt32,
        from table: Table<Key>,
        limit: Int,
        _ transaction: borrowing WriteTransaction
    ) throws -> Int {
        try transaction.deleteRange(
            from: .first(of: number),
            while: { $0.collection == number },
            limit: limit,
            in: table
        )
    }
}

/// The sums that a slice has changed. The collections get them once the slice is committed.
private struct SumChanges {
    private var changed: [(collection: Collection, sums: CollectionSums)] = []

    mutating func replace(
        _ old: RecordSum,
        by new: RecordSum,
        in table: CollectionTable,
        of collection: Collection
    ) {
        if changed.last?.collection !== collection { changed.append((collection, collection.sums)) }
        changed[changed.count - 1].sums[table].replace(old, by: new)
    }

    func write(to tables: Tables, _ transaction: borrowing WriteTransaction) throws {
        for (collection, sums) in changed {
            try sums.write(number: collection.number, in: tables.meta, transaction)
        }
    }

    func noteCommitted() {
        for (collection, sums) in changed { collection.sums = sums }
    }
}

/// The progress of a pass.
private struct CopyCursor {
    /// S: when the pass is complete, the journal can be cut up to this group.
    let group: UInt64
    var hasCopiedCatalogue = false
    /// The remaining parts, in reverse order.
    var parts: [Part]
    /// All dirty records of the current part below this are copied.
    var nextRecord = 0

    /// The records of one kind in one collection.
    struct Part {
        /// A number and not a reference, because a collection may be dropped before its turn, and its memory must then
        /// be freed.
        let collection: UInt32
        /// The index in `Collection.kinds`.
        let kind: Int
        /// The value when the pass began: see `RecordKind.recordCount`.
        let recordCount: Int
    }

    init(_ catalogue: Catalogue, group: UInt64) {
        self.group = group
        parts = catalogue.all.flatMap { collection in
            collection.kinds.enumerated().map { index, kind in
                Part(collection: collection.number, kind: index, recordCount: kind.recordCount(of: collection))
            }
        }
        parts.reverse()
    }

    mutating func enterNextPart() {
        parts.removeLast()
        nextRecord = 0
    }
}

/// A slice ends after this many bytes or this much time, whichever comes first.
private struct SliceBudget {
    private var byteCount: Int
    private let deadline: UInt64

    init(_ limits: StoreLimits) {
        byteCount = limits.checkpointSliceBytes
        deadline = monotonicNanoseconds() + UInt64(limits.checkpointSliceMilliseconds) * 1_000_000
    }

    mutating func spend(_ bytes: Int) {
        byteCount -= bytes
    }

    var isSpent: Bool { byteCount <= 0 || monotonicNanoseconds() >= deadline }
}
