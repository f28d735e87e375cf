/// Trains the model against a store. Any other trainer could replace this part of the demo.
///
/// A step takes a batch and sends it to the store. The reply has log q of its items, and further negatives. Then the
/// step computes. The embeddings that it changes are sent during the next step, and those of the last step at the end.
struct Trainer<Store: EmbeddingStore> {
    let model: TwoTowerModel
    let store: Store
    let sampling: NegativeSampling
    /// Training ends after this many steps at the latest.
    var stepCountMax = Int.max

    struct Summary: Sendable {
        var steps = 0
        var puts = 0
        /// The mean loss of a pair, for each epoch.
        var losses: [Double] = []
        var duration: Duration = .zero
        /// The round-trip times of the steps' requests.
        var roundTrips = Latencies()
    }

    /// The state of training, for the progress bar.
    struct Progress: Sendable {
        let step: Int
        let stepCount: Int
        let loss: Double
    }

    /// Sends every embedding once, so that the store knows all dependencies before the first step.
    func load(_ progress: (Double) -> Void) async throws {
        let count = model.dependencies.values.rowCount
        for start in stride(from: 0, to: count, by: 4_096) {
            let end = min(start + 4_096, count)
            try await store.put(embeddings((start..<end).map(Int32.init)))
            progress(Double(end) / Double(count))
        }
    }

    func train(on pairs: [Pair], epochs: Int, seed: UInt64, _ progress: (Progress) -> Void) async throws -> Summary {
        var random = SeededRandom(seed: seed)
        // The daemon's draws have their own seeds, so that the batches do not depend on the choice of negatives.
        var seeds = SeededRandom(seed: ~seed)
        let positives = Dictionary(grouping: pairs, by: \.package).mapValues { $0.map(\.dependency) }
        var summary = Summary()
        let batchSize = model.settings.batch
        let stepCount = min(stepCountMax, epochs * ((pairs.count + batchSize - 1) / batchSize))
        var changed: [Embedding] = []
        let start = ContinuousClock.now
        for _ in 0..<epochs {
            let shuffled = pairs.shuffled(using: &random)
            var loss = 0.0
            var drawnCount = 0
            for first in stride(from: 0, to: shuffled.count, by: batchSize) where summary.steps < stepCount {
                try Task.checkCancellation()
                let batch = shuffled[first..<min(first + batchSize, shuffled.count)]
                let (store, sending) = (store, changed)
                async let sent: Void = store.put(sending)
                summary.steps += 1
                let start = ContinuousClock.now
                let drawing = UniformDraw(
                    count: sampling.negatives == .mixed ? sampling.uniformCount : 0,
                    seed: seeds.next()
                )
                let (drawn, step) = (batch.map(\.dependency), Int64(summary.steps))
                async let observing = store.observe(drawn, step: step, drawing: drawing)
                var extra: [ExtraColumn] = []
                if sampling.negatives == .hard {
                    // Await the embeddings first, so that the ranks come from current embeddings. Otherwise a run could
                    // not be repeated with the same seed.
                    try await sent
                    extra = try await hardColumns(batch, positives, &seeds)
                }
                let observation = try await observing
                summary.roundTrips.append(ContinuousClock.now - start)
                extra += sampling.columns(observation)
                let corrections = sampling.corrections(observation)
                let batchLoss = model.computeGradients(batch, corrections: corrections, extra: extra)
                let moved = model.applyGradients()
                try await sent
                summary.puts += sending.count
                changed = embeddings(moved)
                loss += batchLoss
                drawnCount += batch.count
                progress(Progress(step: summary.steps, stepCount: stepCount, loss: batchLoss / Double(batch.count)))
            }
            if drawnCount > 0 { summary.losses.append(loss / Double(drawnCount)) }
        }
        try await store.put(changed)
        summary.puts += changed.count
        summary.duration = ContinuousClock.now - start
        return summary
    }

    /// Hard negatives for the first rows of a batch, which is in random order.
    private func hardColumns(
        _ batch: ArraySlice<Pair>,
        _ positives: [Int32: [Int32]],
        _ seeds: inout SeededRandom
    ) async throws -> [ExtraColumn] {
        let questions = batch.prefix(sampling.hardRowCount).map { pair in
            HardQuestion(query: model.query(pair.package), except: positives[pair.package]!, seed: seeds.next())
        }
        let (ranks, count) = (sampling.hardRanks, sampling.hardCount)
        let hard = try await store.hardNegatives(for: questions, ranks: ranks, count: count)
        return sampling.columns(hard, batch: batch.count)
    }

    private func embeddings(_ dependencies: [Int32]) -> [Embedding] {
        dependencies.map { Embedding(dependency: $0, vector: model.item($0)) }
    }
}

struct Latencies: Sendable {
    private var all: [Duration] = []

    mutating func append(_ duration: Duration) { all.append(duration) }

    mutating func append(contentsOf others: Latencies) { all += others.all }

    /// The duration that `share` of all durations, for example 0.99, do not exceed.
    func percentile(_ share: Double) -> Duration {
        if all.isEmpty { return .zero }
        let ordered = all.sorted()
        return ordered[min(ordered.count - 1, Int(share * Double(ordered.count)))]
    }
}
