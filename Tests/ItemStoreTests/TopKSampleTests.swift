// The selection from the found items: ranks, the margin to positives, samples.

import PackedStrings
import TestSupport
import Testing
import VectorIndex

@testable import ItemStore

@Suite struct TopKSampleTests {
    private struct Hit: Hashable {
        let id: String
        let score: Double
        let rank: Int
    }

    private static let count = 500

    /// Items 0 ..< 500 on a line: item n scores −n against [1], so its rank is n + 1.
    private func fill(_ store: StoreFixture, count: Int = count) throws -> Collection {
        try store.apply([.create(name: "c", CollectionConfiguration(dimension: 1, metric: .dot, alpha: 0.01))])
        try store.apply(
            (0..<count).map {
                .put(collection: "c", id: Array("\($0)".utf8), vector: [-Float($0)], features: nil)
            } + [.setFeatures(collection: "c", id: Array("featured".utf8), json: Array("{}".utf8))]
        )
        return try #require(store.store.collection(named: "c"))
    }

    private func outcome(_ collection: Collection, _ query: TopKQuery) -> TopKOutcome {
        let pass = TopKPass(collection, [query])
        _ = pass.takePart()
        var outcome: TopKOutcome?
        pass.forEachOutcome { outcome = $1 }
        return outcome!
    }

    private func hits(_ collection: Collection, _ query: TopKQuery) throws -> [Hit] {
        let answer = try outcome(collection, query).get()
        return (0..<answer.ids.count).map {
            Hit(id: String(decoding: answer.ids[$0], as: UTF8.self), score: answer.scores[$0], rank: answer.ranks[$0])
        }
    }

    private func query(_ ranks: ClosedRange<Int>) -> TopKQuery {
        TopKQuery(vector: QueryVector([1], metric: .dot), ranks: ranks)
    }

    private func ids(_ ids: [String]) -> PackedStrings { PackedStrings(ids.map { Array($0.utf8) }) }

    @Test func ranksAreCountedBeforeAnythingIsDropped() throws {
        let store = try StoreFixture()
        let collection = try fill(store)
        #expect(try hits(collection, query(3...5)).map(\.rank) == [3, 4, 5])
        var query = query(101...500)
        query.except = ids(["0", "150", "nobody"])
        #expect(try hits(collection, query).first == Hit(id: "101", score: -101, rank: 101))
        query.sample = TopKSample(count: 3)
        #expect(try hits(collection, query).map(\.id) == ["101", "102", "103"])
        query.sample = TopKSample(count: 3, strategy: .random(seed: 1))
        for hit in try hits(collection, query) {
            let number = Int(hit.id)!
            #expect(hit.rank == number + (number < 150 ? 0 : -1) && hit.score == -Double(number))
        }
    }

    @Test func marginIsKeptFromTheLowestPositive() throws {
        let store = try StoreFixture()
        let collection = try fill(store)
        var query = query(1...40)
        query.except = ids(["3", "10", "30", "nobody", "featured"])
        query.margin = TopKMargin(positives: query.except, width: 0)
        // Ranks 1 to 40 are items 0 to 42 without three. Of these, the ones that score −30 or less.
        #expect(try hits(collection, query).map(\.id) == (31...42).map { "\($0)" })
        #expect(try hits(collection, query).map(\.rank) == Array(29...40))
        query.margin?.width = 2
        // An item whose score equals the limit is included.
        #expect(try hits(collection, query).map(\.id) == (32...42).map { "\($0)" })
        query.margin?.width = 2.5
        #expect(try hits(collection, query).first?.id == "33")
        query.margin?.width = 13
        #expect(try hits(collection, query).isEmpty)
        query.margin = TopKMargin(positives: ids(["3"]), width: 1)
        query.sample = TopKSample(count: 2)
        #expect(try hits(collection, query).map(\.id) == ["4", "5"])
    }

    @Test func marginNeedsAPositiveWithAnEmbedding() throws {
        let store = try StoreFixture()
        let collection = try fill(store)
        var hopeless = query(1...5)
        hopeless.margin = TopKMargin(positives: ids(["nobody", "featured"]), width: 1)
        // Its neighbours in the pass are answered, including those on the same thread.
        var neighbour = query(1...5)
        neighbour.margin = TopKMargin(positives: ids(["1"]), width: 1)
        let pass = TopKPass(collection, [query(1...5), hopeless, neighbour])
        #expect(pass.takePart())
        var found: [Int: [String]] = [:]
        pass.forEachOutcome { index, outcome in
            switch outcome {
            case .success(let answer):
                found[index] = (0..<answer.ids.count).map { String(decoding: answer.ids[$0], as: UTF8.self) }
            case .failure(let error):
                #expect(index == 1 && error.code == .noItem)
                #expect(error.message.hasPrefix("got 2 ids"))
            }
        }
        #expect(found == [0: ["0", "1", "2", "3", "4"], 2: ["2", "3", "4"]])
    }

    @Test func aSampleLargerThanTheResultIsTheWholeResult() throws {
        let store = try StoreFixture()
        let collection = try fill(store)
        for strategy in [TopKSample.Strategy.top, .random(seed: nil), .random(seed: 0)] {
            var query = query(491...600)
            query.sample = TopKSample(count: 10, strategy: strategy)
            #expect(try hits(collection, query).map(\.rank) == Array(491...500))
            query.sample = TopKSample(count: .max, strategy: strategy)
            #expect(try hits(collection, query).map(\.rank) == Array(491...500))
        }
    }

    @Test func aSeedDrawsTheSame() throws {
        let store = try StoreFixture()
        let collection = try fill(store)
        func draw(_ seed: UInt64?) throws -> [Hit] {
            var query = query(11...400)
            query.sample = TopKSample(count: 20, strategy: .random(seed: seed))
            return try hits(collection, query)
        }
        let first = try draw(7)
        #expect(first.count == 20 && Set(first).count == 20)
        #expect(first.allSatisfy { (11...400).contains($0.rank) })
        #expect(first.map(\.rank) == first.map(\.rank).sorted(), "best first")
        #expect(try draw(7) == first)
        #expect(try draw(8) != first)
        // There are 390 over 20 (binomial) possible sets, so two equal draws are practically impossible.
        #expect(try draw(nil) != draw(nil))
    }

    /// Draws 4 of 12 ranks thousands of times. All ranks must be equally frequent, and so must all pairs of ranks.
    @Test func randomSamplesAreUniform() throws {
        let store = try StoreFixture()
        let collection = try fill(store, count: 12)
        let (rankCount, sampleCount, drawCount) = (12, 4, TestScale.isFull ? 100_000 : 12_000)
        var ranks = [Int](repeating: 0, count: rankCount)
        var pairs = [Int](repeating: 0, count: rankCount * rankCount)
        // Several queries in a pass, for speed. Each has its own seed.
        for first in stride(from: 0, to: drawCount, by: 8) {
            let answers = collection.topK(
                (first..<first + 8).map { seed in
                    var query = query(1...rankCount)
                    query.sample = TopKSample(count: sampleCount, strategy: .random(seed: UInt64(seed)))
                    return query
                }
            )
            for answer in answers {
                for (place, rank) in answer.ranks.enumerated() {
                    ranks[rank - 1] += 1
                    for other in answer.ranks[(place + 1)...] { pairs[(rank - 1) * rankCount + other - 1] += 1 }
                }
            }
        }
        // Without replacement, the statistic of the ranks is chi-square of 11 degrees times 8/11. That of the pairs has
        // a mean of 60 and a standard deviation of 13. Each limit is exceeded with a probability below 1/1,000.
        let draws = Double(drawCount)
        #expect(chiSquare(ranks, expected: draws * 4 / 12) * 11 / 8 < 31.3)
        let upper = pairs.enumerated().filter { $0.offset / rankCount < $0.offset % rankCount }.map(\.element)
        #expect(upper.count == 66)
        #expect(chiSquare(upper, expected: draws * 6 / 66) < 115)
    }

    private func chiSquare(_ counts: [Int], expected: Double) -> Double {
        counts.reduce(0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
    }
}
