/// What a checkpoint pass must not miss: every record that was dirty when it began, and nothing of an earlier one.
import Foundation
import LMDB
import PackedStrings
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

    /// The next collection starts at its first row, wherever the pass was in the one that went.
    @Test func aCollectionDroppedWhileItIsCopiedHidesNothingOfTheNext() throws {
        var limits = StoreLimits()
        // One record a slice, and a pass as soon as there is anything.
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
        // After each batch there is a slice: now the pass is past the first rows, and far from the last.
        for _ in 0..<10 { try fixture.apply([.delete(collection: "kept", ids: PackedStrings([id(1_000)]))]) }
        try fixture.apply([.drop(name: "dropped")])
        try waitForCheckpoint(fixture.store)

        try fixture.restart(checkpointing: false)
        let kept = try #require(fixture.store.collection(named: "kept"))
        let ids = PackedStrings((0..<10).map(id))
        #expect(kept.embeddings(of: ids, 0..<10).isPresent == (0..<10).map { $0 >= 5 })
    }

    /// How many parts a wide vector takes depends on the length of the id before it.
    @Test func aRowThatGoesToAShorterIDLeavesNoPartBehind() throws {
        var limits = StoreLimits()
        // Only where the test says so.
        limits.idleCheckpointMilliseconds = 60_000
        let fixture = try StoreFixture(limits: limits)
        let long = [UInt8](repeating: 0x61, count: 200)
        let vector = (0..<1_010).map { Float($0) }
        try fixture.apply([
            .create(name: "wide", CollectionConfiguration(dimension: vector.count)),
            .put(collection: "wide", id: long, vector: vector, features: nil),
        ])
        try fixture.restart(checkpointing: true)
        // The free row itself is never copied.
        try fixture.apply([.delete(collection: "wide", ids: PackedStrings([long]))])
        try fixture.apply([.put(collection: "wide", id: id(1), vector: vector.reversed(), features: nil)])
        try fixture.restart(checkpointing: true)
        let wide = try #require(fixture.store.collection(named: "wide"))
        let answer = wide.embeddings(of: PackedStrings([long, id(1)]), 0..<2)
        #expect(answer.isPresent == [false, true])
        #expect(answer.values == vector.reversed())
    }

    /// A row is reserved for its id while the write is judged, and a crash must not find that in the tables.
    @Test func makingRoomInTheJournalCopiesNoReservedRow() throws {
        var limits = StoreLimits()
        limits.idleCheckpointMilliseconds = 60_000
        // Before each group the journal is cut.
        limits.journalBytesMax = 1
        let fixture = try StoreFixture(limits: limits)
        try fixture.apply([.create(name: "c", CollectionConfiguration(dimension: 1))])
        try fixture.apply([.put(collection: "c", id: id(1), vector: [1], features: nil)])
        try fixture.apply([.delete(collection: "c", ids: PackedStrings([id(1)]))])
        try fixture.apply([.put(collection: "c", id: id(2), vector: [2], features: nil)])
        fixture.close()
        let environment = try Environment(
            directory: fixture.directory.path,
            options: Environment.Options(mapSize: 1 << 30)
        )
        try environment.read { transaction in
            let key = RowKey(collection: 1, row: 0)
            try transaction.withValue(of: key, in: try Tables(in: transaction).rows) { value in
                let record = try RowRecord.decodeFirst(try #require(value), key: key)
                #expect(record.id.isEmpty, "the row is there under an id that only the journal has")
            }
        }
    }

    /// Nothing may hold a dropped collection, which may be most of the memory.
    @Test func aDroppedCollectionIsLetGoThoughAPassIsUnderWay() throws {
        var limits = StoreLimits()
        limits.checkpointSliceBytes = 1
        limits.checkpointAtJournalBytes = 1
        limits.idleCheckpointMilliseconds = 60_000
        let fixture = try StoreFixture(limits: limits)
        let configuration = CollectionConfiguration(dimension: 1)
        try fixture.apply([.create(name: "first", configuration), .create(name: "second", configuration)])
        try fixture.apply((0..<20_000).map { .put(collection: "first", id: id($0), vector: [1], features: nil) })
        let passes = fixture.store.statistics().checkpointPassCount
        weak let dropped = fixture.store.collection(named: "second")
        #expect(dropped != nil)
        try fixture.apply([.drop(name: "second")])
        #expect(fixture.store.statistics().checkpointPassCount == passes, "the pass is through already")
        #expect(dropped == nil)
    }

    @Test func collectionNumbersEndWithALimit() throws {
        let fixture = try StoreFixture()
        fixture.close()
        do {
            let environment = try Environment(
                directory: fixture.directory.path,
                options: Environment.Options(mapSize: 1 << 30)
            )
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
