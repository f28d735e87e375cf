#if os(Linux)
import Foundation
import LMDB
import PackedStrings
import Synchronization
import TestSupport
import Testing

@testable import ItemStore

/// The store's thread after a failure that ends writing: it waits, although checkpoint work is left.
@Suite struct FailedStoreTests {
    private static let configuration = CollectionConfiguration(dimension: 1)

    private static func put(_ collection: String, _ number: Int) -> Write {
        .put(collection: collection, id: Array("id-\(number)".utf8), vector: [1], features: nil)
    }

    /// Makes a commit fail for good. Returns the clock of the CPU time of the store's thread.
    private static func failCommit(of fixture: StoreFixture, _ write: Write) throws -> clockid_t {
        let disk = try FullDisk(fixture.directory.path + "/data.mdb", isOfMetaPages: true)
        let (before, between) = (Gate(), Gate())
        let clock = Mutex<clockid_t?>(nil)
        let failed = DispatchSemaphore(value: 0)
        try fixture.store.submit(WriteBatch([write]) { _ in before.pass() })
        try before.waitUntilReached()
        // The thread takes the next two batches together and commits each alone, so no slice of the checkpoint comes
        // between them. A slice that fails is repeated only after a while, so the thread would wait anyway.
        let second = WriteBatch([write]) { _ in
            var number = clockid_t()
            if pthread_getcpuclockid(pthread_self(), &number) == 0 { clock.withLock { $0 = number } }
            between.pass()
        }
        try fixture.store.submit(second)
        try fixture.store.submit(WriteBatch([write]) { _ in failed.signal() })
        before.open()
        try between.waitUntilReached()
        disk.fill()
        between.open()
        try wait(for: failed, "the store to answer")
        disk.restore()
        #expect(fixture.store.statistics().failure?.contains("No space left on device") == true)
        return try #require(clock.withLock { $0 })
    }

    /// The value of a clock in nanoseconds.
    private static func time(_ clock: clockid_t) throws -> Int {
        var time = timespec()
        try #require(clock_gettime(clock, &time) == 0)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }

    private static func expectIdle(_ clock: clockid_t) throws {
        let start = try time(clock)
        try wait(until: ContinuousClock.now + .milliseconds(500))
        let nanoseconds = try time(clock) - start
        #expect(nanoseconds < 10_000_000, "the store's thread took \(nanoseconds) ns of half a second")
    }

    @Test func aPassThatIsUnderWayDoesNotSpin() throws {
        var limits = StoreLimits()
        limits.checkpointAtJournalBytes = 1
        limits.checkpointSliceBytes = 1
        limits.idleCheckpointMilliseconds = 60_000
        limits.groupBytesMax = 1
        let fixture = try StoreFixture(limits: limits)
        try fixture.apply([.create(name: "c", Self.configuration)] + (0..<1_000).map { Self.put("c", $0) })
        let clock = try Self.failCommit(of: fixture, Self.put("c", 0))
        #expect(fixture.store.statistics().journalByteCount > 0)
        try Self.expectIdle(clock)
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
        fixture.limits.groupBytesMax = 1
        fixture.limits.idleCheckpointMilliseconds = 60_000
        try fixture.restart(checkpointing: false)
        let clock = try Self.failCommit(of: fixture, Self.put("kept", 0))
        #expect(fixture.store.statistics().droppedCollectionCount == 1)
        try Self.expectIdle(clock)
    }
}
#endif
