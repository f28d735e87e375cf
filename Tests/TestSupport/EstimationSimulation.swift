import SamplingFrequency

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The simulation of Yi et al. (RecSys 2019, §6.1): how well streaming estimators follow a distribution, and how fast
/// they find it again after it has been turned round.
///
/// Item i of M has the weight i². A batch of B is drawn without replacement: one item after another, each with a
/// probability in proportion to its weight among those that are left. At a certain step the weights change to
/// (M − 1 − i)². The error at a step is ½·Σ|p̂ᵢ − pᵢ| / B, with one of two truths:
///
/// - the paper's, pᵢ = B·qᵢ, which is not what sequential draws without replacement do: they take the heavy items less
///   often than that, so no estimator gets below an error of 0.023;
/// - the true probability of item i to be in a batch (`inclusionProbabilities`).
///
/// All estimators of a run see the same batches.
package struct EstimationSimulation {
    package var itemCount = 1_000
    package var batchCount = 128
    package var alpha = 0.01
    package var stepCount: Int64 = 20_000
    package var switchStep: Int64 = 10_000
    package var stepsBetweenPoints: Int64 = 100
    /// Batches by which the true probabilities are found, for each of the two distributions.
    package var roundsForTruth = 20_000

    package init() {}

    package enum Estimator: Hashable, Sendable {
        /// A record an item.
        case exact
        /// So many hashes that share so many buckets evenly.
        case sketch(hashCount: Int, totalBucketCount: Int)
    }

    /// How an estimator begins and is read.
    package enum Rules: Hashable, Sendable {
        /// A = 0 and B = 100 at the start, the weight of a gap is always α, p̂ = 1/B.
        case paper
        /// As the daemon does it: `GapEstimator` and `estimate`.
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

    /// The errors of a contender, one a point.
    package struct Curve: Sendable {
        /// Against B·qᵢ.
        package var printed: [Double] = []
        /// Against the true probabilities.
        package var truth: [Double] = []

        package init(printed: [Double] = [], truth: [Double] = []) {
            self.printed = printed
            self.truth = truth
        }
    }

    /// The steps at which errors are taken.
    package var pointSteps: [Int64] {
        Array(stride(from: stepsBetweenPoints, through: stepCount, by: Int64.Stride(stepsBetweenPoints)))
    }

    /// The weights up to the switch, and those after it.
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
        var totals = FrequencyTotals()
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

    /// The probability of each item to be in a batch, when a batch is drawn one item after another.
    ///
    /// Such a batch is the same as this: every item waits for a time that is exponential with its weight as the rate, and
    /// the first B to arrive are the batch. So item i is in it if it arrives before the B-th of the *others*, at time τ:
    /// with probability 1 − exp(−wᵢ·τ). The mean of that over many rounds has no bias, and hardly any noise: the item's own
    /// arrival, the noisy part, is never looked at. (20,000 rounds for 1,000 items: the sum is right to 0.1 %.)
    package func inclusionProbabilities(_ weights: [Double], using generator: inout SeededGenerator) -> [Double] {
        var sums = [Double](repeating: 0, count: weights.count)
        for _ in 0..<roundsForTruth {
            let times = weights.map { $0 == 0 ? Double.infinity : -log(generator.nextUnit()) / $0 }
            let sorted = times.sorted()
            let (last, next) = (sorted[batchCount - 1], sorted[batchCount])
            for item in weights.indices {
                // The B-th of the others comes one later in the order if the item itself is before it.
                sums[item] += -expm1(-weights[item] * (times[item] <= last ? next : last))
            }
        }
        return sums.map { $0 / Double(roundsForTruth) }
    }
}

/// Batches without replacement: items are drawn with replacement, and one that is in the batch already is drawn again.
/// So the next item is one of those that are left, in proportion to its weight.
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

    /// The first item whose cumulative weight is `value` or more; `value` is above 0, so its own weight is not 0.
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
    /// Exact: a record an item.
    private var records: [FrequencyRecord]
    private var sketch: FrequencySketch?
    /// Of each item.
    private var hashes: [UInt64] = []

    init(_ contender: EstimationSimulation.Contender, _ simulation: EstimationSimulation, sketchSeed: UInt64) {
        rules = contender.rules
        estimator = GapEstimator(alpha: simulation.alpha)
        // As many gaps as make the weight of the next one α, so that B decays by hits from the start.
        let paperStart = FrequencyRecord(lastStep: 0, gap: 100, count: 0, gapCount: .max)
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
            let record = sketch?.record(of: hashes[item]) ?? records[item]
            return switch rules {
            case .paper: 1 / record.gap
            case .house: estimate(record, totals: totals, liveItems: records.count).p
            }
        }
    }
}
