/// A short run of the paper's simulation, to check the shape of its curves. (`Benchmarks simulation` runs all of it.)
import SamplingFrequency
import TestSupport
import Testing

@Suite struct EstimationSimulationTests {
    typealias Contender = EstimationSimulation.Contender

    static let sketches = [1, 2, 4].map { hashCount in
        EstimationSimulation.Estimator.sketch(hashCount: hashCount, totalBucketCount: 5_000)
    }

    /// A fifth of the steps, which is enough for a batch of 128 among 1,000 items to find its distribution.
    private var simulation: EstimationSimulation {
        var simulation = EstimationSimulation()
        simulation.stepCount = 4_000
        simulation.switchStep = 2_000
        simulation.stepsBetweenPoints = 50
        simulation.roundsForTruth = 1_000
        return simulation
    }

    @Test(arguments: [EstimationSimulation.Rules.paper, .house])
    func curvesHaveThePapersShape(rules: EstimationSimulation.Rules) {
        let seed = TestScale.seed(or: 61)
        print("seed \(seed)")
        let contenders = (Self.sketches + [.exact]).map { Contender($0, rules) }
        let curves = simulation.run(contenders, seed: seed)
        let switchPoint = 2_000 / 50
        var steadyErrors: [Double] = []
        for contender in contenders {
            let curve = curves[contender]!.truth
            #expect(curve.count == 80)
            let before = mean(curve[switchPoint - 8..<switchPoint])
            let after = mean(curve[curve.count - 8..<curve.count])
            // The error falls, jumps at the switch, and falls again.
            #expect(curve[0] > 1.3 * before, "\(contender): \(curve[0]), then \(before)")
            #expect(curve[switchPoint] > 3 * before, "\(contender): \(before), then \(curve[switchPoint])")
            #expect(after < curve[switchPoint] / 2, "\(contender): \(curve[switchPoint]), then \(after)")
            steadyErrors.append(before)
        }
        // In the same memory, more hashes are better, and one record for each item is best. It is far better only if
        // rare items no longer have the gap of 100 with which the paper starts them.
        #expect(steadyErrors == steadyErrors.sorted(by: >), "\(steadyErrors)")
        #expect(rules == .paper || steadyErrors[3] < 0.8 * steadyErrors[2], "\(steadyErrors)")
    }

    /// α = 0.01 leaves 7 % of noise in the gap of an item with small p. Besides, B·q is not the true probability.
    @Test func exactEstimatorIsAsGoodAsItsNoise() {
        let contender = Contender(.exact, .house)
        let curve = simulation.run([contender], seed: TestScale.seed(or: 62))[contender]!
        let before = curve.truth[32..<40]
        #expect(mean(before) < 0.035 && mean(before) > 0.015, "\(mean(before))")
        #expect(mean(curve.printed[32..<40]) > mean(before))
    }

    /// Compares with simple counting, and with a case whose answer is known.
    @Test func inclusionProbabilitiesAreThoseOfSequentialDraws() {
        var simulation = EstimationSimulation()
        simulation.itemCount = 3
        simulation.batchCount = 2
        var generator = SeededGenerator(seed: TestScale.seed(or: 63))
        let found = simulation.inclusionProbabilities([0, 1, 4, 5], using: &generator)
        // Item 2 is drawn first (0.4), second after item 1 (0.1 · 4/9), or second after item 3 (0.5 · 4/5). Sum:
        // 0.8444.
        for (got, expected) in zip(found, [0, 0.2667, 0.8444, 0.8889]) {
            #expect(abs(got - expected) < 0.005, "\(found)")
        }
        var draws = SequentialDraws(weights: [0, 1, 4, 5])
        var counts = [0, 0, 0, 0]
        for _ in 0..<20_000 {
            for item in draws.draw(2, using: &generator) { counts[item] += 1 }
        }
        for (count, expected) in zip(counts, found) { #expect(abs(Double(count) / 20_000 - expected) < 0.02) }
    }

    private func mean(_ values: ArraySlice<Double>) -> Double {
        values.reduce(0, +) / Double(values.count)
    }
}
