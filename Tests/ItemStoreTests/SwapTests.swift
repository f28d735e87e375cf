import Foundation
import PackedStrings
import SamplingFrequency
import Testing
import VectorIndex

@testable import ItemStore

/// Two collections exchange their names: the data stays where it is, and all that is written later goes by the name.
@Suite struct SwapTests {
    private static func put(_ collection: String, _ id: String, _ vector: [Float]) -> Write {
        .put(collection: collection, id: Array(id.utf8), vector: vector, features: nil)
    }

    private static func observe(_ collection: String, _ step: Int64, _ id: String) -> Write {
        .observe(
            collection: collection,
            step: step,
            sequence: WriterSequence(writer: "w", number: step),
            ids: PackedStrings([Array(id.utf8)])
        )
    }

    private static let create: [Write] = [
        .create(name: "live", CollectionConfiguration(dimension: 2, metric: .cosine, alpha: 0.5)),
        .create(name: "next", CollectionConfiguration(dimension: 3, metric: .l2)),
    ]

    private static func vector(_ store: ItemStore, _ collection: String, _ id: String) -> [Float]? {
        Array(id.utf8).withUnsafeBytes { store.collection(named: collection)?.vector(of: $0) }
    }

    /// What is written before and after is in the journal, or in the tables, under the number; the names come from the
    /// catalogue as it is in the end.
    @Test(arguments: [false, true])
    func theNameMovesAndTheDataStays(checkpointing: Bool) throws {
        let fixture = try StoreFixture()
        var outcomes = try fixture.apply(
            Self.create + [
                Self.put("live", "a", [1, 2]),
                Self.put("next", "a", [3, 4, 5]),
                Self.observe("live", 7, "a"),
                .swap("live", "next"),
                // In one batch with it: each is judged by the name as it is by then.
                Self.put("live", "b", [6, 7, 8]),
                Self.put("live", "c", [1, 2]),
                Self.put("next", "b", [9, 10]),
                Self.observe("live", 7, "b"),
                Self.observe("next", 7, "b"),
            ]
        )
        guard case .failed(let error) = outcomes.remove(at: 7) else { throw StoreError(.internalError, "it fits") }
        #expect(error.code == .dimension)
        #expect(outcomes.allSatisfy { $0 == .done })
        for _ in 0..<2 {
            let live = try #require(fixture.store.collection(named: "live"))
            let next = try #require(fixture.store.collection(named: "next"))
            #expect(fixture.store.collections().map(\.name) == ["live", "next"])
            #expect(live.configuration == CollectionConfiguration(dimension: 3, metric: .l2))
            #expect(next.configuration == CollectionConfiguration(dimension: 2, metric: .cosine, alpha: 0.5))
            #expect(Self.vector(fixture.store, "live", "a") == [3, 4, 5])
            #expect(Self.vector(fixture.store, "live", "b") == [6, 7, 8])
            #expect(Self.vector(fixture.store, "next", "a") == [1, 2])
            #expect(Self.vector(fixture.store, "next", "b") == [9, 10])
            // The writer's numbers are of the data too: in the one that was observed before, 7 was there already.
            #expect(live.totals.count == 1)
            #expect(next.totals.count == 1)
            try fixture.restart(checkpointing: checkpointing)
        }
    }

    @Test func itCanGoBack() throws {
        let fixture = try StoreFixture()
        try fixture.apply(Self.create + [Self.put("live", "a", [1, 2])])
        let live = try #require(fixture.store.collection(named: "live"))
        for _ in 0..<2 {
            #expect(try fixture.apply([.swap("live", "next"), .swap("next", "live")]) == [.done, .done])
        }
        #expect(fixture.store.collection(named: "live") === live)
        #expect(try fixture.apply([.swap("next", "live")]) == [.done])
        #expect(fixture.store.collection(named: "next") === live)
    }

    @Test func withoutBothNothingMoves() throws {
        let fixture = try StoreFixture()
        try fixture.apply(Self.create)
        let live = try #require(fixture.store.collection(named: "live"))
        for (first, second) in [("live", "none"), ("none", "live"), ("none", "nowhere")] {
            let outcome = try fixture.apply([.swap(first, second)])
            #expect(outcome == [.failed(.noCollection(first == "live" ? second : first))])
        }
        #expect(fixture.store.collection(named: "live") === live)
        #expect(fixture.store.collections().map(\.name) == ["live", "next"])
    }

    /// A name that moved is free when its collection goes, and the other collection keeps all it has.
    @Test func whatIsDroppedAfterwardsIsWhatHasTheNameThen() throws {
        let fixture = try StoreFixture()
        try fixture.apply(Self.create + [Self.put("live", "a", [1, 2]), Self.put("next", "a", [3, 4, 5])])
        #expect(
            try fixture.apply([.swap("live", "next"), .drop(name: "next"), Self.create[1]]) == [.done, .done, .done]
        )
        for checkpointing in [false, true] {
            #expect(Self.vector(fixture.store, "live", "a") == [3, 4, 5])
            #expect(fixture.store.collection(named: "next")?.idCount == 0)
            try fixture.restart(checkpointing: checkpointing)
        }
    }

    /// Whoever has looked a collection up goes on with it; whoever looks up later has the other.
    @Test func aReaderKeepsWhatItLookedUp() throws {
        let fixture = try StoreFixture()
        try fixture.apply(Self.create + [Self.put("live", "a", [1, 2]), Self.put("next", "a", [3, 4, 5])])
        let old = try #require(fixture.store.collection(named: "live"))
        let ids = PackedStrings([Array("a".utf8)])
        try fixture.apply([.swap("live", "next"), Self.put("live", "a", [6, 7, 8])])
        #expect(old.embeddings(of: ids, 0..<1).values == [1, 2])
        #expect(Self.vector(fixture.store, "live", "a") == [6, 7, 8])
    }
}
