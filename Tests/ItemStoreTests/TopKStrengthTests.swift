// Scores less λ·ln q, compared with arithmetic on LOGQ's values: at rest, and while everything is observed and
// rewritten.

import Dispatch
import Foundation
import PackedStrings
import SamplingFrequency
import Synchronization
import TestSupport
import Testing
import VectorIndex

@testable import ItemStore

@Suite struct TopKStrengthTests {
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
        /// The bits of the score.
        let score: UInt64

        init(_ id: String, _ score: Double) {
            self.id = id
            self.score = score.bitPattern
        }
    }

    private func ids(_ ids: [String]) -> PackedStrings { PackedStrings(ids.map { Array($0.utf8) }) }

    enum Observations: CaseIterable {
        case none
        /// Few items often, many items rarely.
        case plain
        /// The same, plus unusual counts that a trainer has set.
        case odd
        /// With a half-life.
        case fading
        /// With a half-life so short that counts belong to three epochs.
        case faded
        /// In a sketch in which most ids share their buckets.
        case sketched
        case sketchedAndFading

        var halfLife: Double? {
            switch self {
            case .none, .plain, .odd, .sketched: nil
            case .fading, .sketchedAndFading: 300
            case .faded: 1
            }
        }

        var sketch: SketchLayout? {
            switch self {
            case .none, .plain, .odd, .fading, .faded: nil
            case .sketched: SketchLayout(bucketCount: 1_000, hashCount: 2, seed: 1)
            case .sketchedAndFading: SketchLayout(bucketCount: 500, hashCount: 1, seed: 2)
            }
        }
    }

    private func fill(_ store: StoreFixture, metric: Metric, _ observations: Observations) throws -> [Item] {
        var random = SeededGenerator()
        let configuration = CollectionConfiguration(
            dimension: Self.dimension,
            metric: metric,
            alpha: 0.01,
            halfLife: observations.halfLife,
            sketch: observations.sketch
        )
        try store.apply([.create(name: "c", configuration)])
        let items = (0..<2_500).map { Item(id: "\($0)", vector: Self.vector(&random)) }
        try store.apply(
            items.map { .put(collection: "c", id: Array($0.id.utf8), vector: $0.vector, features: nil) }
        )
        guard observations != .none else { return items }
        for step in 1...20 {
            let batch = (0..<2_000).map { _ in
                // Mostly small numbers, and some ids without an embedding.
                "\(Int(3_000 * pow(Double.random(in: 0..<1, using: &random), 4)))"
            }
            try store.apply([
                .observe(collection: "c", step: RequestedStep(Int64(60 * step)), sequence: nil, ids: ids(batch))
            ])
        }
        guard observations == .odd else { return items }
        let oddities = [
            0, 0.25, 1e-300, .leastNonzeroMagnitude, .leastNormalMagnitude, 0x1p53, 0x1p32, 3 * 0x1p32, 3, 0.5,
        ]
        for (number, count) in oddities.enumerated() {
            let some = (0..<5).map { "\(2_000 + number * 5 + $0)" }
            try store.apply([
                .setFrequencies(
                    collection: "c",
                    step: 1_200,
                    ids: ids(some),
                    gaps: some.map { _ in .nan },
                    counts: some.map { _ in count }
                )
            ])
        }
        return items
    }

    /// The ranking by the values of `LOGQ` and plain arithmetic.
    private func ranked(
        _ items: [Item],
        _ collection: Collection,
        _ query: TopKQuery
    ) -> [(id: String, score: Double)] {
        let all = ids(items.map(\.id))
        let estimates = collection.frequencies(of: all, 0..<all.count)
        return zip(items, estimates)
            .map { ($0.id, query.vector.score($0.vector) - query.strength * log($1.q)) }
            .sorted { $0.1 != $1.1 ? $0.1 > $1.1 : Array($0.0.utf8).lexicographicallyPrecedes(Array($1.0.utf8)) }
    }

    private func hits(_ answer: TopKAnswer) -> [Hit] {
        (0..<answer.ids.count).map { Hit(String(decoding: answer.ids[$0], as: UTF8.self), answer.scores[$0]) }
    }

    private func outcomes(_ collection: Collection, _ queries: [TopKQuery], threads: Int = 1) throws -> [TopKAnswer] {
        let pass = TopKPass(collection, queries)
        DispatchQueue.concurrentPerform(iterations: threads) { _ in _ = pass.takePart() }
        var answers = queries.map { _ in TopKAnswer() }
        var failure: StoreError?
        pass.forEachOutcome { index, outcome in
            switch outcome {
            case .success(let answer): answers[index] = answer
            case .failure(let error): failure = error
            }
        }
        if let failure { throw failure }
        return answers
    }

    private static let strengths = [1, -1, 0.1, -0.05, 8, 1_000, -1_000, 1e-5, -1e-300, .leastNonzeroMagnitude]

    // MARK: - At rest

    @Test(arguments: Metric.allCases, Observations.allCases)
    func equalsArithmeticOnLogQ(metric: Metric, observations: Observations) throws {
        var random = SeededGenerator()
        let store = try StoreFixture()
        let items = try fill(store, metric: metric, observations)
        try store.restart(checkpointing: true)
        let collection = try #require(store.store.collection(named: "c"))
        for strength in Self.strengths {
            let queries = (0..<3).map { _ in
                TopKQuery(
                    vector: QueryVector(Self.vector(&random), metric: metric),
                    strength: strength,
                    ranks: 1...60,
                    columns: .logQ
                )
            }
            for (query, answer) in zip(queries, try outcomes(collection, queries)) {
                let expected = ranked(items, collection, query)
                try #require(hits(answer) == expected.prefix(60).map { Hit($0.id, $0.score) }, "strength \(strength)")
                let logQ = collection.frequencies(of: answer.ids, 0..<60).map { log($0.q) }
                try #require(answer.logQ == logQ)
            }
            try windowAndMargin(items, collection, queries[0])
        }
        // A strength of zero gives the plain score.
        var plain = TopKQuery(vector: QueryVector(Self.vector(&random), metric: metric), k: 60)
        plain.strength = -0.0
        let expected = ranked(items, collection, plain)
        #expect(hits(collection.topK(plain)) == expected.prefix(60).map { Hit($0.id, $0.score) })
    }

    /// Radius, exceptions, ranks and margin use the corrected score, too.
    private func windowAndMargin(_ items: [Item], _ collection: Collection, _ query: TopKQuery) throws {
        var query = query
        let all = ranked(items, collection, query)
        let positives = [0, 3, 7].map { all[$0] }
        query.except = ids(positives.map(\.id) + ["nobody"])
        query.ranks = 5...30
        query.scoreMin = all[20].score
        let left = all.filter { item in item.score >= query.scoreMin && !positives.contains { $0.id == item.id } }
        let window = left.prefix(30).dropFirst(4)
        try #require(
            hits(try outcomes(collection, [query])[0]) == window.map { Hit($0.id, $0.score) },
            "strength \(query.strength)"
        )
        let width = (all[7].score - all[14].score).magnitude
        query.margin = TopKMargin(positives: query.except, width: width)
        let kept = window.filter { $0.score <= all[7].score - width }
        try #require(
            hits(try outcomes(collection, [query])[0]) == kept.map { Hit($0.id, $0.score) },
            "strength \(query.strength), margin \(width)"
        )
    }

    @Test func severalQueriesAndThreadsOnOnePass() throws {
        var random = SeededGenerator()
        let store = try StoreFixture()
        let items = try fill(store, metric: .dot, .odd)
        let collection = try #require(store.store.collection(named: "c"))
        for count in 1...8 {
            let queries = (0..<count).map { number in
                TopKQuery(
                    vector: QueryVector(Self.vector(&random), metric: .dot),
                    strength: 0.3,
                    ranks: 1...(1 + 20 * number)
                )
            }
            for (query, answer) in zip(queries, try outcomes(collection, queries, threads: 3)) {
                let expected = ranked(items, collection, query).prefix(query.ranks.upperBound)
                try #require(hits(answer) == expected.map { Hit($0.id, $0.score) })
            }
        }
    }

    /// The bound computed from a count's first bits is a true bound, and it is not much above the exact value.
    @Test func boundsOfCorrections() {
        var random = SeededGenerator()
        var summary = Collection.Summary(totals: FrequencyTotals(estimator: GapEstimator(alpha: 0.5)))
        summary.itemCount = 1_000
        let fading = CountDecay(halfLife: 3)
        let cases: [(total: Double, lastStep: Int64, decay: CountDecay)] = [
            (0, 9, .none), (1, 9, .none), (12_345, .max, .none), (0x1p60, 9, .none),
            (0, 9, fading), (12_345, 9, fading), (0x1p60, 4_000, fading), (12_345, .max, fading),
        ]
        for (total, lastStep, decay) in cases {
            summary.totals = FrequencyTotals(
                firstStep: 0,
                lastStep: lastStep,
                count: total,
                estimator: GapEstimator(alpha: 0.5, decay: decay)
            )
            for strength in Self.strengths {
                let correction = ScoreCorrection(strength: strength, summary: summary)
                var bounds = CorrectionBounds(correction)
                let counts = Self.counts(&random)
                let records = counts.shuffled(using: &random).map {
                    Statistics(lastStep: .random(in: -1...6_000, using: &random), gap: 2, count: $0, gapCount: 1)
                }
                var values: [Float] = []
                bounds.withBounds { bound in values = records.map(bound) }
                for (record, value) in zip(records, values) {
                    let exact = correction.corrected(0, record)
                    let width = strength.magnitude * 0.016 + exact.magnitude * 0x1p-17 + 0x1p-119
                    // All subnormal counts are in one group.
                    let count = summary.totals.count(of: record)
                    let isTight = count == 0 || count >= .leastNormalMagnitude
                    if Double(value) < exact || (isTight && Double(value) > exact + width) {
                        Issue.record("\(record), strength \(strength): got \(value) for \(exact)")
                    }
                }
            }
        }
    }

    private static func counts(_ random: inout SeededGenerator) -> [Double] {
        var counts: [Double] = (0..<400).map { Double($0) }
        let largest = Double.greatestFiniteMagnitude.bitPattern
        for _ in 0..<500 { counts.append(Double(bitPattern: UInt64.random(in: 0...largest, using: &random))) }
        // Counts that share an entry of the table, and counts at the border of two groups.
        for exponent in -24...40 {
            let power = Double(sign: .plus, exponent: exponent, significand: 1)
            counts += [power, power.nextDown]
        }
        return counts
    }

    // MARK: - During writes

    /// Some items are never written or observed. The others are observed and rewritten all the time, in versions. A
    /// version adds an observation of each of them, which determines their counts and the total, and then changes their
    /// vectors. Each answer must be right for the total of one version. Each of the other items must be in one of its
    /// states while the query ran.
    @Test(arguments: [0.4, -0.4])
    func exactWhileItemsAreObservedAndRewritten(strength: Double) throws {
        var random = SeededGenerator()
        let store = try StoreFixture()
        let fixed = try fill(store, metric: .dot, .plain)
        let collection = try #require(store.store.collection(named: "c"))
        let churn = try Churn(store.store, fixed, collection)
        try churn.write(version: 1)
        let isDone = Atomic(false)
        let writing = Background {
            var version = 2
            while !isDone.load(ordering: .relaxed) {
                try churn.write(version: version)
                version += 1
            }
        }
        defer {
            isDone.store(true, ordering: .relaxed)
            #expect(throws: Never.self) { try writing.wait() }
        }
        for _ in 0..<(TestScale.isFull ? 2_000 : 100) {
            var query = TopKQuery(vector: QueryVector(Self.vector(&random), metric: .dot), k: 40)
            query.strength = strength
            let first = churn.acknowledged.load(ordering: .acquiring)
            let answer = hits(collection.topK(query))
            let last = churn.submitted.load(ordering: .acquiring)
            let isRight = (first...last).contains { churn.explains(answer, query, totalOf: $0, versions: first...last) }
            try #require(isRight, "\(answer) has no explanation among the versions \(first...last)")
        }
        #expect(churn.acknowledged.load(ordering: .acquiring) > 10, "the items were not rewritten during the test")
    }

    private final class Churn: Sendable {
        let submitted = Atomic(0)
        let acknowledged = Atomic(0)
        private let store: ItemStore
        private let ids: [String]
        private let fixed: [(item: Item, count: Double)]
        private let totalAtFirst: Double

        init(_ store: ItemStore, _ fixed: [Item], _ collection: Collection) throws {
            self.store = store
            ids = (0..<300).map { "churn-\($0)" }
            let all = PackedStrings(fixed.map { Array($0.id.utf8) })
            self.fixed = zip(fixed, collection.frequencies(of: all, 0..<all.count)).map { ($0, $1.count) }
            totalAtFirst = collection.totals.count
        }

        func write(version: Int) throws {
            submitted.store(version, ordering: .releasing)
            let observed = PackedStrings(ids.map { Array($0.utf8) })
            _ = try store.apply(
                [.observe(collection: "c", step: RequestedStep(Int64(1_200 + version)), sequence: nil, ids: observed)]
                    + ids.map {
                        .put(collection: "c", id: Array($0.utf8), vector: vector($0, version), features: nil)
                    }
            )
            acknowledged.store(version, ordering: .releasing)
        }

        private func vector(_ id: String, _ version: Int) -> [Float] {
            let number = Int(id.dropFirst(6))!
            var random = SeededGenerator(seed: UInt64(number * 1_000_003 + version))
            return TopKStrengthTests.vector(&random).map { $0 * 1.2 }
        }

        private func score(_ vector: [Float], count: Double, total: Double, _ query: TopKQuery) -> Double {
            let record = Statistics(lastStep: 1, gap: 0, count: count, gapCount: 0)
            let totals = FrequencyTotals(
                firstStep: 1,
                lastStep: 1,
                count: total,
                estimator: GapEstimator(alpha: 0.5)
            )
            return query.vector.score(vector) - query.strength * log(estimate(record, totals: totals, liveItems: 1).q)
        }

        /// Whether the answer is right if the total is that of this version.
        func explains(_ answer: [Hit], _ query: TopKQuery, totalOf version: Int, versions: ClosedRange<Int>) -> Bool {
            let total = totalAtFirst + Double(version * ids.count)
            let cutoff = Double(bitPattern: answer.last!.score)
            var best: [(id: String, score: Double)] = []
            for (item, count) in fixed {
                let score = score(item.vector, count: count, total: total, query)
                if score >= cutoff { best.append((item.id, score)) }
            }
            best.sort { $0.score != $1.score ? $0.score > $1.score : $0.id < $1.id }
            guard answer.filter({ !$0.id.hasPrefix("churn") }) == best.map({ Hit($0.id, $0.score) }) else {
                return false
            }
            return ids.allSatisfy { id in
                // A version observes first, then puts.
                var scores: [Double] = []
                for count in versions {
                    for version in max(1, count - 1)...count {
                        scores.append(score(vector(id, version), count: Double(count), total: total, query))
                    }
                }
                if let hit = answer.first(where: { $0.id == id }) {
                    return scores.contains { $0.bitPattern == hit.score }
                }
                return scores.contains { $0 <= cutoff }
            }
        }
    }
}
