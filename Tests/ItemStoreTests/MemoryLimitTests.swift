import PackedStrings
import SamplingFrequency
import SystemSupport
import TestSupport
import Testing

@testable import ItemStore

/// The limit on the memory of all collections: everything that grows is counted and refused past the limit, and a
/// refused write costs other clients nothing.
@Suite struct MemoryLimitTests {
    private static func id(_ number: Int) -> [UInt8] { Array("id-\(number)".utf8) }

    private static func longID(_ number: Int) -> [UInt8] { Array(repeating: 0x78, count: 240) + id(number) }

    private static func put(_ number: Int) -> Write {
        .put(collection: "c", id: id(number), vector: [1], features: nil)
    }

    private static func features(_ number: Int, _ byteCount: Int) -> Write {
        let text = String(repeating: "x", count: byteCount - 8)
        return .setFeatures(collection: "c", id: id(number), json: Array("{\"a\":\"\(text)\"}".utf8))
    }

    private static func observe(
        _ ids: [[UInt8]],
        step: Int64 = 1,
        producer: String? = nil,
        returnsFrequencies: Bool = false,
        skipsWhenFull: Bool = false
    ) -> Write {
        .observe(
            collection: "c",
            step: RequestedStep(step),
            sequence: producer.map { ProducerSequence(producer: $0, number: step) },
            ids: PackedStrings(ids),
            returnsFrequencies: returnsFrequencies,
            skipsWhenFull: skipsWhenFull
        )
    }

    private static func code(_ outcome: WriteOutcome) -> StoreError.Code? {
        if case .failed(let error) = outcome { error.code } else { nil }
    }

    /// A store with a collection of one dimension, and this much memory besides that of an empty collection.
    private static func store(bytes: Int, idCountMax: Int? = nil) throws -> StoreFixture {
        let configuration = CollectionConfiguration(dimension: 1, recentCount: 0, idCountMax: idCountMax)
        var limits = StoreLimits()
        limits.memoryBytesMax = Collection.initialByteCount(configuration) + bytes
        let fixture = try StoreFixture(limits: limits)
        try fixture.apply([.create(name: "c", configuration)])
        return fixture
    }

    private static let chunkByteCount = ItemChunk.byteCount(dimension: 1)

    private func used(_ fixture: StoreFixture) -> Int { fixture.store.statistics().memoryByteCount }

    // MARK: - What is counted

    @Test func featuresThatGrowPastTheLimitAreRefused() throws {
        let fixture = try Self.store(bytes: Self.chunkByteCount + 60_000)
        try fixture.apply([Self.observe((0..<100).map(Self.id))])
        let outcomes = try fixture.apply((0..<100).map { Self.features($0, 3_500) })
        let taken = outcomes.count { $0 == .done }
        #expect((10..<20).contains(taken), "\(taken) of 100")
        #expect(outcomes.allSatisfy { $0 == .done || Self.code($0) == .full })
        #expect(used(fixture) <= fixture.limits.memoryBytesMax)
        // Features of the same size or smaller are taken, and make room for others.
        #expect(try fixture.apply([Self.features(0, 3_500)]) == [.done])
        #expect(try fixture.apply([Self.features(0, 100), Self.features(taken, 3_000)]) == [.done, .done])
    }

    @Test func rowsOfDeletedIDsDoNotHideThatFeaturesGrow() throws {
        let fixture = try Self.store(bytes: Self.chunkByteCount + 60_000)
        try fixture.apply([Self.observe((0..<1_000).map(Self.id))])
        try fixture.apply([.delete(collection: "c", ids: PackedStrings((0..<1_000).map(Self.id)))])
        let outcomes = try fixture.apply((1_000..<2_000).map { Self.features($0, 3_900) })
        #expect(outcomes.contains { Self.code($0) == .full })
        #expect(used(fixture) <= fixture.limits.memoryBytesMax)
    }

    /// What was deleted at the limit can be put again: a deletion takes no memory.
    @Test func deletedItemsLeaveRoomForAsMany() throws {
        let fixture = try Self.store(bytes: 20 * Self.chunkByteCount)
        func put() throws -> Int {
            let outcomes = try fixture.apply((0..<30_000).map { Self.put($0) })
            #expect(outcomes.allSatisfy { $0 == .done || Self.code($0) == .full })
            return outcomes.count { $0 == .done }
        }
        let taken = try put()
        #expect((10_000..<25_000).contains(taken))
        let before = used(fixture)
        try fixture.apply([.delete(collection: "c", ids: PackedStrings((0..<taken).map(Self.id)))])
        #expect(used(fixture) <= before)
        #expect(try put() == taken)
        #expect(used(fixture) == before)
    }

    @Test func longIDsAreRefusedPastTheLimit() throws {
        let fixture = try Self.store(bytes: Self.chunkByteCount + 60_000)
        let outcomes = try fixture.apply((0..<1_000).map { Self.observe([Self.longID($0)]) })
        let taken = outcomes.count { $0 == .done }
        #expect((100..<250).contains(taken), "\(taken) of 1,000")
        #expect(outcomes.allSatisfy { $0 == .done || Self.code($0) == .full })
        #expect(used(fixture) <= fixture.limits.memoryBytesMax)
    }

    @Test func producersAreRefusedPastTheLimit() throws {
        let fixture = try Self.store(bytes: Self.chunkByteCount + 50_000)
        let outcomes = try fixture.apply((0..<500).map { Self.observe([Self.id(0)], producer: "producer-\($0)") })
        let taken = outcomes.count { $0 == .done }
        #expect((50..<250).contains(taken), "\(taken) of 500")
        #expect(Self.code(outcomes[499]) == .full)
        // A known producer goes on.
        #expect(try fixture.apply([Self.observe([Self.id(0)], step: 2, producer: "producer-0")]) == [.done])
    }

    @Test func theBankOfACollectionThatDoesNotFitIsNotMade() throws {
        var limits = StoreLimits()
        limits.memoryBytesMax = 1 << 20
        let fixture = try StoreFixture(limits: limits)
        let outcomes = try fixture.apply([
            .create(name: "c", CollectionConfiguration(dimension: 1, recentCount: 1 << 18)),
            .create(name: "d", CollectionConfiguration(dimension: 1, recentCount: 1 << 16)),
        ])
        #expect(outcomes.map(Self.code) == [.full, nil])
    }

    /// The memory that is counted is what the heap really uses.
    @Test(arguments: [1, 15, 16, 24, 25, 40, 255, 3_902])
    func allocationsAreCountedAsTheHeapRoundsThem(byteCount: Int) {
        let block = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 2)
        defer { block.deallocate() }
        #if canImport(Glibc)
        // The usable part of a block is all of it but a header of 8 bytes.
        let function = dlsym(nil, "malloc_usable_size")
        let usableByteCount = unsafeBitCast(function, to: (@convention(c) (UnsafeRawPointer) -> Int).self)
        // A block that was in use before may have a little more.
        #expect((0...16).contains(usableByteCount(block) + 8 - allocatedByteCount(byteCount)))
        #else
        #expect(allocatedByteCount(byteCount) >= byteCount)
        #endif
    }

    @Test func theMemoryIsTheSameAfterARestartAndFreedByADrop() throws {
        let fixture = try StoreFixture()
        try fixture.apply([.create(name: "c", CollectionConfiguration(dimension: 1))])
        try fixture.apply((0..<50).map(Self.put) + (0..<50).map { Self.features($0, 200) })
        try fixture.apply([Self.observe([Self.longID(0), Self.longID(1)], producer: "a producer with a long name")])
        let collection = try #require(fixture.store.collection(named: "c"))
        let before = collection.memoryByteCount
        #expect(used(fixture) == before)
        for checkpointing in [false, true] {
            try fixture.restart(checkpointing: checkpointing)
            #expect(fixture.store.collection(named: "c")?.memoryByteCount == before)
            #expect(used(fixture) == before)
        }
        try fixture.apply([.drop(name: "c")])
        #expect(used(fixture) == 0)
    }

    // MARK: - New ids

    @Test func anIDThatOccursSeveralTimesNeedsOneRow() throws {
        let fixture = try Self.store(bytes: Self.chunkByteCount + 20_000)
        try fixture.apply([Self.observe((0..<1_023).map(Self.id))])
        let new = Array(repeating: Self.id(5_000), count: 6)
        #expect(try fixture.apply([Self.observe(new, step: 2)]) == [.done])
        let outcomes = try fixture.apply([Self.observe(Array(repeating: Self.id(5_001), count: 6), step: 3)])
        guard case .failed(let error) = outcomes[0] else {
            Issue.record("got \(outcomes)")
            return
        }
        #expect(error.message.contains("got 1 new ids"), "\(error)")
    }

    /// A refused write commits nobody's group, unless a deletion may make room for it.
    @Test func aRefusedWriteDoesNotEndTheGroup() throws {
        let fixture = try Self.store(bytes: Self.chunkByteCount + 40_000)
        try fixture.apply((0..<1_024).map(Self.put))
        let before = fixture.store.health.journal.lastGroup
        let outcomes = try fixture.apply((0..<500).flatMap { [Self.put($0), Self.put(10_000 + $0)] })
        #expect(outcomes.count { $0 == .done } == 500)
        #expect(outcomes.count { Self.code($0) == .full } == 500)
        #expect(fixture.store.health.journal.lastGroup - before <= 2)
        let again = try fixture.apply([
            .delete(collection: "c", ids: PackedStrings([Self.id(1)])), Self.put(10_000), Self.put(10_001),
        ])
        #expect(again.map(Self.code) == [nil, nil, .full])
    }

    @Test func anEvictionDoesNotEndTheGroup() throws {
        let fixture = try Self.store(bytes: 1 << 20, idCountMax: 1_000)
        try fixture.apply([Self.observe((0..<1_000).map(Self.id))])
        try fixture.apply([Self.observe([Self.id(1_000)], step: 2)])
        let before = fixture.store.health.journal.lastGroup
        let outcomes = try fixture.apply((0..<400).map { Self.observe([Self.id(2_000 + $0)], step: 3 + Int64($0)) })
        #expect(outcomes.allSatisfy { $0 == .done })
        #expect(fixture.store.health.journal.lastGroup - before <= 2)
        let collection = try #require(fixture.store.collection(named: "c"))
        #expect(collection.idCount == 1_000)
        let known = collection.frequencies(of: PackedStrings((0..<1_000).map(Self.id)), 0..<1_000)
        #expect(known.prefix(401).allSatisfy { $0.state == .unseen } && known[401].state == .once)
    }

    /// A full store counts the known ids of a batch and says which ids it did not count.
    @Test func aTrainerGoesOnWhenThereIsNoRoomForNewIDs() throws {
        let fixture = try Self.store(bytes: Self.chunkByteCount + 20_000)
        try fixture.apply([Self.observe((0..<1_024).map(Self.id))])
        let ids = [Self.id(0), Self.id(5_000), Self.id(1), Self.id(5_001)]
        #expect(try fixture.apply([Self.observe(ids, step: 2)]).map(Self.code) == [.full])
        let new = PackedStrings([Self.id(5_000), Self.id(5_001)])
        let write = Self.observe(ids, step: 2, producer: "w", skipsWhenFull: true)
        // A retry gets the same answer.
        for _ in 0..<2 { #expect(try fixture.apply([write]) == [.counted(except: new)]) }
        let outcome = try fixture.apply([
            Self.observe(ids, step: 3, returnsFrequencies: true, skipsWhenFull: true)
        ])[0]
        guard case .observed(let snapshot) = outcome else {
            Issue.record("got \(outcome)")
            return
        }
        let estimates = snapshot.estimates(0..<4)
        #expect(estimates.map(\.count) == [3, 0, 3, 0])
        #expect(estimates.map { $0.state == .unseen } == [false, true, false, true])
        #expect(
            try fixture.apply([Self.observe([Self.id(7)], step: 4, skipsWhenFull: true)])
                == [.counted(except: PackedStrings())]
        )
        #expect(fixture.store.collection(named: "c")?.totals.count == 1_029)
    }
}
