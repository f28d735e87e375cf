import Foundation
import PackedStrings
import SamplingFrequency
import TestSupport
import Testing

@testable import ItemStore

/// `swap` with statistics that stay: the collection that gets the first name takes over those of the other one.
/// `ModelTests` compares random handovers with a model.
@Suite struct HandoverTests {
    private static func put(_ collection: String, _ id: String) -> Write {
        .put(collection: collection, id: Array(id.utf8), vector: [1], features: nil)
    }

    private static func observe(_ collection: String, _ step: Int64, run: String = "", _ ids: [String]) -> Write {
        .observe(
            collection: collection,
            step: RequestedStep(step, run: run, isJump: true),
            sequence: ProducerSequence(producer: "w", number: step),
            ids: PackedStrings(ids.map { Array($0.utf8) })
        )
    }

    private static func create(_ name: String, idCountMax: Int? = nil) -> Write {
        .create(name: name, CollectionConfiguration(dimension: 1, idCountMax: idCountMax))
    }

    private static func code(_ outcome: WriteOutcome) -> StoreError.Code? {
        if case .failed(let error) = outcome { error.code } else { nil }
    }

    /// Everything about a collection that a handover changes.
    private struct State: Equatable {
        let totals: FrequencyTotals
        let recent: [RecentBank.Entry]
        let estimates: [FrequencyEstimate]
        let runs: [TrainerRun]
        let producers: [ProducerEntry]

        init?(_ fixture: StoreFixture, _ name: String) {
            guard let collection = fixture.store.collection(named: name) else { return nil }
            (totals, recent) = (collection.totals, collection.recent.entries)
            let known = PackedStrings((0..<20).map { Array("i\($0)".utf8) })
            estimates = collection.frequencies(of: known, 0..<20)
            (runs, producers) = (collection.clock().runs, collection.clock().producers)
        }
    }

    private static let some = (0..<10).map { "i\($0)" }

    private static func prepared(_ limits: StoreLimits = StoreLimits()) throws -> StoreFixture {
        let fixture = try StoreFixture(limits: limits)
        let outcomes = try fixture.apply([
            create("live"), create("next"), observe("live", 1, some), observe("live", 2, Array(some.prefix(5))),
            put("next", "i9"), put("next", "i3"), observe("next", 70, ["own", "i1"]),
        ])
        #expect(outcomes.allSatisfy { $0 == .done })
        return fixture
    }

    #if os(Linux)
    @Test func aHandoverThatIsNotDurableHasNoEffect() throws {
        let fixture = try Self.prepared()
        let names = ["live", "next"]
        let before = names.map { State(fixture, $0) }
        let disk = try FullDisk(fixture.directory.path + "/data.mdb")
        disk.fill()
        #expect(try fixture.apply([.swap("live", "next", .stay)]).map(Self.code) == [.full])
        disk.restore()
        #expect(names.map { State(fixture, $0) } == before)
        // Rows that were reserved for new ids are free again.
        #expect(fixture.store.collection(named: "next")?.idCount == 4)
        #expect(try fixture.apply([.swap("live", "next", .stay)]) == [.done])
        try fixture.restart(checkpointing: false)
        let live = try #require(fixture.store.collection(named: "live"))
        #expect(live.idCount == 10 && live.itemCount == 2)
        #expect(live.totals.count == 15)
    }
    #endif

    @Test func aHandoverForWhichThereIsNoMemoryHasNoEffect() throws {
        var limits = StoreLimits()
        let measured = try Self.prepared()
        limits.memoryBytesMax = measured.store.statistics().memoryByteCount + 500
        let fixture = try Self.prepared(limits)
        let before = State(fixture, "next")
        #expect(try fixture.apply([.swap("live", "next", .stay)]).map(Self.code) == [.full])
        #expect(State(fixture, "next") == before)
        // The names can still move.
        #expect(try fixture.apply([.swap("live", "next")]) == [.done])
        #expect(State(fixture, "live") == before)
    }

    @Test func aCapKeepsTheIDsSeenLast() throws {
        let fixture = try StoreFixture()
        try fixture.apply([
            Self.create("live"), Self.create("next", idCountMax: 6), Self.observe("live", 1, Self.some),
            Self.observe("live", 2, ["i7", "i2"]), Self.put("next", "i9"), Self.put("next", "other"),
            Self.observe("next", 1, ["gives-way", "too"]),
        ])
        #expect(try fixture.apply([.swap("live", "next", .stay)]) == [.done])
        for checkpointing in [false, true] {
            let live = try #require(fixture.store.collection(named: "live"))
            #expect(live.idCount == 6)
            let all = PackedStrings((Self.some + ["other", "gives-way", "too"]).map { Array($0.utf8) })
            let seen = live.frequencies(of: all, 0..<all.count).enumerated().filter { $1.lastStep != nil }.map(\.offset)
            // Two new ids at the last step, two at the step before, and one that has an embedding.
            #expect(seen == [0, 1, 2, 7, 9])
            try fixture.restart(checkpointing: checkpointing)
        }
    }

    /// The new lists are shorter, so records of the old ones must not come back.
    @Test(arguments: [false, true])
    func longListsGiveWayToShortOnes(checkpointing: Bool) throws {
        var limits = StoreLimits()
        limits.checkpointAtJournalBytes = 2_000
        limits.checkpointSliceBytes = 200
        let fixture = try StoreFixture(limits: limits)
        try fixture.apply([Self.create("live"), Self.create("next"), Self.observe("live", 1, run: "only", ["a"])])
        for round in 0..<5 {
            let runs = (0..<70).map { Self.observe("next", 1, run: "run-\(round)-\($0)", ["b"]) }
            try fixture.apply(runs)
            #expect(fixture.store.collection(named: "next")?.clock().runs.count ?? 0 >= 70)
            #expect(try fixture.apply([.swap("live", "next", .stay)]) == [.done])
            let writes = (0..<20).map { Self.put("live", "item-\(round)-\($0)") }
            try fixture.apply(writes)
            let before = ["live", "next"].map { State(fixture, $0) }
            try fixture.restart(checkpointing: checkpointing)
            #expect(["live", "next"].map { State(fixture, $0) } == before)
            #expect(fixture.store.collection(named: "live")?.clock().runs.map(\.name) == ["only"])
            #expect(fixture.store.collection(named: "live")?.clock().producers.map(\.name) == ["only/w"])
        }
    }
}
