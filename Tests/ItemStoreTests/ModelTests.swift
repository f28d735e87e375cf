import Foundation
import PackedStrings
import SamplingFrequency
import TestSupport
import Testing
import VectorIndex

@testable import ItemStore

/// Random writes compared with a model of plain dictionaries, while the store restarts, reuses rows and checkpoints.
@Suite struct ModelTests {
    /// `LOGQD_TEST_SCALE=full`: 50 seeds of 10,000 operations. Otherwise a quick run.
    static let seeds: [UInt64] = Array(1...(TestScale.isFull ? 50 : 4))
    static let operationCount = TestScale.isFull ? 10_000 : 2_000

    @Test(arguments: seeds)
    func randomWritesMatchTheModel(seed: UInt64) throws {
        print("seed \(seed)")
        var run = try ModelRun(seed: seed)
        try run.run(operationCount: Self.operationCount)
        #expect(run.checkpointPassCount > 0, "no checkpoint pass has run, so the test has not tested it")
    }
}

private struct ModelRun {
    private var random: SeededGenerator
    private var writes: RandomWrites
    private let fixture: StoreFixture
    private var model = StoreModel()
    private let seed: UInt64
    private(set) var checkpointPassCount = 0

    private static let names = ["a", "twin", "wide", "cosine", "drift", "sketch", "sketch-twin", "drift-sketch"]

    init(seed: UInt64) throws {
        self.seed = seed
        random = SeededGenerator(seed: seed)
        writes = RandomWrites(seed: seed, names: Self.names)
        var limits = StoreLimits()
        // Small limits, so that groups are cut within batches, and checkpoint passes run all the time with a few
        // records in each slice.
        limits.groupBytesMax = [64, 2_000, 1 << 20].randomElement(using: &random)!
        limits.checkpointAtJournalBytes = 40_000
        limits.journalBytesMax = 400_000
        limits.checkpointSliceBytes = 1_500
        limits.idleCheckpointMilliseconds = Int.random(in: 1...50, using: &random)
        limits.producersMax = 100
        fixture = try StoreFixture(limits: limits)
    }

    mutating func run(operationCount: Int) throws {
        var done = 0
        while done < operationCount {
            let batch = (0..<Int.random(in: 1...30, using: &random)).map { _ in
                let name = Self.names.randomElement(using: &random)!
                return writes.next(for: name, model.collections[name]?.configuration)
            }
            let outcomes = try fixture.apply(batch)
            for (write, outcome) in zip(batch, outcomes) {
                let expected = model.apply(write)
                let context = Comment(rawValue: "seed \(seed), after \(done) operations: \(write)")
                #expect(simplified(outcome) == expected, context)
                if case .observed(let snapshot) = outcome, case .observe(let name, _, _, let ids, _, _) = write {
                    // The statistics right after this write, before later writes of the batch.
                    let read = snapshot.estimates(0..<ids.count)
                    compareEstimates(StoreModel.strings(ids), read, model.collections[name]!, context)
                }
            }
            done += batch.count
            if Int.random(in: 0..<20, using: &random) == 0 { try compare(done) }
            if Int.random(in: 0..<30, using: &random) == 0 {
                checkpointPassCount += fixture.store.statistics().checkpointPassCount
                try restart(checkpointing: Bool.random(using: &random), done)
            }
        }
        checkpointPassCount += fixture.store.statistics().checkpointPassCount
        try restart(checkpointing: false, done)
    }

    /// Restarts the store. Everything must be as before, bit for bit, and equal the model.
    private func restart(checkpointing: Bool, _ done: Int) throws {
        let before = states()
        try fixture.restart(checkpointing: checkpointing)
        #expect(states() == before, "seed \(seed), after \(done) operations")
        try compare(done)
    }

    private func states() -> [String: StatisticsState] {
        Dictionary(uniqueKeysWithValues: fixture.store.collections().map { ($0.name, StatisticsState($0.collection)) })
    }

    private func simplified(_ outcome: WriteOutcome) -> StoreModel.Expected {
        switch outcome {
        case .done: .done
        case .deleted(let flags): .deleted(flags)
        case .observed: .observed
        case .counted: .done
        case .failed(let error): .failed(error.code)
        }
    }

    // MARK: - Comparison

    private func compare(_ done: Int) throws {
        let context = Comment(rawValue: "seed \(seed), after \(done) operations")
        #expect(fixture.store.collections().map(\.name) == model.collections.keys.sorted(), context)
        let ids = PackedStrings(RandomWrites.ids)
        let all = 0..<ids.count
        for (name, expected) in model.collections {
            let collection = try #require(fixture.store.collection(named: name), context)
            #expect(collection.itemCount == expected.embeddedCount, context)
            #expect(collection.idCount == expected.items.count, context)

            let embeddings = collection.embeddings(of: ids, all)
            #expect(embeddings.isPresent == RandomWrites.ids.map { expected.items[$0]?.vector != nil }, context)
            #expect(embeddings.values == RandomWrites.ids.flatMap { expected.items[$0]?.vector ?? [] }, context)

            let features = collection.features(of: ids, all)
            #expect(features.isPresent == RandomWrites.ids.map { expected.items[$0]?.features != nil }, context)
            #expect(
                StoreModel.strings(features.json) == RandomWrites.ids.map { expected.items[$0]?.features ?? [] },
                context
            )

            compareFrequencies(collection.frequencies(of: ids, all), expected, context)
            try compareDraws(collection, expected, context)
            try compareRanking(collection, expected, context)
        }
    }

    private func compareFrequencies(
        _ read: [FrequencyEstimate],
        _ expected: StoreModel.ModelCollection,
        _ context: Comment
    ) {
        let sum = zip(RandomWrites.ids, read).reduce(0) { $0 + (expected.count(expected.items[$1.0]) > 0 ? $1.1.q : 0) }
        let total = expected.total
        #expect(total == 0 || abs(sum - 1) < 1e-9 || expected.sketch != nil, context)
        compareEstimates(RandomWrites.ids, read, expected, context)
    }

    private func compareEstimates(
        _ ids: [[UInt8]],
        _ read: [FrequencyEstimate],
        _ expected: StoreModel.ModelCollection,
        _ context: Comment
    ) {
        guard expected.configuration.halfLife != nil, expected.sketch == nil else {
            return #expect(read == ids.map { expected.estimate($0) }, context)
        }
        let total = expected.total
        for (id, read) in zip(ids, read) {
            let plain = expected.estimate(id)
            #expect(read.state == plain.state && read.p == plain.p && read.lastStep == plain.lastStep, context)
            let count = expected.count(expected.items[id])
            #expect(isNear(read.count, count), context)
            // Skip counts of almost nothing: the present weight of their hits is far less than half a hit.
            if count > 1e-200, total > 0 { #expect(isNear(read.q, count / total), context) }
        }
    }

    private func isNear(_ value: Double, _ expected: Double) -> Bool {
        abs(value - expected) <= 1e-9 * expected + 1e-290
    }

    /// Compares which items can be drawn, and with which probabilities.
    private func compareDraws(
        _ collection: Collection,
        _ expected: StoreModel.ModelCollection,
        _ context: Comment
    ) throws {
        let drawable = expected.items.filter { $0.value.vector != nil }
        let excluded = [RandomWrites.ids[3], RandomWrites.ids[4], Array("nobody".utf8)]
        let rest = drawable.filter { !excluded.contains($0.key) }
        if expected.configuration.sketch != nil {
            for distribution: SampleQuery.Distribution in [.frequency(power: 0), .recent] {
                #expect(throws: StoreError.self, context) {
                    try collection.sample(SampleQuery(distribution, count: 1))
                }
            }
        }
        for power in expected.configuration.sketch == nil ? [0, 0.5, 0.75, 1] : [] {
            let weights = rest.compactMapValues { item -> Double? in
                let count = expected.count(item)
                return count > 1e-200 ? pow(count, power) : nil
            }
            // At power 0, a trace of a count has the same weight as any other count.
            if expected.configuration.halfLife != nil, power == 0 || weights.isEmpty { continue }
            let sum = weights.values.reduce(0, +)
            try compareDraw(collection, .frequency(power: power), excluded, weights.mapValues { $0 / sum }, context)
        }
        let uniform = rest.mapValues { _ in 1 / Double(rest.count) }
        try compareDraw(collection, .uniform, excluded, uniform, context)
        if expected.configuration.sketch != nil { return }
        let entries = expected.recent.filter { !excluded.contains($0) }
        let shares = Dictionary(grouping: entries) { $0 }.mapValues { Double($0.count) / Double(entries.count) }
        try compareDraw(collection, .recent, excluded, shares, context)
    }

    private func compareDraw(
        _ collection: Collection,
        _ distribution: SampleQuery.Distribution,
        _ excluded: [[UInt8]],
        _ q: [[UInt8]: Double],
        _ context: Comment
    ) throws {
        let query = SampleQuery(
            distribution,
            count: 50,
            except: PackedStrings(excluded),
            seed: 1,
            columns: [.vector, .features]
        )
        let answer = try collection.sample(query)
        #expect(answer.ids.count == (q.isEmpty ? 0 : 50), context)
        for (index, id) in StoreModel.strings(answer.ids).enumerated() {
            let expected = try #require(q[id], "\(distribution) drew \(id), \(context)")
            #expect(abs(answer.q[index] - expected) < 1e-6 * expected, context)
            #expect(abs(answer.expected[index] - 50 * answer.q[index]) < 1e-9, context)
        }
        let ids = answer.ids
        #expect(answer.vectors == collection.embeddings(of: ids, 0..<ids.count).values, context)
        #expect(answer.features.isPresent == collection.features(of: ids, 0..<ids.count).isPresent, context)
    }

    private func compareRanking(
        _ collection: Collection,
        _ expected: StoreModel.ModelCollection,
        _ context: Comment
    ) throws {
        let embedded = expected.items.filter { $0.value.vector != nil }
        let scanned = collection.scan(after: nil, limit: 1_000)
        #expect(Set(StoreModel.strings(scanned.ids)) == Set(embedded.keys), context)
        #expect(scanned.rows == scanned.rows.sorted() && Set(scanned.rows).count == embedded.count, context)

        let query = QueryVector(
            (0..<expected.configuration.dimension).map { Float($0 % 5) - 1.5 },
            metric: expected.configuration.metric
        )
        let answer = collection.topK(TopKQuery(vector: query, k: 10, columns: [.vector, .features]))
        let best = embedded.map { (id: $0.key, score: query.score($0.value.vector!)) }
            .sorted { $0.score != $1.score ? $0.score > $1.score : $0.id.lexicographicallyPrecedes($1.id) }
            .prefix(10)
        #expect(StoreModel.strings(answer.ids) == best.map(\.id), context)
        #expect(answer.scores == best.map(\.score), context)
        #expect(answer.vectors == best.flatMap { embedded[$0.id]!.vector! }, context)
        #expect(StoreModel.strings(answer.features.json) == best.map { embedded[$0.id]!.features ?? [] }, context)
    }
}
