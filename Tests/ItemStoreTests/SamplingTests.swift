import Foundation
import PackedStrings
import SamplingFrequency
import Synchronization
import TestSupport
import Testing

@testable import ItemStore

/// Draws from a store that is being written: their distribution, their probabilities, and which items are never drawn.
@Suite struct SamplingTests {
    /// `LOGQD_TEST_SCALE=full`: a million draws.
    private static let drawCount = TestScale.isFull ? 1_000_000 : 200_000
    private static let population = (0..<300).map { Array("item-\($0)".utf8) }
    private static let noise = (0..<200).map { Array("noise-\($0)".utf8) }

    /// Items with counts from 0 to a few thousand, and some ids without an embedding.
    private static func filledStore(halfLife: Double? = nil) throws -> StoreFixture {
        let fixture = try StoreFixture()
        let configuration = CollectionConfiguration(dimension: 2, halfLife: halfLife, recentCount: 5_000)
        var writes: [Write] = [.create(name: "c", configuration)]
        writes += (population + noise).map { .put(collection: "c", id: $0, vector: [1, 2], features: nil) }
        for step in 1...40 {
            let ids = population.indices.filter { $0 % 3 > 0 && $0 * $0 / 70 % 41 >= step }.map { population[$0] }
            let strangers = (0..<5).map { Array("no-embedding-\($0)".utf8) }
            writes.append(observe(ids + ids.prefix(50) + strangers, step: Int64(step)))
        }
        for outcome in try fixture.apply(writes) { #expect(outcome == .done) }
        return fixture
    }

    private static func observe(_ ids: [[UInt8]], step: Int64?) -> Write {
        .observe(collection: "c", step: RequestedStep(step), sequence: nil, ids: PackedStrings(ids))
    }

    /// Draws while the ids of `noise`, which are excluded, are observed, deleted and put again. This must not change
    /// the probabilities of the other items.
    @Test(
        arguments: [
            .uniform, .recent, .frequency(power: 0), .frequency(power: 0.5), .frequency(power: 0.75),
            .frequency(power: 1),
            .mixed(power: 1, inBatch: 3, uniform: 1), .mixed(power: 0.5, inBatch: 1, uniform: 4),
        ] as [SampleQuery.Distribution]
    )
    func drawsFollowTheirProbabilitiesWhileOthersAreWritten(distribution: SampleQuery.Distribution) throws {
        let fixture = try Self.filledStore(halfLife: 1_000)
        let collection = try #require(fixture.store.collection(named: "c"))
        // Observations of other ids would push entries out of the bank.
        let writesStatistics = distribution != .recent
        try Self.withNoise(in: fixture.store, writesStatistics) {
            var hits: [[UInt8]: Int] = [:]
            var q: [[UInt8]: Double] = [:]
            for seed in 0..<UInt64(Self.drawCount / 10_000) {
                let answer = try collection.sample(
                    SampleQuery(distribution, count: 10_000, except: PackedStrings(Self.noise), seed: seed)
                )
                #expect(answer.ids.count == 10_000)
                for (index, id) in StoreModel.strings(answer.ids).enumerated() {
                    hits[id, default: 0] += 1
                    // All weights fade alike as other ids advance the step.
                    let known = q[id] ?? answer.q[index]
                    #expect(abs(answer.q[index] - known) < 1e-9 * known)
                    q[id] = known
                }
            }
            #expect(Set(hits.keys).isSubset(of: Set(Self.population)))
            #expect(abs(q.values.reduce(0, +) - 1) < 1e-6, "\(q.count) were drawn")
            let ids = Array(hits.keys)
            let counts = ids.map { hits[$0]! }
            #expect(ChiSquare.excess(counts, weights: ids.map { q[$0]! }) < 1)
            let bent = ids.map { q[$0]! * ($0.last! % 2 == 0 ? 1.08 : 1) }
            #expect(ChiSquare.excess(counts, weights: bent) > 1, "the test would not see eight per cent")
        }
    }

    private static func withNoise(in store: ItemStore, _ writesStatistics: Bool, _ body: () throws -> Void) throws {
        let isOver = Atomic(false)
        let writing = Background {
            var writeCount = 0
            var random = SeededGenerator(seed: 11)
            var step: Int64 = 41
            while !isOver.load(ordering: .relaxed) {
                let some = (0..<40).map { _ in noise.randomElement(using: &random)! }
                var writes: [Write] = [.delete(collection: "c", ids: PackedStrings(some.prefix(10)))]
                writes += some.map { .put(collection: "c", id: $0, vector: [3, 4], features: nil) }
                if writesStatistics { writes.append(observe(some, step: step)) }
                step += 1
                _ = try store.apply(writes)
                writeCount += writes.count
            }
            return writeCount
        }
        let outcome = Result { try body() }
        isOver.store(true, ordering: .relaxed)
        #expect(try writing.wait() > 0)
        try outcome.get()
    }

    /// The first of several unique draws is a plain draw. An item is included as often as in a simulation of the same
    /// process, and nearly as often as `expected` says.
    @Test func uniqueDrawsIncludeAsExpected() throws {
        let fixture = try Self.filledStore()
        let collection = try #require(fixture.store.collection(named: "c"))
        let (count, requestCount) = (20, 5_000)
        var included: [[UInt8]: Int] = [:]
        var first: [[UInt8]: Int] = [:]
        var expectedSum: [[UInt8]: Double] = [:]
        var q: [[UInt8]: Double] = [:]
        for seed in 0..<UInt64(requestCount) {
            let query = SampleQuery(.frequency(power: 1), count: count, isUnique: true, seed: seed)
            let answer = try collection.sample(query)
            let ids = StoreModel.strings(answer.ids)
            #expect(ids.count == count && Set(ids).count == count)
            first[ids[0], default: 0] += 1
            for (index, id) in ids.enumerated() {
                included[id, default: 0] += 1
                expectedSum[id, default: 0] += answer.expected[index]
                q[id] = answer.q[index]
            }
        }
        let drawn = Array(q.keys)
        let weights = drawn.map { q[$0]! }
        #expect(ChiSquare.excess(drawn.map { first[$0] ?? 0 }, weights: weights) < 1)

        // Simulate the process 50,000 times, with a list of cumulative sums.
        var random = SeededGenerator(seed: 3)
        var simulated = Array(repeating: 0, count: drawn.count)
        let rounds = 50_000
        let sums = weights.reduce(into: [0.0]) { $0.append($0.last! + $1) }.dropFirst()
        for _ in 0..<rounds {
            var seen: Set<Int> = []
            while seen.count < count {
                let value = Double.random(in: 0..<sums.last!, using: &random)
                var (low, high) = (sums.startIndex, sums.endIndex - 1)
                while low < high {
                    let middle = (low + high) / 2
                    if sums[middle] > value { high = middle } else { low = middle + 1 }
                }
                seen.insert(low - sums.startIndex)
            }
            for place in seen { simulated[place] += 1 }
        }
        for (place, id) in drawn.enumerated() {
            let share = Double(simulated[place]) / Double(rounds)
            let seen = Double(included[id] ?? 0) / Double(requestCount)
            let deviation = (share * (1 - share) * (1 / Double(rounds) + 1 / Double(requestCount))).squareRoot()
            #expect(abs(seen - share) < 5 * deviation + 1e-9, "\(String(decoding: id, as: UTF8.self))")
            // `expected` treats the number of tries as given. TensorFlow makes the same approximation.
            let expected = expectedSum[id]! / Double(included[id]!)
            #expect(abs(expected - share) < 0.05 * share + 5 * deviation, "\(String(decoding: id, as: UTF8.self))")
        }
    }

    /// If a few items hold nearly all of the probability, the tries are not made one by one. Their number, and so
    /// `expected`, must be distributed as if they were.
    @Test func uniqueDrawsOfAFewPopularItemsCostNoMoreTries() throws {
        let fixture = try StoreFixture()
        try fixture.apply([.create(name: "c", CollectionConfiguration(dimension: 1))])
        let counts = [1_000.0, 1_000, 50, 30, 10, 10, 10, 1]
        let ids = counts.indices.map { Array("i\($0)".utf8) }
        var writes: [Write] = ids.map { .put(collection: "c", id: $0, vector: [1], features: nil) }
        let gaps = counts.map { _ in Double.nan }
        writes.append(.setFrequencies(collection: "c", step: 1, ids: PackedStrings(ids), gaps: gaps, counts: counts))
        try fixture.apply(writes)
        let collection = try #require(fixture.store.collection(named: "c"))
        let wanted = 7
        var tries: [Double] = []
        for seed in 0..<4_000 as Range<UInt64> {
            let query = SampleQuery(.frequency(power: 1), count: wanted, isUnique: true, seed: seed)
            let answer = try collection.sample(query)
            // The number of tries follows from `expected` of the rarest row.
            let (q, expected) = zip(answer.q, answer.expected).min { $0.0 < $1.0 }!
            tries.append((log1p(-expected) / log1p(-q)).rounded())
            #expect(answer.ids.count == wanted || tries.last == Double(100 * wanted))
        }
        // Simulate the same draw with single tries.
        var random = SeededGenerator(seed: 4)
        let ends = counts.reduce(into: [0.0]) { $0.append($0.last! + $1) }.dropFirst()
        let simulated = tries.map { _ -> Double in
            var seen: Set<Int> = []
            var tries = 0
            while seen.count < wanted, tries < 100 * wanted {
                tries += 1
                let value = Double.random(in: 0..<ends.last!, using: &random)
                seen.insert(ends.firstIndex { value < $0 }!)
            }
            return Double(tries)
        }
        func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
        func deviation(_ values: [Double]) -> Double {
            (values.reduce(0) { $0 + ($1 - mean(values)) * ($1 - mean(values)) } / Double(values.count)).squareRoot()
        }
        let noise = deviation(simulated) / Double(tries.count).squareRoot()
        #expect(abs(mean(tries) - mean(simulated)) < 5 * noise, "\(mean(tries)), simulated \(mean(simulated))")
        #expect(abs(deviation(tries) - deviation(simulated)) < 5 * noise)
    }

    @Test func nothingToDrawFromIsNotAnError() throws {
        let fixture = try StoreFixture()
        try fixture.apply([.create(name: "c", CollectionConfiguration(dimension: 1, recentCount: 3))])
        let collection = try #require(fixture.store.collection(named: "c"))
        let all: [SampleQuery.Distribution] = [
            .uniform, .recent, .frequency(power: 0.5), .mixed(power: 1, inBatch: 1, uniform: 0),
        ]
        for distribution in all {
            #expect(try collection.sample(SampleQuery(distribution, count: 5)).ids.isEmpty)
        }
        // An observed id without an embedding cannot be drawn. An item that was not observed can be drawn by some
        // distributions only.
        try fixture.apply([
            Self.observe([Array("a".utf8)], step: 1),
            .put(collection: "c", id: Array("b".utf8), vector: [1], features: nil),
        ])
        #expect(try collection.sample(SampleQuery(.recent, count: 5)).ids.isEmpty)
        #expect(try collection.sample(SampleQuery(.frequency(power: 0), count: 5)).ids.isEmpty)
        for distribution in [.uniform, .mixed(power: 1, inBatch: 1, uniform: 0)] as [SampleQuery.Distribution] {
            let answer = try collection.sample(SampleQuery(distribution, count: 5))
            #expect(StoreModel.strings(answer.ids) == Array(repeating: Array("b".utf8), count: 5))
            #expect(answer.q == [1, 1, 1, 1, 1] && answer.expected == [5, 5, 5, 5, 5])
        }
        let unique = try collection.sample(SampleQuery(.uniform, count: 5, isUnique: true))
        #expect(StoreModel.strings(unique.ids) == [Array("b".utf8)] && unique.expected == [1])
    }

    /// The order of 10,000 items is reversed. After five half-lives, q follows the new order.
    @Test func qFollowsAPopularityThatDrifts() throws {
        let (itemCount, batch) = (10_000, 256)
        let ids = (0..<itemCount).map { Array("i\($0)".utf8) }
        let fixture = try StoreFixture()
        try fixture.apply([.create(name: "c", CollectionConfiguration(dimension: 1, halfLife: 1_000))])
        let collection = try #require(fixture.store.collection(named: "c"))
        // Zipf's law, as in many catalogues.
        let weights = (0..<itemCount).map { 1 / Double($0 + 10) }
        let total = weights.reduce(0, +)
        let ends = weights.reduce(into: [0.0]) { $0.append($0.last! + $1 / total) }.dropFirst()
        var offset = 0.0

        /// A batch in which the number of each item differs from its expected number by less than 1. The noise of
        /// independent draws would hide the effect. The offsets fill the unit interval evenly.
        func nextBatch(isReversed: Bool) -> [[UInt8]] {
            offset = (offset + 0.618_033_988_749_895).truncatingRemainder(dividingBy: 1)
            var item = 0
            return (0..<batch).map { place in
                while item < itemCount - 1, ends[item + 1] * Double(batch) <= Double(place) + offset { item += 1 }
                return ids[isReversed ? itemCount - 1 - item : item]
            }
        }
        func read() -> [FrequencyEstimate] { collection.frequencies(of: PackedStrings(ids), 0..<itemCount) }
        func distanceToReversed() -> Double {
            zip(read(), weights.reversed()).reduce(0) { $0 + abs($1.0.q - $1.1 / total) / 2 }
        }
        for (isReversed, stepCount) in [(false, 2_000), (true, 5_000)] {
            if isReversed { #expect(distanceToReversed() > 0.5, "the orders differ") }
            for _ in stride(from: 0, to: stepCount, by: 100) {
                try fixture.apply((0..<100).map { _ in Self.observe(nextBatch(isReversed: isReversed), step: nil) })
            }
        }
        let distance = distanceToReversed()
        print("total variation after five half-lives: \(distance)")
        #expect(distance < 0.05)
        #expect(abs(read().reduce(0) { $0 + ($1.count > 0 ? $1.q : 0) } - 1) < 1e-6)
    }
}
