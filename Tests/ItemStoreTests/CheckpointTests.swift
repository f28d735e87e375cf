/// A checkpoint pass copies every record that was dirty when it began, and no state from an earlier pass.
import Foundation
import LMDB
import PackedStrings
import Synchronization
import TestSupport
import Testing

@testable import ItemStore

@Suite struct CheckpointTests {
    private func id(_ number: Int) -> [UInt8] {
        Array("id-\(number)".utf8)
    }

    /// Waits until the tables have everything and the journal is empty.
    private func waitForCheckpoint(_ store: ItemStore) throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while store.statistics().journalByteCount > 0 {
            try #require(ContinuousClock.now < deadline, "the checkpoint has not ended within a minute")
            usleep(500)
        }
    }

    /// A store with two empty collections, `first` and `second`. A pass begins after a write, not in idle time, and
    /// copies one record in each slice. So it takes long.
    private func fixtureWithLongPasses() throws -> StoreFixture {
        var limits = StoreLimits()
        limits.checkpointSliceBytes = 1
        limits.checkpointAtJournalBytes = 1
        limits.idleCheckpointMilliseconds = 60_000
        let fixture = try StoreFixture(limits: limits)
        let configuration = CollectionConfiguration(dimension: 1)
        try fixture.apply([.create(name: "first", configuration), .create(name: "second", configuration)])
        return fixture
    }

    /// After a drop during a pass, the next collection is copied from its first row, wherever the pass was in the
    /// dropped one.
    @Test func aDropDuringACopySkipsNoRecordOfTheNextCollection() throws {
        var limits = StoreLimits()
        // One record in each slice, and a pass as soon as there is anything to copy.
        limits.checkpointSliceBytes = 1
        limits.checkpointAtJournalBytes = 1
        let fixture = try StoreFixture(limits: limits)
        let configuration = CollectionConfiguration(dimension: 1)
        let puts = (0..<400).map { Write.put(collection: "dropped", id: id($0), vector: [1], features: nil) }
        try fixture.apply([.create(name: "dropped", configuration), .create(name: "kept", configuration)])
        try fixture.apply((0..<10).map { .put(collection: "kept", id: id($0), vector: [1], features: nil) })
        try fixture.apply(puts)
        try waitForCheckpoint(fixture.store)

        try fixture.apply(puts + [.delete(collection: "kept", ids: PackedStrings((0..<5).map(id)))])
        // A slice follows each batch. Now the pass is after the first rows, and far from the last.
        for _ in 0..<10 { try fixture.apply([.delete(collection: "kept", ids: PackedStrings([id(1_000)]))]) }
        try fixture.apply([.drop(name: "dropped")])
        try waitForCheckpoint(fixture.store)

        try fixture.restart(checkpointing: false)
        let kept = try #require(fixture.store.collection(named: "kept"))
        let ids = PackedStrings((0..<10).map(id))
        #expect(kept.embeddings(of: ids, 0..<10).isPresent == (0..<10).map { $0 >= 5 })
    }

    /// The journal that is left after a pass may name rows of a collection that was dropped before its turn, so before
    /// these rows were copied. It can be replayed nevertheless.
    @Test func aCollectionThatIsDroppedBeforeItsTurnStopsNoRecovery() throws {
        let itemCount = 4_000
        let fixture = try fixtureWithLongPasses()
        try waitForCheckpoint(fixture.store)

        let passCount = fixture.store.statistics().checkpointPassCount
        try fixture.apply(
            (0..<itemCount).map { .put(collection: "first", id: id($0), vector: [1], features: nil) }
                + [.put(collection: "second", id: id(0), vector: [1], features: nil)]
        )
        try fixture.apply([.delete(collection: "second", ids: PackedStrings([id(0)]))])
        try fixture.apply([.drop(name: "second")])
        #expect(fixture.store.statistics().checkpointPassCount == passCount, "the pass has already ended")
        try wait(until: { fixture.store.statistics().checkpointPassCount > passCount }, "the pass has ended")
        #expect(fixture.store.statistics().journalByteCount > 0)

        try fixture.restart(checkpointing: false)
        #expect(fixture.store.collection(named: "second") == nil)
        #expect(fixture.store.collection(named: "first")?.itemCount == itemCount)
    }

    /// The number of parts of a wide vector depends on the length of the id before it.
    @Test func aRowThatGetsAShorterIDKeepsNoOldPart() throws {
        var limits = StoreLimits()
        // Checkpoints run only when the test asks for them.
        limits.idleCheckpointMilliseconds = 60_000
        let fixture = try StoreFixture(limits: limits)
        let long = [UInt8](repeating: 0x61, count: 200)
        let vector = (0..<1_010).map { Float($0) }
        try fixture.apply([
            .create(name: "wide", CollectionConfiguration(dimension: vector.count)),
            .put(collection: "wide", id: long, vector: vector, features: nil),
        ])
        try fixture.restart(checkpointing: true)
        // The freed row itself is never copied.
        try fixture.apply([.delete(collection: "wide", ids: PackedStrings([long]))])
        try fixture.apply([.put(collection: "wide", id: id(1), vector: vector.reversed(), features: nil)])
        try fixture.restart(checkpointing: true)
        let wide = try #require(fixture.store.collection(named: "wide"))
        let answer = wide.embeddings(of: PackedStrings([long, id(1)]), 0..<2)
        #expect(answer.isPresent == [false, true])
        #expect(answer.values == vector.reversed())
    }

    /// Judging a write reserves a row for its id. The tables must not contain that row after a crash.
    @Test func makingRoomInTheJournalCopiesNoReservedRow() throws {
        var limits = StoreLimits()
        limits.idleCheckpointMilliseconds = 60_000
        // The journal is cut before each group.
        limits.journalBytesMax = 1
        let fixture = try StoreFixture(limits: limits)
        try fixture.apply([.create(name: "c", CollectionConfiguration(dimension: 1))])
        try fixture.apply([.put(collection: "c", id: id(1), vector: [1], features: nil)])
        try fixture.apply([.delete(collection: "c", ids: PackedStrings([id(1)]))])
        try fixture.apply([.put(collection: "c", id: id(2), vector: [2], features: nil)])
        fixture.close()
        let environment = try fixture.directory.environment()
        try environment.read { transaction in
            let key = RowKey(collection: 1, row: 0)
            try transaction.withValue(of: key, in: try Tables(in: transaction).rows) { value in
                let collection = try Collection(number: 1, configuration: CollectionConfiguration(dimension: 1))
                try collection.rows.load(try #require(value), key: key, into: collection)
                let isUsed = collection.place(of: 0).chunk.pointee.flags[0].contains(.isUsed)
                #expect(!isUsed, "the row is there under an id that only the journal has")
            }
        }
    }

    /// Nothing may retain a dropped collection, because it may be most of the memory.
    @Test func aDroppedCollectionIsReleasedDuringAPass() throws {
        let fixture = try fixtureWithLongPasses()
        try fixture.apply((0..<20_000).map { .put(collection: "first", id: id($0), vector: [1], features: nil) })
        let passes = fixture.store.statistics().checkpointPassCount
        weak let dropped = fixture.store.collection(named: "second")
        #expect(dropped != nil)
        try fixture.apply([.drop(name: "second")])
        #expect(fixture.store.statistics().checkpointPassCount == passes, "the pass has already ended")
        #expect(dropped == nil)
    }

    /// Writes keep one pass after another busy, and the records of a dropped collection are erased nevertheless. Then
    /// their pages are not in use any more, although the file keeps its size.
    @Test func aDroppedCollectionIsErasedWhileWritesStreamIn() throws {
        var limits = StoreLimits()
        limits.checkpointAtJournalBytes = 1
        limits.checkpointSliceBytes = 20_000
        limits.takenBytesMax = 1
        limits.idleCheckpointMilliseconds = 60_000
        let fixture = try StoreFixture(limits: limits)
        let configuration = CollectionConfiguration(dimension: 64)
        let vector = [Float](repeating: 1, count: 64)
        func put(_ name: String, _ numbers: Range<Int>) throws {
            try fixture.apply(numbers.map { .put(collection: name, id: id($0), vector: vector, features: nil) })
        }
        try fixture.apply([.create(name: "kept", configuration), .create(name: "dropped", configuration)])
        try put("dropped", 0..<10_000)
        try fixture.restart(checkpointing: true)
        let usedBefore = try #require(fixture.store.statistics().usedByteCount)
        try fixture.store.submit(WriteBatch([.drop(name: "dropped")]) { _ in })
        // The store's thread is not idle before the last of these batches.
        let store = fixture.store
        let isOver = DispatchSemaphore(value: 0)
        let countAtTheEnd = Atomic<Int>(-1)
        for round in 0..<300 {
            let writes = (round % 5 * 100..<round % 5 * 100 + 100).map {
                Write.put(collection: "kept", id: id($0), vector: vector, features: nil)
            }
            try store.submit(
                WriteBatch(writes) { _ in
                    guard round == 299 else { return }
                    countAtTheEnd.store(store.statistics().droppedCollectionCount, ordering: .relaxed)
                    isOver.signal()
                }
            )
        }
        try wait(for: isOver, "the writes to end")
        #expect(countAtTheEnd.load(ordering: .relaxed) == 0)
        let statistics = fixture.store.statistics()
        #expect(statistics.droppedCollectionCount == 0)
        #expect(try #require(statistics.usedByteCount) < usedBefore / 2)
        #expect(statistics.fileByteCount >= usedBefore)
        #expect(try #require(statistics.freeByteCount) > 0)
    }

    @Test func collectionNumbersEndWithALimit() throws {
        let fixture = try StoreFixture()
        fixture.close()
        do {
            let environment = try fixture.directory.environment()
            try environment.write { transaction in
                let tables = try Tables(in: transaction)
                try tables.putInteger(UInt32.max - 1, for: MetaKey(.nextCollection), transaction)
            }
        }
        try fixture.restart(checkpointing: false)
        let outcomes = try fixture.apply(
            ["a", "b"].map { .create(name: $0, CollectionConfiguration(dimension: 1)) }
        )
        #expect(outcomes[0] == .done)
        guard case .failed(let error) = outcomes[1] else {
            Issue.record("a number was used twice")
            return
        }
        #expect(error.code == .limit)
    }
}
