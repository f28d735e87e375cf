import Foundation
import LMDB
import Logging
import PackedStrings
import TestSupport
import Testing

@testable import ItemStore

/// Data directories in every condition: in use, of another version, damaged, read-only, full.
@Suite struct DataDirectoryTests {
    private static let quiet: Logger = {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return logger
    }()

    private static func open(_ directory: TemporaryDirectory, isReadOnly: Bool = false) throws -> ItemStore {
        try ItemStore.open(
            StoreConfiguration(directory: directory.path, isReadOnly: isReadOnly),
            logger: quiet
        )
    }

    /// A directory with records of every kind in its tables or in its journal.
    private static func filled(checkpointing: Bool) throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        let store = try open(directory)
        _ = try store.apply([
            .create(name: "c", CollectionConfiguration(dimension: 3)),
            .put(collection: "c", id: Array("a".utf8), vector: [1, 2, 3], features: Array(#"{"x":1}"#.utf8)),
            .put(collection: "c", id: Array("b".utf8), vector: [4, 5, 6], features: nil),
            .observe(
                collection: "c",
                step: 1,
                sequence: ProducerSequence(producer: "w", number: 9),
                ids: PackedStrings([Array("a".utf8)])
            ),
        ])
        store.close(checkpointing: checkpointing)
        return directory
    }

    /// Opens the directory with only the LMDB wrapper.
    private static func tamper(
        _ directory: TemporaryDirectory,
        _ body: (borrowing WriteTransaction, Tables) throws -> Void
    ) throws {
        let environment = try directory.environment()
        try environment.write { transaction in try body(transaction, try Tables(in: transaction)) }
    }

    private static func flipByte<Key: TableKey>(
        at offset: Int,
        of key: Key,
        in table: Table<Key>,
        _ transaction: borrowing WriteTransaction
    ) throws {
        var bytes = try transaction.withValue(of: key, in: table) { value in Array(try #require(value)) }
        bytes[offset < 0 ? bytes.count + offset : offset] ^= 0x10
        try bytes.withUnsafeBytes { try transaction.put($0, for: key, in: table) }
    }

    private static func openingFails(_ directory: TemporaryDirectory) throws -> StoreError {
        do {
            _ = try open(directory)
        } catch let error as StoreError {
            return error
        }
        throw StoreError(.internalError, "the store opened")
    }

    // MARK: - Damage

    @Test(arguments: [0, 5, -1])
    func aDamagedRowIsNamed(offset: Int) throws {
        let directory = try Self.filled(checkpointing: true)
        try Self.tamper(directory) { transaction, tables in
            try Self.flipByte(at: offset, of: RowKey(collection: 1, row: 1), in: tables.rows, transaction)
        }
        let error = try Self.openingFails(directory)
        #expect(error.code == .corrupt)
        #expect(error.message.contains("table 'rows', key RowKey(collection: 1, row: 1, part: 0)"), "\(error)")
    }

    @Test func damagedFeaturesFrequenciesAndCatalogueAreNamed() throws {
        for table in ["features", "frequency", "meta"] {
            let directory = try Self.filled(checkpointing: true)
            try Self.tamper(directory) { transaction, tables in
                switch table {
                case "features":
                    let key = FeatureKey(collection: 1, row: 0)
                    try Self.flipByte(at: -2, of: key, in: tables.features, transaction)
                case "frequency":
                    let key = FrequencyKey(collection: 1, record: 0)
                    try Self.flipByte(at: 40, of: key, in: tables.frequency, transaction)
                default:
                    try Self.flipByte(at: -1, of: MetaKey(.collection, number: 1), in: tables.meta, transaction)
                }
            }
            let error = try Self.openingFails(directory)
            #expect(error.code == .corrupt)
            #expect(error.message.contains("table '\(table)'"), "\(error)")
        }
    }

    @Test func aDamagedOrMissingJournalFrameIsNamed() throws {
        for isMissing in [false, true] {
            let directory = try Self.filled(checkpointing: false)
            try Self.tamper(directory) { transaction, tables in
                let key = try #require(try transaction.first(in: tables.journal))
                if isMissing {
                    // The group begins with its length, which is now greater than the remaining bytes.
                    var bytes = try transaction.withValue(of: key, in: tables.journal) { Array(try #require($0)) }
                    bytes.removeLast()
                    bytes.withUnsafeMutableBytes { Checksum.seal($0, key: key) }
                    try bytes.withUnsafeBytes { try transaction.put($0, for: key, in: tables.journal) }
                } else {
                    try Self.flipByte(at: -1, of: key, in: tables.journal, transaction)
                }
            }
            let error = try Self.openingFails(directory)
            #expect(error.code == .corrupt)
            #expect(error.message.contains("table 'journal'"), "\(error)")
        }
    }

    @Test func aRecordUnderAnotherKeyIsCorrupt() throws {
        let directory = try Self.filled(checkpointing: true)
        try Self.tamper(directory) { transaction, tables in
            let key = RowKey(collection: 1, row: 0)
            let bytes = try transaction.withValue(of: key, in: tables.rows) { Array(try #require($0)) }
            try bytes.withUnsafeBytes {
                try transaction.put($0, for: RowKey(collection: 1, row: 1), in: tables.rows)
            }
        }
        #expect(try Self.openingFails(directory).code == .corrupt)
    }

    /// The record is whole, and LMDB's trees are, too: a write that the disk has lost, or a page of another copy.
    @Test(arguments: ["rows", "features", "frequency"], [true, false])
    func aRecordOfAnotherTimeAndAMissingOneAreNoticed(table: String, isMissing: Bool) throws {
        let directory = try Self.filled(checkpointing: true)
        var older: [UInt8] = []
        func restore<Key: TableKey>(
            _ key: Key,
            _ table: Table<Key>,
            _ transaction: borrowing WriteTransaction
        ) throws {
            if older.isEmpty {
                older = try transaction.withValue(of: key, in: table) { Array(try #require($0)) }
            } else if isMissing {
                #expect(try transaction.delete(key, from: table))
            } else {
                try older.withUnsafeBytes { try transaction.put($0, for: key, in: table) }
            }
        }
        func visit() throws {
            try Self.tamper(directory) { transaction, tables in
                switch table {
                case "rows": try restore(RowKey(collection: 1, row: 0), tables.rows, transaction)
                case "features": try restore(FeatureKey(collection: 1, row: 0), tables.features, transaction)
                default: try restore(FrequencyKey(collection: 1, record: 0), tables.frequency, transaction)
                }
            }
        }
        try visit()
        let store = try Self.open(directory)
        _ = try store.apply([
            .put(collection: "c", id: Array("a".utf8), vector: [7, 8, 9], features: Array(#"{"x":2}"#.utf8)),
            .observe(collection: "c", step: 2, sequence: nil, ids: PackedStrings([Array("a".utf8)])),
        ])
        store.close(checkpointing: true)
        withExtendedLifetime(consume store) {}
        try visit()
        let error = try Self.openingFails(directory)
        #expect(error.code == .corrupt)
        #expect(error.message.contains("corrupt table '\(table)': collection 1 has"), "\(error)")
    }

    // MARK: - Versions and holders

    @Test func anUnknownSchemaIsRefused() throws {
        let directory = try Self.filled(checkpointing: true)
        try Self.tamper(directory) { transaction, tables in
            try tables.putInteger(Tables.schemaVersion + 1, for: MetaKey(.schema), transaction)
        }
        let error = try Self.openingFails(directory)
        #expect(error.code == .unknownSchema)
        #expect(error.message.contains("got schema version \(Tables.schemaVersion + 1)"), "\(error)")
    }

    @Test func aDirectoryHoldsOneStore() throws {
        let directory = try TemporaryDirectory()
        let first = try Self.open(directory)
        let error = try Self.openingFails(directory)
        #expect(error.code == .directoryInUse)
        #expect(error.message.contains("process \(getpid())"), "\(error)")
        first.close()
    }

    @Test(arguments: [true, false])
    func readOnlyServesTheStoredDataAndRefusesWrites(checkpointing: Bool) throws {
        let directory = try Self.filled(checkpointing: checkpointing)
        let store = try Self.open(directory, isReadOnly: true)
        let ids = PackedStrings([Array("a".utf8), Array("b".utf8)])
        let collection = try #require(store.collection(named: "c"))
        #expect(collection.embeddings(of: ids, 0..<2).values == [1, 2, 3, 4, 5, 6])
        #expect(throws: StoreError(.readOnly, "the daemon was started read-only")) {
            try store.submit(WriteBatch([.drop(name: "c")]) { _ in })
        }
        store.close()
    }

    @Test func aReadOnlyStoreSaysWhatItHasReplayed() throws {
        let directory = try Self.filled(checkpointing: false)
        let store = try Self.open(directory, isReadOnly: true)
        #expect(store.statistics().replayedGroupCount > 0)
        #expect(store.statistics().lastGroup == UInt64(store.statistics().replayedGroupCount))
        store.close()
    }

    /// A reader does not write its number into `LOCK`, where that of an ended writer may be.
    @Test func theNumberOfAnEndedProcessIsNotNamed() throws {
        let directory = try Self.filled(checkpointing: true)
        try Data("4194999\n".utf8).write(to: URL(fileURLWithPath: directory.path + "/LOCK"))
        let reader = try Self.open(directory, isReadOnly: true)
        let error = try Self.openingFails(directory)
        #expect(error.code == .directoryInUse)
        #expect(error.message.hasSuffix("is in use by another process, which may be read-only"), "\(error)")
        reader.close()
    }

    /// A copy of `data.mdb` alone can be looked at, and stays as it is.
    @Test func aDataFileAloneIsServedReadOnly() throws {
        let directory = try Self.filled(checkpointing: true)
        for name in ["HEAD", "LOCK", "lock.mdb"] {
            try FileManager.default.removeItem(atPath: directory.path + "/" + name)
        }
        let data = try Data(contentsOf: URL(fileURLWithPath: directory.path + "/data.mdb"))
        let store = try Self.open(directory, isReadOnly: true)
        #expect(store.collection(named: "c")?.idCount == 2)
        store.close()
        #expect(try Data(contentsOf: URL(fileURLWithPath: directory.path + "/data.mdb")) == data)
        let names = try FileManager.default.contentsOfDirectory(atPath: directory.path)
        #expect(Set(names) == ["data.mdb", "LOCK"])
    }

    // MARK: - Bounds

    /// Some network file systems report petabytes, or the largest number of blocks that fits the integer.
    @Test func theMapFitsAnAddressSpace() {
        #expect(DataDirectory.mapSize(blockCount: 0, blockSize: 4_096) == 64 << 30)
        #expect(DataDirectory.mapSize(blockCount: 1 << 28, blockSize: 4_096) == 2 << 40)
        #expect(DataDirectory.mapSize(blockCount: 1 << 40, blockSize: 4_096) == 16 << 40)
        #expect(DataDirectory.mapSize(blockCount: .max, blockSize: 1 << 20) == 16 << 40)
    }

    @Test func aFullQueueIsBusyAndAClosedStoreIsDraining() throws {
        var limits = StoreLimits()
        limits.writeQueueBytesMax = 200
        let fixture = try StoreFixture(limits: limits)
        let gate = Gate()
        func put(completion: @escaping @Sendable ([WriteOutcome]) -> Void = { _ in }) -> WriteBatch {
            let vector = [Float](repeating: 0, count: 100)
            return WriteBatch([.put(collection: "c", id: [1], vector: vector, features: nil)], completion: completion)
        }
        // An empty queue takes a batch over its bound.
        try fixture.store.submit(put { _ in gate.pass() })
        try gate.waitUntilReached()
        try fixture.store.submit(put())
        do {
            try fixture.store.submit(put())
            Issue.record("a batch was accepted in spite of the bound")
        } catch {
            #expect(error.code == .busy)
        }
        gate.open()
        fixture.store.close()
        do {
            try fixture.store.submit(WriteBatch([.drop(name: "c")]) { _ in })
            Issue.record("a closed store accepted a batch")
        } catch {
            #expect(error.code == .draining)
        }
    }

    @Test func limitsOfCollectionsProducersAndSteps() throws {
        var limits = StoreLimits()
        limits.collectionsMax = 1
        limits.producersMax = 1
        let fixture = try StoreFixture(limits: limits)
        let configuration = CollectionConfiguration(dimension: 2)
        let ids = PackedStrings([Array("a".utf8)])
        let outcomes = try fixture.apply([
            .create(name: "c", configuration),
            .create(name: "d", configuration),
            .observe(collection: "c", step: 1, sequence: ProducerSequence(producer: "v", number: 1), ids: ids),
            .observe(collection: "c", step: 2, sequence: ProducerSequence(producer: "w", number: 1), ids: ids),
            .observe(collection: "c", step: RequestedStep(.max, isJump: true), sequence: nil, ids: ids),
            .observe(collection: "c", step: nil, sequence: nil, ids: ids),
        ])
        let codes = outcomes.map { outcome -> StoreError.Code? in
            if case .failed(let error) = outcome { error.code } else { nil }
        }
        #expect(codes == [nil, .limit, nil, .limit, nil, .limit])
    }

    @Test func newIDsBeyondTheMemoryAreRefusedAndNothingIsChanged() throws {
        var limits = StoreLimits()
        limits.memoryBytesMax = ItemChunk.byteCount(dimension: 2) + 40_000
        let fixture = try StoreFixture(limits: limits)
        func put(_ number: Int) -> Write {
            .put(collection: "c", id: Array("\(number)".utf8), vector: [1, Float(number)], features: nil)
        }
        let outcomes = try fixture.apply(
            [.create(name: "c", CollectionConfiguration(dimension: 2, recentCount: 0))] + (0..<1_025).map(put)
        )
        #expect(outcomes.dropLast().allSatisfy { $0 == .done })
        guard case .failed(let error) = outcomes.last else {
            Issue.record("the write was accepted")
            return
        }
        #expect(error.code == .full && error.message.contains("bytes of memory"), "\(error)")
        let collection = try #require(fixture.store.collection(named: "c"))
        #expect(collection.idCount == 1_024)
        // Existing ids can still be written, and freed room can be used at once.
        let again = try fixture.apply([
            put(7), .delete(collection: "c", ids: PackedStrings([Array("8".utf8)])), put(9), put(1_024), put(1_025),
        ])
        #expect(again.dropLast() == [.done, .deleted([true]), .done, .done])
        // The memory of the id table differs a little from run to run.
        guard case .failed(let error) = again.last else {
            Issue.record("the write was accepted")
            return
        }
        #expect(error.code == .full)
    }

    /// This holds even if the process ended before it erased them. Then the list of dropped collections shows it. In a
    /// directory of version 2, only the missing catalogue record does.
    @Test(arguments: [nil, 2, 3] as [UInt32?])
    func recordsOfDroppedCollectionsAreErased(byProcessOfVersion version: UInt32?) throws {
        let directory = try Self.filled(checkpointing: true)
        if let version {
            try Self.tamper(directory) { transaction, tables in
                _ = try transaction.delete(MetaKey(.collection, number: 1), from: tables.meta)
                if version == 3 {
                    try tables.putInteger(UInt64(1), for: MetaKey(.dropped, number: 1), transaction)
                } else {
                    try tables.putInteger(version, for: MetaKey(.schema), transaction)
                }
            }
            if version == 2 { try FileManager.default.removeItem(atPath: directory.path + "/HEAD") }
        }
        do {
            let store = try Self.open(directory)
            if version == nil { _ = try store.apply([.drop(name: "c")]) }
            _ = try store.apply([.create(name: "c", CollectionConfiguration(dimension: 3))])
            #expect(store.collection(named: "c")?.idCount == 0)
            let deadline = ContinuousClock().now + .seconds(20)
            while store.statistics().droppedCollectionCount > 0 {
                try #require(ContinuousClock().now < deadline, "the records were not erased")
                sched_yield()
            }
            store.close()
        }
        try Self.tamper(directory) { transaction, tables in
            let counts = [
                try transaction.entryCount(in: tables.rows), try transaction.entryCount(in: tables.features),
                try transaction.entryCount(in: tables.frequency),
            ]
            #expect(counts == [0, 0, 0])
            let key = MetaKey(.dropped, number: 1)
            #expect(try tables.integer(UInt64.self, for: key, transaction) == nil)
        }
    }

    #if os(Linux)
    /// A child process has the open file too, from its fork until it runs its program.
    @Test func aChildProcessDoesNotHoldTheDirectory() throws {
        let directory = try TemporaryDirectory()
        let store = try Self.open(directory)
        let held = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").filter { name in
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(name)")
            return target == directory.path + "/LOCK"
        }
        let copies = held.map { dup(Int32($0)!) }
        #expect(copies.count == 1)
        defer { for copy in copies { close(copy) } }
        store.close()
        // The store is retained until here; its last reference releases the directory.
        withExtendedLifetime(consume store) {}
        _ = try Self.open(directory)
    }
    #endif
}
