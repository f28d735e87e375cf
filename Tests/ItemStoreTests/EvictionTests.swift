import Foundation
import PackedStrings
import SamplingFrequency
import TestSupport
import Testing

@testable import ItemStore

/// The cap on ids: which ids are evicted, which stay, and the totals after an eviction.
@Suite struct EvictionTests {
    private static func id(_ number: Int) -> [UInt8] { Array("id-\(number)".utf8) }

    private static func observe(_ numbers: some Sequence<Int>, step: Int64) -> Write {
        .observe(collection: "c", step: RequestedStep(step), sequence: nil, ids: PackedStrings(numbers.map(id)))
    }

    private static func store(cap: Int) throws -> StoreFixture {
        let fixture = try StoreFixture()
        try fixture.apply([.create(name: "c", CollectionConfiguration(dimension: 1, idCountMax: cap))])
        return fixture
    }

    private static func known(_ fixture: StoreFixture, _ numbers: Range<Int>) throws -> [Int] {
        let collection = try #require(fixture.store.collection(named: "c"))
        let read = collection.frequencies(of: PackedStrings(numbers.map(id)), 0..<numbers.count)
        return zip(numbers, read).filter { $1.state != .unseen }.map(\.0)
    }

    @Test func idsSeenLongestAgoAreEvicted() throws {
        let fixture = try Self.store(cap: 10)
        // This also holds within one batch, and for an id that was seen again just before.
        try fixture.apply([
            Self.observe(0..<10, step: 1), Self.observe(0..<5, step: 2), Self.observe(10..<13, step: 3),
            Self.observe([8], step: 4), Self.observe(13..<14, step: 5),
        ])
        // 5, 6 and 7 were evicted first. 8 was seen again, so 9 was next.
        #expect(try Self.known(fixture, 0..<14) == [0, 1, 2, 3, 4, 8, 10, 11, 12, 13])
        let collection = try #require(fixture.store.collection(named: "c"))
        #expect(collection.idCount == 10)
        let read = collection.frequencies(of: PackedStrings((0..<14).map(Self.id)), 0..<14)
        #expect(abs(read.filter { $0.count > 0 }.reduce(0) { $0 + $1.q } - 1) < 1e-12)
        try fixture.restart(checkpointing: false)
        #expect(try Self.known(fixture, 0..<14) == [0, 1, 2, 3, 4, 8, 10, 11, 12, 13])
    }

    /// An id that was seen at an early step is evicted first, even if it came late.
    @Test(arguments: [false, true])
    func aLateIDOfAnEarlyStepIsEvictedFirst(restarts: Bool) throws {
        let fixture = try Self.store(cap: 3)
        try fixture.apply((0..<4).map { Self.observe([$0], step: 100 + Int64($0)) })
        try fixture.apply([Self.observe([25], step: 50)])
        #expect(try Self.known(fixture, 0..<26) == [2, 3, 25])
        if restarts { try fixture.restart(checkpointing: false) }
        try fixture.apply([Self.observe([4], step: 104)])
        #expect(try Self.known(fixture, 0..<26) == [2, 3, 4])
    }

    /// The queue of a store that runs and that of one that starts again evict the same ids.
    @Test func aRestartDoesNotChangeTheOrder() throws {
        var random = SeededGenerator()
        let fixtures = try (0..<2).map { _ in try Self.store(cap: 500) }
        for round in 0..<100 {
            // No two ids are seen at the same step, and none comes too late to be counted.
            let steps = (0..<60).map { Int64(round * 60 + $0) }.shuffled(using: &random)
            let writes = (0..<60).map { index in
                Self.observe([Int.random(in: 0..<2_000, using: &random)], step: steps[index])
            }
            for fixture in fixtures { try fixture.apply(writes) }
            if round % 5 == 4 { try fixtures[1].restart(checkpointing: round % 2 == 0) }
        }
        #expect(try Self.known(fixtures[0], 0..<2_000) == Self.known(fixtures[1], 0..<2_000))
        #expect(fixtures[0].store.collection(named: "c")?.idCount == 500)
    }

    @Test func embeddingsAndFeaturesStay() throws {
        let fixture = try Self.store(cap: 3)
        try fixture.apply([
            .put(collection: "c", id: Self.id(0), vector: [1], features: nil),
            .setFeatures(collection: "c", id: Self.id(1), json: Array("{}".utf8)),
            Self.observe([0, 1, 2], step: 1), Self.observe([3], step: 2),
        ])
        #expect(try Self.known(fixture, 0..<4) == [0, 1, 3])
        // A PUT may also evict an id. After that, no id can be evicted any more.
        let outcomes = try fixture.apply([
            .put(collection: "c", id: Self.id(4), vector: [1], features: nil), Self.observe([5], step: 3),
            Self.observe([0, 4], step: 3), Self.observe([0, 6], step: 4),
        ])
        #expect(outcomes[0] == .done && outcomes[2] == .done)
        for outcome in [outcomes[1], outcomes[3]] {
            guard case .failed(let error) = outcome else {
                Issue.record("got \(outcome)")
                continue
            }
            #expect(error.code == .limit, "\(error)")
        }
        #expect(try Self.known(fixture, 0..<7) == [0, 1, 4])
    }

    @Test func aBatchLargerThanTheCapFails() throws {
        let fixture = try Self.store(cap: 5)
        let outcomes = try fixture.apply([Self.observe(0..<4, step: 1), Self.observe(10..<16, step: 2)])
        guard case .failed(let error) = outcomes[1] else {
            Issue.record("got \(outcomes[1])")
            return
        }
        #expect(error.code == .limit)
        #expect(try Self.known(fixture, 0..<16) == [0, 1, 2, 3], "a failed write must change nothing")
        // The ids of the batch itself are not evicted.
        try fixture.apply([Self.observe([0, 1, 2, 20, 21], step: 3)])
        #expect(try Self.known(fixture, 0..<22) == [0, 1, 2, 20, 21])
    }

    /// Evictions would make room under the cap, but there is no memory for the new ids. Then no id is evicted.
    @Test func aRequestThatFailsEvictsNothing() throws {
        let dimension = 4_096
        var limits = StoreLimits()
        limits.memoryBytesMax = ItemChunk.byteCount(dimension: dimension) * 3 / 2
        let fixture = try StoreFixture(limits: limits)
        let configuration = CollectionConfiguration(dimension: dimension, idCountMax: 2_000)
        try fixture.apply([.create(name: "c", configuration), Self.observe(0..<1_000, step: 1)])
        let outcomes = try fixture.apply([Self.observe(2_000..<3_100, step: 2)])
        guard case .failed(let error) = outcomes[0] else {
            Issue.record("got \(outcomes)")
            return
        }
        #expect(error.code == .full)
        #expect(try Self.known(fixture, 0..<3_100) == Array(0..<1_000))
        try fixture.restart(checkpointing: false)
        #expect(try Self.known(fixture, 0..<3_100) == Array(0..<1_000))
        #expect(fixture.store.collection(named: "c")?.totals.count == 1_000)
    }

    @Test func aFullDiskEvictsNothing() throws {
        let fixture = try Self.store(cap: 10)
        try fixture.apply([Self.observe(0..<10, step: 1), Self.observe(0..<3, step: 2)])
        let disk = try FullDisk(fixture.directory.path + "/data.mdb")
        disk.fill()
        let outcomes = try fixture.apply([Self.observe(10..<15, step: 3)])
        guard case .failed(let error) = outcomes[0] else {
            Issue.record("got \(outcomes)")
            return
        }
        #expect(error.code == .full)
        #expect(try Self.known(fixture, 0..<15) == Array(0..<10))
        disk.restore()
        // The ids seen longest ago are still the next to be evicted.
        try fixture.apply([Self.observe(10..<15, step: 3)])
        #expect(try Self.known(fixture, 0..<15) == [0, 1, 2, 8, 9, 10, 11, 12, 13, 14])
    }

    /// The store remembers that no id can be evicted, until one can.
    @Test func aFullCollectionTakesNewIDsAfterSomeAreDeleted() throws {
        let fixture = try Self.store(cap: 3)
        let delete = { (number: Int) in Write.delete(collection: "c", ids: PackedStrings([Self.id(number)])) }
        let isRefused = { (outcome: WriteOutcome) in
            if case .failed(let error) = outcome { error.code == .limit } else { false }
        }
        try fixture.apply(
            (0..<3).map { .put(collection: "c", id: Self.id($0), vector: [1], features: nil) }
        )
        for _ in 0..<3 { #expect(try fixture.apply([Self.observe([3], step: 1)]).map(isRefused) == [true]) }
        // This also holds if the room is freed in the same group.
        let outcomes = try fixture.apply([delete(0), Self.observe([3], step: 2), Self.observe([4, 5], step: 3)])
        #expect(outcomes.map(isRefused) == [false, false, true])
        #expect(try Self.known(fixture, 0..<6) == [3])
        #expect(try fixture.apply([Self.observe([4], step: 4)]).map(isRefused) == [false])
        #expect(try Self.known(fixture, 0..<6) == [4])
        try fixture.apply([delete(1)])
        #expect(try fixture.apply([Self.observe([5, 6], step: 5)]).map(isRefused) == [false])
        #expect(try Self.known(fixture, 0..<7) == [5, 6])
    }

    /// Observes many more ids than the cap, and compares with a dictionary of last steps.
    @Test func anEndlessStreamKeepsToTheCap() throws {
        let cap = 3_000
        let fixture = try Self.store(cap: cap)
        var random = SeededGenerator()
        var lastSteps: [Int: Int64] = [:]
        for step in 1...200 as ClosedRange<Int64> {
            let numbers = Set((0..<100).map { _ in Int.random(in: 0..<20_000, using: &random) })
            try fixture.apply([Self.observe(numbers, step: step)])
            for number in numbers { lastSteps[number] = step }
        }
        let collection = try #require(fixture.store.collection(named: "c"))
        #expect(collection.idCount == cap)
        let known = try Self.known(fixture, 0..<20_000)
        // Every known id was seen at the same step as every unknown one, or later.
        let oldestKnown = known.map { lastSteps[$0]! }.min()!
        let unknown = Set(lastSteps.keys).subtracting(known)
        #expect(unknown.allSatisfy { lastSteps[$0]! <= oldestKnown })
        #expect(!unknown.isEmpty)
    }
}
