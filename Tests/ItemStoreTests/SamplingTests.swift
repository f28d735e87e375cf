import Foundation
import NIOConcurrencyHelpers
import PackedStrings
import SamplingFrequency
import TestSupport
import Testing

@testable import ItemStore

/// Draws from a store that is being written: their distribution, their probabilities, and who is never drawn.
@Suite struct SamplingTests {
    /// `LOGQD_TEST_SCALE=full`: a million draws.
    private static let drawCount = TestScale.isFull ? 1_000_000 : 200_000
    private static let population = (0..<300).map { Array("item-\($0)".utf8) }
    private static let noise = (0..<200).map { Array("noise-\($0)".utf8) }

    /// Items with counts from 0 to a few thousand, some ids without an embedding among them.
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
        .observe(collection: "c", step: step, sequence: nil, ids: PackedStrings(ids))
    }

    /// Draws while the ids of `noise`, which are excluded, are observed, deleted and put again: the probabilities of the
    /// others do not change, whatever happens around them.
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
        // Observations of others would push the bank's entries out.
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
                    // As the steps of others go by all weights fade alike.
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
        let state = NIOLockedValueBox((isOver: false, writeCount: 0, failure: (any Error)?.none))
        let done = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            defer { done.signal() }
            var random = SeededGenerator(seed: 11)
            var step: Int64 = 41
            while !state.withLockedValue({ $0.isOver }) {
                let some = (0..<40).map { _ in noise.randomElement(using: &random)! }
                var writes: [Write] = [.delete(collection: "c", ids: PackedStrings(some.prefix(10)))]
                writes += some.map { .put(collection: "c", id: $0, vector: [3, 4], features: nil) }
                if writesStatistics { writes.append(observe(some, step: step)) }
                step += 1
                do {
                    _ = try store.apply(writes)
                    state.withLockedValue { $0.writeCount += writes.count }
                } catch {
                    return state.withLockedValue { $0.failure = error }
                }
            }
        }
        defer {
            state.withLockedValue { $0.isOver = true }
            #expect(done.wait(timeout: .now() + 60) == .success)
        }
        try body()
        let (writeCount, failure) = state.withLockedValue { ($0.writeCount, $0.failure) }
        #expect(failure == nil && writeCount > 0)
    }

    /// Of unique draws the first one is a plain draw, and an item is among them as often as in a simulation of the same
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

        // The same by drawing from a list of cumulative sums, 50,000 times.
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
            // Which takes the tries for given, and is TensorFlow's approximation too.
            let expected = expectedSum[id]! / Double(included[id]!)
            #expect(abs(expected - share) < 0.05 * share + 5 * deviation, "\(String(decoding: id, as: UTF8.self))")
        }
    }

    /// Where a few items hold nearly all of the probability, tries are not made one by one; how many there were, and so
    /// `expected`, is as if they had been.
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
            // What `expected` says of the rarest row tells how many tries there were.
            let (q, expected) = zip(answer.q, answer.expected).min { $0.0 < $1.0 }!
            tries.append((log1p(-expected) / log1p(-q)).rounded())
            #expect(answer.ids.count == wanted || tries.last == Double(100 * wanted))
        }
        // The same, one by one.
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

    @Test func whatCannotBeDrawnIsNoError() throws {
        let fixture = try StoreFixture()
        try fixture.apply([.create(name: "c", CollectionConfiguration(dimension: 1, recentCount: 3))])
        let collection = try #require(fixture.store.collection(named: "c"))
        let all: [SampleQuery.Distribution] = [
            .uniform, .recent, .frequency(power: 0.5), .mixed(power: 1, inBatch: 1, uniform: 0),
        ]
        for distribution in all {
            #expect(try collection.sample(SampleQuery(distribution, count: 5)).ids.isEmpty)
        }
        // An id that was observed but has no embedding is none either; an item that was not observed only for some.
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

    /// The order of 10,000 items is reversed; after five half-lives q is that of the new order.
    @Test func qFollowsAPopularityThatDrifts() throws {
        let (itemCount, batch) = (10_000, 256)
        let ids = (0..<itemCount).map { Array("i\($0)".utf8) }
        let fixture = try StoreFixture()
        try fixture.apply([.create(name: "c", CollectionConfiguration(dimension: 1, halfLife: 1_000))])
        let collection = try #require(fixture.store.collection(named: "c"))
        // Zipf's law: the popularity in many catalogues.
        let weights = (0..<itemCount).map { 1 / Double($0 + 10) }
        let total = weights.reduce(0, +)
        let ends = weights.reduce(into: [0.0]) { $0.append($0.last! + $1 / total) }.dropFirst()
        var offset = 0.0

        /// A batch that takes each item as often as it should be taken, to one: the noise of independent draws would hide
        /// what is to be seen here. The offsets fill the unit interval evenly.
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
