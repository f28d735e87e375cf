import Foundation
import SamplingFrequency
import TestSupport
import Testing

/// Workers of one trainer that are not in step. Each sends its shard of the batch of a step, some steps after the first
/// worker.
@Suite struct AsynchronousWorkersTests {
    struct Setting: CustomTestStringConvertible {
        let p: Double
        /// The steps by which each worker is late.
        let lateness: [Int64]
        var testDescription: String { "p \(p), late by \(lateness)" }
    }

    /// The estimates of an id at the end of many runs, each after 5/α hits and at least 200 steps.
    private static func gaps(_ setting: Setting, runCount: Int, _ random: inout SeededGenerator) -> [Double] {
        let estimator = GapEstimator(alpha: 0.01)
        // The id is in each shard with the same probability, so that it is in one of them with probability p.
        let pOfShard = -expm1(log1p(-setting.p) / Double(setting.lateness.count))
        let stepCount = max(200, Int64(5 / 0.01 / setting.p))
        return (0..<runCount).map { _ in
            var record = Statistics.unseen
            var totals = FrequencyTotals(estimator: estimator)
            for arrival in 0..<stepCount {
                for lateness in setting.lateness where arrival >= lateness {
                    let hit = Hit(step: arrival - lateness)
                    totals.note(hit)
                    if random.nextUnit() <= pOfShard { estimator.observe(&record, hit) }
                }
            }
            return estimate(record, totals: totals, liveItems: 1).gap!
        }
    }

    private static func moments(_ values: [Double]) -> (mean: Double, deviation: Double) {
        let mean = values.reduce(0, +) / Double(values.count)
        let square = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
        return (mean, square.squareRoot())
    }

    /// `LOGQD_TEST_SCALE=full`: 1,000 runs of each setting.
    @Test(arguments: [
        Setting(p: 0.496, lateness: [0, 1, 3, 20]),
        Setting(p: 0.496, lateness: [0, 21, 42, 64]),
        Setting(p: 0.9, lateness: [0, 64]),
        Setting(p: 0.05, lateness: [0, 7, 33, 64]),
    ])
    func theEstimateIsThatOfWorkersInStep(setting: Setting) {
        var random = SeededGenerator(seed: TestScale.seed(or: 22))
        let runCount = TestScale.isFull ? 1_000 : 150
        let late = Self.moments(Self.gaps(setting, runCount: runCount, &random))
        let inStep = Setting(p: setting.p, lateness: setting.lateness.map { _ in 0 })
        let expected = Self.moments(Self.gaps(inStep, runCount: runCount, &random))
        print("\(setting): gap \(late), in step \(expected), true \(1 / setting.p)")
        #expect(abs(late.mean * setting.p - 1) < 0.03)
        #expect(abs(late.deviation / expected.deviation - 1) < (TestScale.isFull ? 0.15 : 0.4))
    }
}
