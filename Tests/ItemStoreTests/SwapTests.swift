import Foundation
import PackedStrings
import SamplingFrequency
import Testing
import VectorIndex

@testable import ItemStore

/// Two collections exchange their names. The data stays with its collection, and later writes follow the names.
@Suite struct SwapTests {
    private static func put(_ collection: String, _ id: String, _ vector: [Float]) -> Write {
        .put(collection: collection, id: Array(id.utf8), vector: vector, features: nil)
    }

    private static func observe(_ collection: String, _ step: Int64, _ id: String) -> Write {
        .observe(
            collection: collection,
            step: RequestedStep(step),
            sequence: ProducerSequence(producer: "w", number: step),
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

    /// Data in the journal and in the tables belongs to the collection's number. Names come from the final state of the
    /// catalogue.
    @Test(arguments: [false, true])
    func theNameMovesAndTheDataStays(checkpointing: Bool) throws {
        let fixture = try StoreFixture()
        var outcomes = try fixture.apply(
            Self.create + [
                Self.put("live", "a", [1, 2]),
                Self.put("next", "a", [3, 4, 5]),
                Self.observe("live", 7, "a"),
                .swap("live", "next"),
                // These are in the same batch as the swap. Each is judged by the names at its position.
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
            // Producers' sequence numbers also belong to the data. The collection observed before the swap had already
            // seen 7.
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

    @Test func aSwapWithAMissingCollectionMovesNothing() throws {
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

    /// If a collection is dropped after a swap, its new name becomes free. The other collection keeps its data.
    @Test func aLaterDropFollowsTheNewNames() throws {
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

    /// A reader keeps the collection that it has looked up. A later look-up finds the other one.
    @Test func aReaderKeepsTheCollectionThatItLookedUp() throws {
        let fixture = try StoreFixture()
        try fixture.apply(Self.create + [Self.put("live", "a", [1, 2]), Self.put("next", "a", [3, 4, 5])])
        let old = try #require(fixture.store.collection(named: "live"))
        let ids = PackedStrings([Array("a".utf8)])
        try fixture.apply([.swap("live", "next"), Self.put("live", "a", [6, 7, 8])])
        #expect(old.embeddings(of: ids, 0..<1).values == [1, 2])
        #expect(Self.vector(fixture.store, "live", "a") == [6, 7, 8])
    }
}
