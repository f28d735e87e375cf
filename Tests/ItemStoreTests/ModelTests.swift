import Foundation
import PackedStrings
import SamplingFrequency
import TestSupport
import Testing
import VectorIndex

@testable import ItemStore

/// Random writes against a plain dictionary model, with restarts, row reuse and the checkpoint running throughout.
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
    private let fixture: StoreFixture
    private var model = StoreModel()
    private let seed: UInt64
    private(set) var checkpointPassCount = 0

    private static let names = ["a", "wide", "cosine", "drift", "sketch", "drift-sketch"]
    private static let ids: [[UInt8]] = (0..<60).map { number in
        number % 7 == 0 ? [UInt8](repeating: UInt8(number + 1), count: number + 20) : Array("id-\(number)".utf8)
    }

    init(seed: UInt64) throws {
        self.seed = seed
        random = SeededGenerator(seed: seed)
        var limits = StoreLimits()
        // Small, so that groups are cut within batches and checkpoint passes run all the time, a few records a slice.
        limits.groupBytesMax = [64, 2_000, 1 << 20].randomElement(using: &random)!
        limits.checkpointAtJournalBytes = 40_000
        limits.journalBytesMax = 400_000
        limits.checkpointSliceBytes = 1_500
        limits.idleCheckpointMilliseconds = Int.random(in: 1...50, using: &random)
        limits.sequenceWritersMax = 100
        fixture = try StoreFixture(limits: limits)
    }

    mutating func run(operationCount: Int) throws {
        var done = 0
        while done < operationCount {
            let writes = (0..<Int.random(in: 1...30, using: &random)).map { _ in randomWrite() }
            let outcomes = try fixture.apply(writes)
            for (write, outcome) in zip(writes, outcomes) {
                let expected = model.apply(write)
                let context = Comment(rawValue: "seed \(seed), after \(done) operations: \(write)")
                #expect(simplified(outcome) == expected, context)
                if case .observed(let snapshot) = outcome, case .observe(let name, _, _, let ids, _) = write {
                    // As of this write, whatever comes behind it in the batch.
                    let read = snapshot.estimates(0..<ids.count)
                    compareEstimates(StoreModel.strings(ids), read, model.collections[name]!, context)
                }
            }
            done += writes.count
            if Int.random(in: 0..<20, using: &random) == 0 { try compare(done) }
            if Int.random(in: 0..<30, using: &random) == 0 {
                checkpointPassCount += fixture.store.statistics().checkpointPassCount
                try restart(checkpointing: Bool.random(using: &random), done)
            }
        }
        checkpointPassCount += fixture.store.statistics().checkpointPassCount
        try restart(checkpointing: false, done)
    }

    /// Everything has to be as it was, bit for bit, and as the model has it.
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
        case .failed(let error): .failed(error.code)
        }
    }

    // MARK: - Writes

    private mutating func randomWrite() -> Write {
        let name = Self.names.randomElement(using: &random)!
        guard let configuration = model.collections[name]?.configuration ?? Optional(defaultConfiguration(name)) else {
            preconditionFailure()
        }
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<3: return .create(name: name, defaultConfiguration(name))
        case 3:
            return Int.random(in: 0..<8, using: &random) == 0 ? .drop(name: name) : .create(name: name, configuration)
        case 4: return .swap(name, Self.names.randomElement(using: &random)!)
        case 5..<45:
            let isWrong = Int.random(in: 0..<30, using: &random) == 0
            let vector = (0..<configuration.dimension + (isWrong ? 1 : 0)).map { _ in
                Float.random(in: -1...1, using: &random)
            }
            let isZero = Int.random(in: 0..<40, using: &random) == 0
            return .put(
                collection: name,
                id: randomID(),
                vector: isZero ? vector.map { _ in 0 } : vector,
                features: Bool.random(using: &random) ? randomJSON() : nil
            )
        case 45..<60: return .delete(collection: name, ids: randomIDs(1...3))
        case 60..<70: return .setFeatures(collection: name, id: randomID(), json: randomJSON())
        case 70..<90:
            let sequence = WriterSequence(
                writer: "worker-\(Int.random(in: 0..<40, using: &random))",
                number: Int64.random(in: 1...50, using: &random)
            )
            return .observe(
                collection: name,
                step: randomStep(),
                sequence: Bool.random(using: &random) ? sequence : nil,
                ids: randomIDs(1...20),
                returnsFrequencies: Bool.random(using: &random)
            )
        default:
            let ids = randomIDs(1...10)
            return .setFrequencies(
                collection: name,
                step: randomStep(),
                ids: ids,
                gaps: (0..<ids.count).map { _ in
                    Bool.random(using: &random) ? .nan : Double.random(in: 0.5...1_000, using: &random)
                },
                counts: (0..<ids.count).map { _ in
                    Bool.random(using: &random) ? .nan : Double(Int.random(in: 0...1_000, using: &random))
                }
            )
        }
    }

    private func defaultConfiguration(_ name: String) -> CollectionConfiguration {
        switch name {
        case "wide": CollectionConfiguration(dimension: 2_100, metric: .l2, alpha: 0.05)
        case "cosine": CollectionConfiguration(dimension: 3, metric: .cosine, alpha: 0.3)
        // Steps reach 3,000: several epochs.
        case "drift": CollectionConfiguration(dimension: 2, halfLife: 2, recentCount: 0)
        // 60 ids in so few buckets collide all the time.
        case "sketch":
            CollectionConfiguration(
                dimension: 2,
                alpha: 0.1,
                sketch: SketchLayout(bucketCount: 50, hashCount: 3, seed: 11)
            )
        case "drift-sketch":
            CollectionConfiguration(
                dimension: 2,
                halfLife: 2,
                sketch: SketchLayout(bucketCount: 5_000, hashCount: 2, seed: 12)
            )
        default: CollectionConfiguration(dimension: 4, recentCount: 700)
        }
    }

    private mutating func randomID() -> [UInt8] {
        Self.ids.randomElement(using: &random)!
    }

    private mutating func randomIDs(_ count: ClosedRange<Int>) -> PackedStrings {
        PackedStrings((0..<Int.random(in: count, using: &random)).map { _ in randomID() })
    }

    private mutating func randomJSON() -> [UInt8] {
        Array(
            #"{"n":\#(Int.random(in: 0..<1_000_000, using: &random)),"s":"\#(String(repeating: "x", count: Int.random(in: 0..<300, using: &random)))"}"#
                .utf8
        )
    }

    private mutating func randomStep() -> Int64? {
        Bool.random(using: &random) ? nil : Int64.random(in: 0..<3_000, using: &random)
    }

    // MARK: - Comparison

    private func compare(_ done: Int) throws {
        let context = Comment(rawValue: "seed \(seed), after \(done) operations")
        #expect(fixture.store.collections().map(\.name) == model.collections.keys.sorted(), context)
        let ids = PackedStrings(Self.ids)
        let all = 0..<ids.count
        for (name, expected) in model.collections {
            let collection = try #require(fixture.store.collection(named: name), context)
            #expect(collection.itemCount == expected.embeddedCount, context)
            #expect(collection.idCount == expected.items.count, context)

            let embeddings = collection.embeddings(of: ids, all)
            #expect(embeddings.isPresent == Self.ids.map { expected.items[$0]?.vector != nil }, context)
            #expect(embeddings.values == Self.ids.flatMap { expected.items[$0]?.vector ?? [] }, context)

            let features = collection.features(of: ids, all)
            #expect(features.isPresent == Self.ids.map { expected.items[$0]?.features != nil }, context)
            #expect(
                StoreModel.strings(features.json) == Self.ids.map { expected.items[$0]?.features ?? [] },
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
        let sum = zip(Self.ids, read).reduce(0) { $0 + (expected.count(expected.items[$1.0]) > 0 ? $1.1.q : 0) }
        let total = expected.total
        #expect(total == 0 || abs(sum - 1) < 1e-9 || expected.sketch != nil, context)
        compareEstimates(Self.ids, read, expected, context)
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
            // Nothing at all and next to nothing: what a hit weighs now is less than half a hit by far.
            if count > 1e-200, total > 0 { #expect(isNear(read.q, count / total), context) }
        }
    }

    private func isNear(_ value: Double, _ expected: Double) -> Bool {
        abs(value - expected) <= 1e-9 * expected + 1e-290
    }

    /// Who can be drawn, and with which probability.
    private func compareDraws(
        _ collection: Collection,
        _ expected: StoreModel.ModelCollection,
        _ context: Comment
    ) throws {
        let drawable = expected.items.filter { $0.value.vector != nil }
        let excluded = [Self.ids[3], Self.ids[4], Array("nobody".utf8)]
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
            // At power 0 a trace of a count is as good as any.
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
