import LMDB
import SamplingFrequency
import SystemSupport

/// The state of a store after recovery.
struct RecoveredState {
    let records = CatalogueRecords()
    var lastGroup: UInt64 = 0
    var checkpointedGroup: UInt64 = 0
    var journalByteCount = 0
    /// Whether the journal still has groups that are in the tables.
    var hasCutGroups = false
    var replayedGroupCount = 0
}

/// Recovery: loads the tables in the order of their keys, replays the journal, and builds everything that is not
/// stored.
///
/// The checkpoint writes records at different moments, so each record has the number of the last group that it contains
/// (`applied`). Replay applies an operation to a record only if the operation's group is later. No other thread uses
/// the store meanwhile, apart from the one that computes codes at the end (`Collection.finishRecovery`).
struct Recovery {
    private let tables: Tables
    private var state = RecoveredState()
    /// The highest group that a loaded record contains.
    private var highestApplied: UInt64 = 0

    /// Reads everything in one transaction, and changes nothing on disk. Throws `corrupt`.
    static func run(_ environment: Environment, _ tables: Tables) throws -> RecoveredState {
        try environment.read { transaction in
            var recovery = Recovery(tables: tables)
            try recovery.loadMeta(transaction)
            try recovery.loadCollections(transaction)
            try recovery.replay(transaction)
            try recovery.state.records.finishRecovery()
            return recovery.state
        }
    }

    private init(tables: Tables) {
        self.tables = tables
    }

    private mutating func loadMeta(_ transaction: borrowing ReadTransaction) throws {
        state.checkpointedGroup =
            try tables.integer(UInt64.self, for: MetaKey(.checkpoint), transaction) ?? 0
        state.lastGroup = state.checkpointedGroup
        try state.records.load(tables, transaction)
    }

    // MARK: - Tables

    private mutating func loadCollections(_ transaction: borrowing ReadTransaction) throws {
        try forEachRecord(.rows, tables.rows, transaction) { collection, key, value throws(StoreError) in
            try collection.rows.load(value, key: key, into: collection)
        }
        for collection in state.records.catalogue.all { try collection.rows.checkLastRowIsWhole(of: collection) }
        try forEachRecord(.features, tables.features, transaction) { collection, key, value throws(StoreError) in
            try collection.features.load(value, key: key, into: collection)
        }
        for collection in state.records.catalogue.all { try collection.features.checkLastRowIsWhole(of: collection) }
        try forEachRecord(.frequency, tables.frequency, transaction) { collection, key, value throws(StoreError) in
            guard let kind = collection.frequencyKinds.first(where: { $0.keys.contains(key.record) }) else {
                throw Checksum.corrupt(key, "frequency", "there is no such record")
            }
            try kind.load(value, key: key, into: collection)
        }
        for collection in state.records.catalogue.all { try checkSums(of: collection, transaction) }
    }

    /// Throws `corrupt` if the tables do not have the records that the checkpoint wrote last. A
    /// checksum does not reveal that a record is missing or of another time. The sums do.
    private func checkSums(of collection: Collection, _ transaction: borrowing ReadTransaction) throws {
        let number = collection.number
        // A directory of version 2 has no sums. The next checkpoint begins with those that were found.
        guard let expected = try CollectionSums.read(number: number, in: tables.meta, transaction) else { return }
        for table in CollectionTable.allCases where collection.sums[table] != expected[table] {
            throw StoreError(
                .corrupt,
                "corrupt table '\(table)': collection \(number) has \(collection.sums[table]), "
                    + "expected \(expected[table])"
            )
        }
    }

    /// Calls `body` with each record of a collection in the catalogue. The records of a dropped collection are skipped.
    /// Throws `corrupt` if there is no such collection.
    private mutating func forEachRecord<Key: CollectionKey>(
        _ kind: CollectionTable,
        _ table: Table<Key>,
        _ transaction: borrowing ReadTransaction,
        _ body: (Collection, Key, UnsafeRawBufferPointer) throws(StoreError) -> Void
    ) throws {
        var next: Key? = Key.first(of: 0)
        while let first = next {
            next = nil
            var current: Collection?
            var droppedNumber: UInt32?
            try transaction.forEach(in: table, from: first) { key, value in
                if current?.number != key.collection {
                    guard let known = state.records.catalogue[number: key.collection] else {
                        droppedNumber = key.collection
                        return false
                    }
                    current = known
                }
                try body(current!, key, value)
                current!.sums[kind].add(value)
                highestApplied = max(highestApplied, Checksum.appliedGroup(in: value))
                return true
            }
            if let droppedNumber {
                let first = Key.first(of: droppedNumber)
                guard state.records.isDropped(droppedNumber) else {
                    throw Checksum.corrupt(first, table.name, "there is no collection \(droppedNumber)")
                }
                if droppedNumber < .max { next = Key.first(of: droppedNumber + 1) }
            }
        }
    }

    // MARK: - Journal

    private mutating func replay(_ transaction: borrowing ReadTransaction) throws {
        let interpreter = OperationInterpreter(records: state.records)
        let checkpointed = state.checkpointedGroup
        state.hasCutGroups = try transaction.first(in: tables.journal).map { $0.group <= checkpointed } ?? false
        try JournalGroup.forEach(in: tables.journal, after: checkpointed, transaction) {
            number,
            bytes throws(StoreError) in
            try interpreter.apply(OperationReader(group: bytes), group: number)
            state.lastGroup = number
            state.replayedGroupCount += 1
        }
        state.journalByteCount = try transaction.byteCount(of: tables.journal)
        guard highestApplied <= state.lastGroup else {
            throw StoreError(
                .corrupt,
                "corrupt table 'journal': it ends with group \(state.lastGroup), a record contains \(highestApplied)"
            )
        }
    }
}
