import Foundation
import LMDB
import Logging
import PackedStrings
import SystemSupport
import TestSupport
import Testing

@testable import ItemStore

/// Files of a directory that are missing, empty, of another directory, older than the others, or removed while the
/// store is open.
@Suite struct LostFilesTests {
    private static let configuration = CollectionConfiguration(dimension: 1)

    private static func put(_ number: Int) -> Write {
        .put(collection: "c", id: Array("id-\(number)".utf8), vector: [Float(number)], features: nil)
    }

    /// A closed store with one item.
    private static func filled() throws -> StoreFixture {
        let fixture = try StoreFixture()
        try fixture.apply([.create(name: "c", configuration), put(1)])
        fixture.close(checkpointing: true)
        return fixture
    }

    private static func refusal(_ fixture: StoreFixture) throws -> StoreError {
        let error = #expect(throws: StoreError.self) { try fixture.restart(checkpointing: false) }
        return try #require(error)
    }

    private static func contents(_ fixture: StoreFixture, _ name: String) throws -> Data {
        try Data(contentsOf: url(fixture, name))
    }

    private static func url(_ fixture: StoreFixture, _ name: String) -> URL {
        URL(fileURLWithPath: fixture.directory.path + "/" + name)
    }

    private static func remove(_ fixture: StoreFixture, _ name: String) throws {
        try FileManager.default.removeItem(at: url(fixture, name))
    }

    // MARK: - At the start

    @Test(arguments: [true, false])
    func aMissingDataFileIsNoNewDirectory(hasHead: Bool) throws {
        let fixture = try Self.filled()
        try Self.remove(fixture, "data.mdb")
        if !hasHead { try Self.remove(fixture, "HEAD") }
        let error = try Self.refusal(fixture)
        #expect(error.code == .corrupt)
        #expect(error.message.contains("'\(fixture.directory.path)/data.mdb' is missing"), "\(error)")
        #expect(!fileExists(fixture.directory.path + "/data.mdb"))
    }

    @Test(arguments: [0, 1, 4_096, 8_192, 12_288])
    func aShortDataFileIsRefused(byteCount: Int) throws {
        let fixture = try Self.filled()
        try Self.contents(fixture, "data.mdb").prefix(byteCount).write(to: Self.url(fixture, "data.mdb"))
        for file in ["HEAD", "none"] {
            let error = try Self.refusal(fixture)
            #expect(error.code == .corrupt)
            #expect(error.message.contains(fixture.directory.path + "/data.mdb"), "\(error)")
            if file == "HEAD" { try Self.remove(fixture, "HEAD") }
        }
        #expect(try Self.contents(fixture, "data.mdb").count == byteCount)
    }

    @Test func theDataFileOfAnotherDirectoryIsRefused() throws {
        let fixture = try Self.filled()
        let other = try Self.filled()
        try Self.contents(other, "data.mdb").write(to: Self.url(fixture, "data.mdb"))
        let error = try Self.refusal(fixture)
        #expect(error.code == .corrupt)
        #expect(error.message.contains("does not belong"), "\(error)")
    }

    @Test func anOlderDataFileIsRefused() throws {
        let fixture = try Self.filled()
        let older = try Self.contents(fixture, "data.mdb")
        try fixture.restart(checkpointing: false)
        try fixture.apply([Self.put(2)])
        fixture.close(checkpointing: false)
        try older.write(to: Self.url(fixture, "data.mdb"))
        let error = try Self.refusal(fixture)
        #expect(error.code == .corrupt)
        #expect(error.message.contains("older copy"), "\(error)")
        try Self.remove(fixture, "HEAD")
        try fixture.restart(checkpointing: false)
        #expect(fixture.store.collection(named: "c")?.idCount == 1)
    }

    /// LMDB falls back to the transaction before the last one, whose pages are all whole.
    @Test func aLostMetaPageIsNoticed() throws {
        let fixture = try Self.filled()
        try fixture.restart(checkpointing: false)
        try fixture.apply([Self.put(2)])
        try fixture.apply([Self.put(3)])
        let before = try Self.contents(fixture, "data.mdb")
        try fixture.apply([Self.put(4)])
        fixture.close(checkpointing: false)
        var after = try Self.contents(fixture, "data.mdb")
        // The page that the last commit wrote, as it was before. All other pages are as they are now.
        for page in [0..<4_096, 4_096..<8_192] where after[page] != before[page] {
            after.replaceSubrange(page, with: before[page])
        }
        try after.write(to: Self.url(fixture, "data.mdb"))
        #expect(try Self.refusal(fixture).code == .corrupt)
    }

    /// A copy of `data.mdb` alone is a backup.
    @Test func aDataFileAloneIsServed() throws {
        let fixture = try Self.filled()
        for name in ["HEAD", "LOCK", "lock.mdb"] { try Self.remove(fixture, name) }
        try fixture.restart(checkpointing: false)
        #expect(fixture.store.collection(named: "c")?.idCount == 1)
        try fixture.restart(checkpointing: true)
        #expect(fixture.store.collection(named: "c")?.idCount == 1)
        #expect(fileExists(fixture.directory.path + "/HEAD"))
    }

    @Test func aDamagedHeadIsRefused() throws {
        let fixture = try Self.filled()
        let head = try Self.contents(fixture, "HEAD")
        for offset in head.indices {
            var damaged = head
            damaged[offset] ^= 4
            try damaged.write(to: Self.url(fixture, "HEAD"))
            let error = try Self.refusal(fixture)
            #expect(error.code == .corrupt)
            #expect(error.message.contains(fixture.directory.path + "/HEAD"), "\(error)")
        }
        try head.prefix(20).write(to: Self.url(fixture, "HEAD"))
        #expect(try Self.refusal(fixture).code == .corrupt)
    }

    /// A process that ended while it made the directory leaves its parts.
    @Test func aDirectoryThatWasNotFinishedBeginsAgain() throws {
        let directory = try TemporaryDirectory()
        try FileManager.default.createDirectory(atPath: directory.path + "/new", withIntermediateDirectories: false)
        for name in ["LOCK", "new/data.mdb", "new/lock.mdb", "HEAD.new"] {
            try Data(repeating: 7, count: 4_096).write(to: URL(fileURLWithPath: directory.path + "/" + name))
        }
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let store = try ItemStore.open(StoreConfiguration(directory: directory.path), logger: logger)
        let outcomes = try store.apply([.create(name: "c", Self.configuration), Self.put(1)])
        #expect(outcomes == [.done, .done])
        store.close()
        #expect(!fileExists(directory.path + "/new"))
    }

    /// The list of dropped collections is in the `meta` table. A number that is nowhere is damage.
    @Test func anUnknownCollectionIsCorrupt() throws {
        let fixture = try Self.filled()
        let environment = try fixture.directory.environment()
        try environment.write { transaction in
            let tables = try Tables(in: transaction)
            _ = try transaction.delete(MetaKey(.collection, number: 1), from: tables.meta)
        }
        withExtendedLifetime(consume environment) {}
        let error = try Self.refusal(fixture)
        #expect(error.code == .corrupt)
        #expect(error.message.contains("there is no collection 1"), "\(error)")
    }

    /// The limit on file sizes stands for a disk with little room. It applies to the whole process, so the test runs in
    /// a child process.
    @Test func aDirectoryThatWasMadeWithoutRoomBeginsAgain() async {
        await #expect(processExitsWith: .success) {
            signal(SIGXFSZ, SIG_IGN)
            func limit(_ byteCount: UInt64) {
                var limit = rlimit(rlim_cur: rlim_t(byteCount), rlim_max: .max)
                #if canImport(Darwin)
                setrlimit(RLIMIT_FSIZE, &limit)
                #else
                setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
                #endif
            }
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            let directory = try TemporaryDirectory()
            let configuration = StoreConfiguration(directory: directory.path)
            for room: UInt64 in [0, 4_096, 8_192, 12_288] {
                limit(room)
                do throws(StoreError) {
                    _ = try ItemStore.open(configuration, logger: logger)
                    fatalError("it opened with \(room) bytes")
                } catch {
                    precondition(error.code == .full, "\(room): \(error)")
                }
                precondition(!fileExists(directory.path + "/data.mdb"))
            }
            limit(1 << 40)
            let store = try ItemStore.open(configuration, logger: logger)
            let outcomes = try store.apply([.create(name: "c", Self.configuration), Self.put(1)])
            precondition(outcomes == [.done, .done])
            store.close()
        }
    }

    /// The copier reads the file in pieces while writes and checkpoints go on, from its begin or from its end.
    @Test(arguments: [true, false])
    func aCopyThatWasMadeDuringWritesIsRefusedOrRight(fromBegin: Bool) throws {
        var limits = StoreLimits()
        limits.checkpointAtJournalBytes = 20_000
        limits.checkpointSliceBytes = 5_000
        let fixture = try StoreFixture(limits: limits)
        try fixture.apply([.create(name: "c", Self.configuration)] + (0..<300).map(Self.put))
        var refusedCount = 0
        let copyCount = TestScale.isFull ? 500 : 20
        var written = 300
        for _ in 0..<copyCount {
            let source = try FileHandle(forReadingFrom: Self.url(fixture, "data.mdb"))
            let pageCount = Int(try source.seekToEnd()) / 4_096
            let pages = Array(stride(from: 0, to: pageCount, by: 8))
            let copy = try StoreFixture()
            copy.close()
            for name in ["HEAD", "data.mdb"] { try Self.remove(copy, name) }
            try Data(count: pageCount * 4_096).write(to: Self.url(copy, "data.mdb"))
            let target = try FileHandle(forWritingTo: Self.url(copy, "data.mdb"))
            let atBegin = written
            for page in fromBegin ? pages : pages.reversed() {
                try source.seek(toOffset: UInt64(page) * 4_096)
                try target.seek(toOffset: UInt64(page) * 4_096)
                try target.write(contentsOf: try source.read(upToCount: 8 * 4_096) ?? Data())
                // Some ids are new, and some get another embedding.
                try fixture.apply([Self.put(written), Self.put(written % 300)])
                written += 1
            }
            do {
                try copy.restart(checkpointing: false)
                let collection = try #require(copy.store.collection(named: "c"))
                #expect((atBegin...written).contains(collection.idCount))
                let ids = PackedStrings((0..<collection.idCount).map { Array("id-\($0)".utf8) })
                let expected = (0..<collection.idCount).map { Float($0) }
                #expect(collection.embeddings(of: ids, 0..<ids.count).values == expected)
            } catch let error as StoreError {
                refusedCount += 1
                #expect(error.code == .corrupt, "\(error)")
            }
        }
        print("\(refusedCount) of \(copyCount) copies were refused")
    }

    // MARK: - While the store is open

    enum Loss: String, CaseIterable {
        case removedData, removedLock, replacedLock, shortenedData
    }

    @Test(arguments: Loss.allCases)
    func aLostFileEndsWriting(loss: Loss) throws {
        let fixture = try StoreFixture()
        try fixture.apply([.create(name: "c", Self.configuration), Self.put(1)])
        switch loss {
        case .removedData: try Self.remove(fixture, "data.mdb")
        case .removedLock: try Self.remove(fixture, "LOCK")
        case .replacedLock: try Data().write(to: Self.url(fixture, "LOCK"), options: .atomic)
        case .shortenedData: truncate(fixture.directory.path + "/data.mdb", 8_192)
        }
        let outcome = try fixture.apply([Self.put(2)])[0]
        guard case .failed(let error) = outcome else {
            Issue.record("the write was accepted")
            return
        }
        #expect(error.code == .readOnly)
        let name = loss == .removedLock || loss == .replacedLock ? "LOCK" : "data.mdb"
        #expect(error.message.contains("'\(fixture.directory.path)/\(name)'"), "\(error)")
        #expect(fixture.store.statistics().failure == error.message)
        fixture.close(checkpointing: true)
    }

    /// An idle store notices it, too.
    @Test func anIdleStoreNoticesALostFile() throws {
        var limits = StoreLimits()
        limits.idleCheckpointMilliseconds = 20
        let fixture = try StoreFixture(limits: limits)
        try fixture.apply([.create(name: "c", Self.configuration)])
        try Self.remove(fixture, "data.mdb")
        try wait(until: { fixture.store.statistics().failure != nil }, "the store to notice")
        #expect(fixture.store.statistics().failure?.contains("it is gone") == true)
    }
}
