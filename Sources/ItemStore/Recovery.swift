import LMDB
import SamplingFrequency

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What a store continues from.
struct RecoveredState {
    var catalogue = Catalogue()
    var lastGroup: UInt64 = 0
    var checkpointedGroup: UInt64 = 0
    var journalByteCount = 0
    /// The journal still has groups that are in the tables.
    var hasCutGroups = false
    var nextCollectionNumber: UInt32 = 1
    /// Collections that are gone but have records left.
    var droppedNumbers: [UInt32] = []
    var replayedGroupCount = 0
}

/// Recovery: load the tables in row order, replay the journal, build the id tables.
///
/// The tables are a fuzzy copy: each record says which groups it contains (`applied`), and different records say
/// different things. Replay applies an operation to a record only if the record is older. Nothing else runs meanwhile,
/// so nothing is locked.
struct Recovery {
    private let tables: Tables
    private var state = RecoveredState()
    private var loading: [UInt32: LoadingCollection] = [:]

    /// Reads everything in one transaction; changes nothing on disk.
    static func run(_ environment: Environment, _ tables: Tables) throws -> RecoveredState {
        try environment.read { transaction in
            var recovery = Recovery(tables: tables)
            try recovery.loadMeta(transaction)
            try recovery.loadRows(transaction)
            try recovery.loadFeatures(transaction)
            try recovery.loadFrequency(transaction)
            try recovery.replay(transaction)
            try recovery.finish()
            return recovery.state
        }
    }

    private init(tables: Tables) {
        self.tables = tables
    }

    // MARK: - Tables

    private mutating func loadMeta(_ transaction: borrowing ReadTransaction) throws {
        state.checkpointedGroup =
            try tables.integer(UInt64.self, for: MetaKey(.checkpoint), transaction) ?? 0
        state.lastGroup = state.checkpointedGroup
        state.nextCollectionNumber =
            try tables.integer(UInt32.self, for: MetaKey(.nextCollection), transaction) ?? 1
        var collections: [(String, Collection)] = []
        try transaction.forEach(in: tables.meta, from: MetaKey(.collection)) { key, value in
            let record = try CatalogueRecord(value, key: key)
            let collection = try Collection(number: key.number, configuration: record.configuration)
            collections.append((record.name, collection))
            return true
        }
        for (name, collection) in collections {
            state.catalogue.add(collection, named: name)
            loading[collection.number] = LoadingCollection(collection)
        }
    }

    private mutating func loadRows(_ transaction: borrowing ReadTransaction) throws {
        try forEachRecord(of: tables.rows, transaction) { loading, key, value throws(StoreError) in
            if key.part == 0 {
                try loading.loadFirstPart(value, key: key)
            } else {
                try loading.loadNextPart(value, key: key)
            }
        }
        for loading in loading.values { try loading.checkVectorIsWhole() }
    }

    private mutating func loadFeatures(_ transaction: borrowing ReadTransaction) throws {
        try forEachRecord(of: tables.features, transaction) { loading, key, value throws(StoreError) in
            try loading.loadFeatures(value, key: key)
        }
    }

    private mutating func loadFrequency(_ transaction: borrowing ReadTransaction) throws {
        try forEachRecord(of: tables.frequency, transaction) { loading, key, value throws(StoreError) in
            try loading.loadFrequency(value, key: key)
        }
    }

    /// Calls `body` with each record of a live collection. Of a dropped one only the number is noted.
    private mutating func forEachRecord<Key: CollectionKey>(
        of table: Table<Key>,
        _ transaction: borrowing ReadTransaction,
        _ body: (LoadingCollection, Key, UnsafeRawBufferPointer) throws(StoreError) -> Void
    ) throws {
        var next: Key? = Key.first(of: 0)
        while let first = next {
            next = nil
            var current: LoadingCollection?
            var droppedNumber: UInt32?
            try transaction.forEach(in: table, from: first) { key, value in
                if current?.collection.number != key.collection {
                    guard let known = loading[key.collection] else {
                        droppedNumber = key.collection
                        return false
                    }
                    current = known
                }
                try body(current!, key, value)
                return true
            }
            if let droppedNumber {
                if !state.droppedNumbers.contains(droppedNumber) { state.droppedNumbers.append(droppedNumber) }
                if droppedNumber < .max { next = Key.first(of: droppedNumber + 1) }
            }
        }
    }

    // MARK: - Journal

    private mutating func replay(_ transaction: borrowing ReadTransaction) throws {
        var assembler = JournalAssembler()
        var hasCutGroups = false
        let checkpointed = state.checkpointedGroup
        try transaction.forEach(in: tables.journal) { key, value in
            if key.group <= checkpointed {
                hasCutGroups = true
                return true
            }
            if let group = try assembler.add(value, key: key) {
                guard key.group == state.lastGroup + 1 else {
                    throw Checksum.corrupt(key, "journal", "expected group \(state.lastGroup + 1)")
                }
                try apply(group, number: key.group)
                state.lastGroup = key.group
                state.replayedGroupCount += 1
            }
            return true
        }
        try assembler.finish()
        state.journalByteCount = try transaction.byteCount(of: tables.journal)
        state.hasCutGroups = hasCutGroups
    }

    private func apply(_ group: [UInt8], number: UInt64) throws(StoreError) {
        try group.withUnsafeBytesTyped { bytes throws(StoreError) in
            var reader = OperationReader(group: bytes)
            while let (collection, operation) = try reader.next() {
                // The operations of a dropped collection are skipped.
                try loading[collection]?.replay(operation, group: number)
            }
        }
    }

    private func finish() throws(StoreError) {
        for loading in loading.values { try loading.finish() }
    }
}

extension Array {
    /// `withUnsafeBytes` that says which errors it throws.
    fileprivate func withUnsafeBytesTyped<E: Error>(
        _ body: (UnsafeRawBufferPointer) throws(E) -> Void
    ) throws(E) {
        var failure: E?
        withUnsafeBytes { bytes in
            do throws(E) { try body(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}
