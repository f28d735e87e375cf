// Searches of a real store: alone, several in a pass, several threads on a pass, and while everything is rewritten.

import Foundation
import NIOConcurrencyHelpers
import PackedStrings
import Synchronization
import TestSupport
import Testing
import VectorIndex

@testable import ItemStore

extension TopKPass {
    fileprivate func outcomes() -> [TopKOutcome] {
        var outcomes: [TopKOutcome?] = queries.map { _ in nil }
        forEachOutcome { outcomes[$0] = $1 }
        return outcomes.map { $0! }
    }
}

@Suite struct TopKTests {
    private static let dimension = 12

    private static func vector(_ random: inout SeededGenerator) -> [Float] {
        (0..<dimension).map { _ in Float.random(in: -1...1, using: &random) }
    }

    private struct Item {
        let id: String
        let vector: [Float]
    }

    private struct Hit: Equatable {
        let id: String
        let score: Double
    }

    /// A collection of `count` items, some of them put twice, some deleted again.
    private func fill(
        _ store: StoreFixture,
        metric: Metric,
        count: Int,
        _ random: inout SeededGenerator
    ) throws -> [Item] {
        try store.apply([
            .create(name: "c", CollectionConfiguration(dimension: Self.dimension, metric: metric, alpha: 0.01))
        ])
        var items: [Item] = []
        for number in 0..<count {
            // Ids of all lengths, including those that do not fit a slot.
            let id = "\(number)" + String(repeating: "x", count: number % 30)
            items.append(Item(id: id, vector: Self.vector(&random)))
        }
        try store.apply(
            items.map { .put(collection: "c", id: Array($0.id.utf8), vector: Self.vector(&random), features: nil) }
        )
        try store.apply(
            items.map { .put(collection: "c", id: Array($0.id.utf8), vector: $0.vector, features: nil) }
        )
        let removed = items.filter { _ in Int.random(in: 0..<10, using: &random) == 0 }
        try store.apply([
            .delete(collection: "c", ids: PackedStrings(removed.map { Array($0.id.utf8) }))
        ])
        let gone = Set(removed.map(\.id))
        return items.filter { !gone.contains($0.id) }
    }

    private func expected(_ items: [Item], _ query: TopKQuery, without except: Set<String> = []) -> [Hit] {
        let ranked = items.filter { !except.contains($0.id) }
            .map { Hit(id: $0.id, score: query.vector.score($0.vector)) }
            .filter { $0.score >= query.scoreMin }
            .sorted {
                $0.score != $1.score
                    ? $0.score > $1.score : Array($0.id.utf8).lexicographicallyPrecedes(Array($1.id.utf8))
            }
        return Array(ranked.prefix(query.ranks.upperBound).dropFirst(query.ranks.lowerBound - 1))
    }

    private func hits(_ answer: TopKAnswer) -> [Hit] {
        (0..<answer.ids.count).map {
            Hit(id: String(decoding: answer.ids[$0], as: UTF8.self), score: answer.scores[$0])
        }
    }

    @Test(arguments: Metric.allCases)
    func ranksScoresAndExceptions(metric: Metric) throws {
        var random = SeededGenerator()
        let store = try StoreFixture()
        let items = try fill(store, metric: metric, count: 5_000, &random)
        for restarts in [false, true] {
            if restarts { try store.restart(checkpointing: Bool.random(using: &random)) }
            let collection = try #require(store.store.collection(named: "c"))
            for _ in 0..<20 {
                let vector = QueryVector(Self.vector(&random), metric: metric)
                var query = TopKQuery(vector: vector, k: 50)
                let best = expected(items, query)
                #expect(hits(collection.topK(query)) == best)

                query.ranks = 11...30
                #expect(hits(collection.topK(query)) == Array(best[10..<30]))

                let except = Set(best.filter { _ in Bool.random(using: &random) }.map(\.id))
                query.except = PackedStrings(except.map { Array($0.utf8) } + [Array("nobody".utf8)])
                #expect(hits(collection.topK(query)) == expected(items, query, without: except))

                // An item whose score equals the lowest allowed score is included.
                query = TopKQuery(vector: vector, ranks: 1...40, scoreMin: best[20].score)
                #expect(hits(collection.topK(query)) == Array(best[...20]))
                query.scoreMin = best[0].score.nextUp
                #expect(hits(collection.topK(query)).isEmpty)
                query.ranks = 6_000...7_000
                #expect(hits(collection.topK(query)).isEmpty)
            }
        }
    }

    @Test func severalQueriesAndThreadsOnOnePass() throws {
        var random = SeededGenerator()
        let store = try StoreFixture()
        let items = try fill(store, metric: .dot, count: 20_000, &random)
        let collection = try #require(store.store.collection(named: "c"))
        for round in 0..<10 {
            let queries = (0..<1 + round % 8).map { number in
                TopKQuery(vector: QueryVector(Self.vector(&random), metric: .dot), ranks: 1...(1 + 40 * number))
            }
            let pass = TopKPass(collection, queries)
            let last = NIOLockedValueBox(0)
            DispatchQueue.concurrentPerform(iterations: 4) { _ in
                if pass.takePart() { last.withLockedValue { $0 += 1 } }
            }
            #expect(last.withLockedValue { $0 } == 1, "exactly one participant fetches the outcomes")
            // A participant that comes too late has nothing to do.
            #expect(!pass.takePart())
            for (query, outcome) in zip(queries, pass.outcomes()) {
                #expect(hits(try outcome.get()) == expected(items, query))
            }
        }
    }

    @Test func aDeadlineEndsOneQueryAndNotItsNeighbours() throws {
        var random = SeededGenerator()
        let store = try StoreFixture()
        let items = try fill(store, metric: .dot, count: 2_000, &random)
        let collection = try #require(store.store.collection(named: "c"))
        let patient = TopKQuery(vector: QueryVector(Self.vector(&random), metric: .dot), k: 10)
        var hasty = patient
        hasty.deadline = ContinuousClock.now - .milliseconds(1)
        let pass = TopKPass(collection, [patient, hasty, patient])
        #expect(pass.takePart())
        let outcomes = pass.outcomes()
        #expect(hits(try outcomes[0].get()) == expected(items, patient))
        #expect(hits(try outcomes[2].get()) == expected(items, patient))
        #expect(throws: StoreError.self) { try outcomes[1].get() }
        if case .failure(let error) = outcomes[1] { #expect(error.code == .timeout) }

        let alone = TopKPass(collection, [hasty])
        #expect(alone.takePart())
        if case .success = alone.outcomes()[0] { Issue.record("answered after its deadline") }
    }

    @Test func anIDThatIsSeenTwiceIsNoticed() {
        let query = TopKQuery(vector: QueryVector([1], metric: .dot), k: 3)
        var items = RankedItems(query)
        func insert(_ score: Double, _ id: String) {
            var id = id
            id.withUTF8 { _ = items.insert(score, UnsafeRawBufferPointer($0)) { preconditionFailure() } }
        }
        insert(1, "a")
        insert(2, "b")
        #expect(!items.hasRepeatedID)
        insert(3, "a")
        #expect(items.hasRepeatedID)
    }

    // MARK: - During writes

    /// Some items never change. For them the answer must be exact. The others are rewritten all the time with vectors
    /// that follow from their id and version, and some are deleted and put again. Each of these must be judged by one
    /// version that it had while the query ran.
    @Test func exactWhileItemsAreRewritten() throws {
        var random = SeededGenerator()
        let store = try StoreFixture()
        let fixed = try fill(store, metric: .dot, count: 3_000, &random)
        let collection = try #require(store.store.collection(named: "c"))
        let churn = Churn(store: store.store, itemCount: 300)
        try churn.write(version: 0)
        let isDone = Atomic(false)
        @Sendable func rewrite() throws {
            var version = 1
            while !isDone.load(ordering: .relaxed) {
                try churn.write(version: version)
                version += 1
            }
        }
        try during(rewrite) {
            defer { isDone.store(true, ordering: .relaxed) }
            for _ in 0..<(TestScale.isFull ? 3_000 : 300) {
                let query = TopKQuery(vector: QueryVector(Self.vector(&random), metric: .dot), k: 40)
                let first = churn.acknowledged.load(ordering: .acquiring)
                let answer = hits(collection.topK(query))
                let last = churn.submitted.load(ordering: .acquiring)
                try check(answer, query, fixed, churn, first...last)
            }
        }
        #expect(churn.acknowledged.load(ordering: .acquiring) > 10, "the items were not rewritten during the test")
    }

    private func check(
        _ answer: [Hit],
        _ query: TopKQuery,
        _ fixed: [Item],
        _ churn: Churn,
        _ versions: ClosedRange<Int>
    ) throws {
        try #require(answer.count == 40)
        try #require(Set(answer.map(\.id)).count == 40, "an id occurs twice")
        let cutoff = answer.last!
        let best = expected(fixed, query)
        let ofFixed = answer.filter { !$0.id.hasPrefix("churn") }
        try #require(ofFixed == Array(best.prefix(ofFixed.count)), "wrong order of the items that are never written")
        if ofFixed.count < best.count { try #require(best[ofFixed.count].score <= cutoff.score, "an item is missing") }
        for hit in answer where hit.id.hasPrefix("churn") {
            let scores = versions.compactMap { churn.vector(hit.id, version: $0) }.map { query.vector.score($0) }
            try #require(scores.contains(hit.score), "\(hit) matches none of the versions \(versions)")
        }
        let answered = Set(answer.map(\.id))
        for id in churn.ids where !answered.contains(id) {
            let couldMiss = versions.contains { version in
                guard let vector = churn.vector(id, version: version) else { return true }
                return query.vector.score(vector) <= cutoff.score
            }
            try #require(couldMiss, "\(id) was among the best in every version from \(versions)")
        }
    }

    /// The items that are rewritten, one version at a time.
    private final class Churn: Sendable {
        let ids: [String]
        let submitted = Atomic(0)
        let acknowledged = Atomic(0)
        private let store: ItemStore

        init(store: ItemStore, itemCount: Int) {
            self.store = store
            ids = (0..<itemCount).map { "churn-\($0)" }
        }

        /// Nil if the item does not exist in this version.
        func vector(_ id: String, version: Int) -> [Float]? {
            let number = Int(id.dropFirst(6))!
            guard (number + version) % 5 != 0 else { return nil }
            var random = SeededGenerator(seed: UInt64(number * 1_000_003 + version))
            return TopKTests.vector(&random).map { $0 * 1.2 }
        }

        func write(version: Int) throws {
            submitted.store(version, ordering: .releasing)
            let writes = ids.map { id -> Write in
                let bytes = Array(id.utf8)
                guard let vector = vector(id, version: version) else {
                    return .delete(collection: "c", ids: PackedStrings([bytes]))
                }
                return .put(collection: "c", id: bytes, vector: vector, features: nil)
            }
            _ = try store.apply(writes)
            acknowledged.store(version, ordering: .releasing)
        }
    }

    /// Runs `body` while `work` runs on another thread.
    private func during(_ work: @escaping @Sendable () throws -> Void, _ body: () throws -> Void) throws {
        let background = Background(work)
        let outcome = Result { try body() }
        try background.wait()
        try outcome.get()
    }
}
