#if os(Linux)
import Foundation
import LMDB
import PackedStrings
import TestSupport
import Testing

@testable import ItemStore

/// The store's thread after a failure that ends writing: it waits, although checkpoint work is left.
@Suite struct FailedStoreTests {
    private static let configuration = CollectionConfiguration(dimension: 1)

    private static func put(_ collection: String, _ number: Int) -> Write {
        .put(collection: collection, id: Array("id-\(number)".utf8), vector: [1], features: nil)
    }

    /// The threads of this process.
    private static func threads() throws -> Set<String> {
        Set(try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task"))
    }

    /// The CPU time of a thread in nanoseconds, or nil if it has ended.
    private static func cpuTime(of thread: String) -> UInt64? {
        let text = try? String(contentsOfFile: "/proc/self/task/\(thread)/schedstat", encoding: .utf8)
        return text?.split(separator: " ").first.flatMap { UInt64($0) }
    }

    /// The largest CPU time that one of the threads takes within half a second.
    private static func cpuTimeInHalfASecond(of threads: Set<String>) throws -> UInt64 {
        let before = threads.map { ($0, cpuTime(of: $0)) }
        try wait(until: ContinuousClock.now + .milliseconds(500))
        return before.compactMap { thread, start in
            guard let start, let end = cpuTime(of: thread) else { return nil }
            return end - start
        }.max() ?? 0
    }

    /// Blocks the store's thread after a commit and before the next slice of the checkpoint. Then makes the next commit
    /// fail for good.
    private static func failNextCommit(of fixture: StoreFixture, _ write: Write) throws {
        let disk = try FullDisk(fixture.directory.path + "/data.mdb", isOfMetaPages: true)
        let gate = Gate()
        try fixture.store.submit(WriteBatch([write]) { _ in gate.pass() })
        try gate.waitUntilReached()
        disk.fill()
        let failed = DispatchSemaphore(value: 0)
        try fixture.store.submit(WriteBatch([write]) { _ in failed.signal() })
        gate.open()
        try wait(for: failed, "the store to answer")
        disk.restore()
        #expect(fixture.store.statistics().failure?.contains("No space left on device") == true)
    }

    private static func expectIdle(_ fixture: StoreFixture, since threads: Set<String>) throws {
        let own = try Self.threads().subtracting(threads)
        try #require(!own.isEmpty, "the store has no thread of its own")
        let nanoseconds = try cpuTimeInHalfASecond(of: own)
        #expect(nanoseconds < 50_000_000, "a thread of the store took \(nanoseconds) ns of half a second")
    }

    @Test func aPassThatIsUnderWayDoesNotSpin() throws {
        var limits = StoreLimits()
        limits.checkpointAtJournalBytes = 1
        limits.checkpointSliceBytes = 1
        limits.idleCheckpointMilliseconds = 60_000
        let threads = try Self.threads()
        let fixture = try StoreFixture(limits: limits)
        try fixture.apply([.create(name: "c", Self.configuration)] + (0..<1_000).map { Self.put("c", $0) })
        try Self.failNextCommit(of: fixture, Self.put("c", 0))
        #expect(fixture.store.statistics().journalByteCount > 0)
        try Self.expectIdle(fixture, since: threads)
    }

    @Test func anErasureThatIsUnderWayDoesNotSpin() throws {
        let fixture = try StoreFixture()
        try fixture.apply([.create(name: "c", Self.configuration)] + (0..<50_000).map { Self.put("c", $0) })
        try fixture.apply([.create(name: "kept", Self.configuration)])
        fixture.close(checkpointing: true)
        // As after a process that ended before it erased the records of a dropped collection.
        do {
            let environment = try fixture.directory.environment()
            try environment.write { transaction in
                let tables = try Tables(in: transaction)
                _ = try transaction.delete(MetaKey(.collection, number: 1), from: tables.meta)
                try tables.putInteger(UInt64(1), for: MetaKey(.dropped, number: 1), transaction)
            }
        }
        let threads = try Self.threads()
        fixture.limits.idleCheckpointMilliseconds = 60_000
        try fixture.restart(checkpointing: false)
        try Self.failNextCommit(of: fixture, Self.put("kept", 0))
        #expect(fixture.store.statistics().droppedCollectionCount == 1)
        try Self.expectIdle(fixture, since: threads)
    }
}
#endif
