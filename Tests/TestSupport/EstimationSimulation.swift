import SamplingFrequency
import SystemSupport

/// The simulation of Yi et al. (RecSys 2019, §6.1). It measures how well streaming estimators follow a distribution,
/// and how fast they recover after it is reversed.
///
/// Item i of M has the weight i². A batch of B is drawn without replacement, one item after another. The probability of
/// each is proportional to its weight among the remaining items. At a certain step the weights change to (M − 1 − i)².
/// The error at a step is ½·Σ|p̂ᵢ − pᵢ| / B, with one of two truths:
///
/// - the paper's, pᵢ = B·qᵢ. It does not hold for sequential draws without replacement, which take the heavy items less
///   often. So no estimator gets below an error of 0.023.
/// - the true probability that item i is in a batch (`inclusionProbabilities`).
///
/// All estimators of a run see the same batches.
package struct EstimationSimulation {
    package var itemCount = 1_000
    package var batchCount = 128
    package var alpha = 0.01
    package var stepCount: Int64 = 20_000
    package var switchStep: Int64 = 10_000
    package var stepsBetweenPoints: Int64 = 100
    /// The number of rounds that estimate the true probabilities, for each of the two distributions.
    package var roundsForTruth = 20_000

    package init() {}

    package enum Estimator: Hashable, Sendable {
        /// One record for each item.
        case exact
        /// `hashCount` hashes that share `totalBucketCount` buckets evenly.
        case sketch(hashCount: Int, totalBucketCount: Int)
    }

    /// The initial state of an estimator, and the way to read its estimates.
    package enum Rules: Hashable, Sendable {
        /// A = 0 and B = 100 at the start, the weight of a gap is always α, p̂ = 1/B.
        case paper
        /// Those of the daemon: `GapEstimator` and `estimate`.
        case house
    }

    package struct Contender: Hashable, Sendable {
        package let estimator: Estimator
        package let rules: Rules

        package init(_ estimator: Estimator, _ rules: Rules) {
            self.estimator = estimator
            self.rules = rules
        }
    }

    /// The errors of a contender at each of `pointSteps`.
    package struct Curve: Sendable {
        /// The error against B·qᵢ, the paper's truth.
        package var printed: [Double] = []
        /// The error against the true probabilities.
        package var truth: [Double] = []

        package init(printed: [Double] = [], truth: [Double] = []) {
            self.printed = printed
            self.truth = truth
        }
    }

    /// The steps at which errors are measured.
    package var pointSteps: [Int64] {
        Array(stride(from: stepsBetweenPoints, through: stepCount, by: Int64.Stride(stepsBetweenPoints)))
    }

    /// The weights before or after the switch.
    private func weights(isSwitched: Bool) -> [Double] {
        (0..<itemCount).map { item in
            let place = Double(isSwitched ? itemCount - 1 - item : item)
            return place * place
        }
    }

    package func run(_ contenders: [Contender], seed: UInt64) -> [Contender: Curve] {
        var generator = SeededGenerator(seed: seed)
        var states = contenders.map { State($0, self, sketchSeed: generator.next()) }
        var curves = contenders.map { _ in Curve() }
        var totals = FrequencyTotals(estimator: GapEstimator(alpha: alpha))
        for isSwitched in [false, true] {
            let weights = weights(isSwitched: isSwitched)
            let sum = weights.reduce(0, +)
            let printed = weights.map { Double(batchCount) * $0 / sum }
            let truth = inclusionProbabilities(weights, using: &generator)
            var batches = SequentialDraws(weights: weights)
            let steps = isSwitched ? switchStep + 1...stepCount : 1...switchStep
            for step in steps {
                let batch = batches.draw(batchCount, using: &generator)
                totals.note(Hit(step: step))
                totals.count += Double(batchCount)
                for index in states.indices { states[index].observe(batch, at: step) }
                guard step % stepsBetweenPoints == 0 else { continue }
                for index in states.indices {
                    let estimates = states[index].probabilities(totals)
                    curves[index].printed.append(error(estimates, printed))
                    curves[index].truth.append(error(estimates, truth))
                }
            }
        }
        return Dictionary(uniqueKeysWithValues: zip(contenders, curves))
    }

    private func error(_ estimates: [Double], _ truth: [Double]) -> Double {
        zip(estimates, truth).reduce(0) { $0 + abs($1.0 - $1.1) } / 2 / Double(batchCount)
    }

    // MARK: - The truth

    /// The probability that each item is in a batch, if a batch is drawn one item after another.
    ///
    /// Such a batch has the following distribution. Every item arrives after an exponential time whose rate is its
    /// weight, and the first B items are the batch. So item i is in the batch if it arrives before the B-th of the
    /// *others*, which arrives at time τ. The probability of that is 1 − exp(−wᵢ·τ). The mean over many rounds has no
    /// bias. It also has little noise, because it does not use the item's own arrival, which is the noisy part. With
    /// 20,000 rounds for 1,000 items, the sum is right to 0.1 %.
    package func inclusionProbabilities(_ weights: [Double], using generator: inout SeededGenerator) -> [Double] {
        var sums = [Double](repeating: 0, count: weights.count)
        for _ in 0..<roundsForTruth {
            let times = weights.map { $0 == 0 ? Double.infinity : -log(generator.nextUnit()) / $0 }
            let sorted = times.sorted()
            let (last, next) = (sorted[batchCount - 1], sorted[batchCount])
            for item in weights.indices {
                // If the item is among the first B, the B-th of the others is the next one in the order.
                sums[item] += -expm1(-weights[item] * (times[item] <= last ? next : last))
            }
        }
        return sums.map { $0 / Double(roundsForTruth) }
    }
}

/// Batches without replacement. It draws items with replacement, and rejects an item that is already in the batch. So
/// the next item is one of the remaining items, with a probability proportional to its weight.
package struct SequentialDraws {
    private let cumulative: [Double]
    /// The number of the last batch that each item was in.
    private var lastBatch: [Int]
    private var batch = 0

    package init(weights: [Double]) {
        var sum = 0.0
        cumulative = weights.map { weight in
            sum += weight
            return sum
        }
        lastBatch = Array(repeating: 0, count: weights.count)
    }

    package mutating func draw(_ count: Int, using generator: inout SeededGenerator) -> [Int] {
        batch += 1
        var items: [Int] = []
        items.reserveCapacity(count)
        while items.count < count {
            let item = firstItem(reaching: generator.nextUnit() * cumulative[cumulative.count - 1])
            if lastBatch[item] == batch { continue }
            lastBatch[item] = batch
            items.append(item)
        }
        return items
    }

    /// The first item whose cumulative weight is at least `value`. `value` is above 0, so the item's weight is not 0.
    private func firstItem(reaching value: Double) -> Int {
        var (low, high) = (0, cumulative.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if cumulative[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// A contender during a run.
private struct State {
    private let rules: EstimationSimulation.Rules
    private let estimator: GapEstimator
    /// One record for each item. Not used with a sketch.
    private var records: [Statistics]
    private var sketch: FrequencySketch?
    /// The hash of each item.
    private var hashes: [UInt64] = []

    init(_ contender: EstimationSimulation.Contender, _ simulation: EstimationSimulation, sketchSeed: UInt64) {
        rules = contender.rules
        estimator = GapEstimator(alpha: simulation.alpha)
        // With this gap count the next gap has the weight α, so every hit changes B by α from the start.
        let paperStart = Statistics(lastStep: 0, gap: 100, count: 0, gapCount: .max)
        let initial = contender.rules == .paper ? paperStart : .unseen
        records = Array(repeating: initial, count: simulation.itemCount)
        guard case .sketch(let hashCount, let totalBucketCount) = contender.estimator else { return }
        let layout = SketchLayout(bucketCount: totalBucketCount / hashCount, hashCount: hashCount, seed: sketchSeed)
        sketch = FrequencySketch(layout: layout, alpha: simulation.alpha, initial: initial)
        hashes = (0..<simulation.itemCount).map { item in Array("\(item)".utf8).withUnsafeBytes { layout.hash($0) } }
    }

    mutating func observe(_ batch: [Int], at step: Int64) {
        if sketch != nil {
            for item in batch { sketch!.observe(hashes[item], Hit(step: step)) }
        } else {
            for item in batch { estimator.observe(&records[item], Hit(step: step)) }
        }
    }

    func probabilities(_ totals: FrequencyTotals) -> [Double] {
        records.indices.map { item in
            var record = sketch?.record(of: hashes[item]) ?? records[item]
            estimator.close(&record, through: .max)
            return switch rules {
            case .paper: 1 / record.gap
            case .house: estimate(record, totals: totals, liveItems: records.count).p
            }
        }
    }
}
