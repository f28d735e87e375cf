import Foundation
import SamplingFrequency
/// The accuracy of the estimates, compared with theory, over many simulated ids with fixed seeds.
import TestSupport
import Testing

@Suite struct StatisticsTests {
    struct Hits: CustomTestStringConvertible {
        let alpha: Double
        let p: Double
        let seed: UInt64
        var testDescription: String { "alpha \(alpha), p \(p), seed \(seed)" }
    }

    /// Independent hits have geometric gaps, so the gaps are drawn directly. A rare id then costs no more than a common
    /// one.
    @Test(arguments: [
        Hits(alpha: 0.01, p: 0.05, seed: 1),
        Hits(alpha: 0.01, p: 0.001, seed: 2),
        Hits(alpha: 0.05, p: 0.05, seed: 3),
        Hits(alpha: 0.05, p: 0.01, seed: 4),
        Hits(alpha: 0.05, p: 0.0001, seed: 5),
    ])
    func gapIsUnbiasedAndVariesAsTheFormulaSays(hits: Hits) {
        print("seed \(hits.seed)")
        var generator = SeededGenerator(seed: hits.seed)
        let estimator = GapEstimator(alpha: hits.alpha)
        let idCount = 2_500
        let gapCount = Int(5 / hits.alpha)
        let logMiss = log1p(-hits.p)
        var sum = 0.0
        var sumOfSquares = 0.0
        for _ in 0..<idCount {
            var record = Statistics.unseen
            var step: Int64 = 0
            for _ in 0...gapCount {
                estimator.observe(&record, Hit(step: step))
                step += 1 + Int64(log(generator.nextUnit()) / logMiss)
            }
            estimator.close(&record, through: .max)
            sum += record.gap
            sumOfSquares += record.gap * record.gap
        }
        let mean = sum / Double(idCount)
        let variation = (sumOfSquares / Double(idCount) - mean * mean).squareRoot() / mean
        let expected = (hits.alpha / (2 - hits.alpha) * (1 - hits.p)).squareRoot()
        #expect(abs(variation / expected - 1) < 0.1, "variation \(variation), expected \(expected)")
        // Four standard errors.
        let tolerance = 4 * expected / Double(idCount).squareRoot()
        #expect(abs(mean * hits.p - 1) < tolerance, "mean gap \(mean), expected \(1 / hits.p)")
    }

    @Test(arguments: [11, 12, 13] as [UInt64])
    func qSumsToOne(seed: UInt64) {
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        var tracker = Tracker(alpha: 0.05)
        for _ in 0..<300 {
            let ids = (0..<32).map { _ in
                min(Int.random(in: 0..<200, using: &generator), Int.random(in: 0..<200, using: &generator))
            }
            tracker.observe(ids, at: .random(in: 0..<1_000, using: &generator))
            // Also with counts from a trainer, and with deleted ids.
            if Int.random(in: 0..<10, using: &generator) == 0 {
                tracker.set(ids[0], at: 1, count: Double(Int.random(in: 1..<500, using: &generator)))
            }
            if Int.random(in: 0..<10, using: &generator) == 0, let gone = tracker.records.removeValue(forKey: ids[1]) {
                tracker.totals.count -= gone.count
            }
        }
        let sum = tracker.records.keys.sorted().reduce(0) { sum, id in sum + tracker.read(id).q }
        #expect(abs(sum - 1) < 1e-12, "sum \(sum)")
        #expect(tracker.totals.count == tracker.records.values.reduce(0) { $0 + $1.count })
    }

    /// p comes from gaps and q from counts. For independent draws, each follows from the other.
    @Test func pAndQAgreeForIndependentDraws() {
        let seed: UInt64 = 21
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        var tracker = Tracker(alpha: 0.01)
        let batch = 32
        for step: Int64 in 0..<8_000 {
            // Squaring makes the low ids more common.
            let ids = (0..<batch).map { _ in
                let unit = generator.nextUnit()
                return min(299, Int(unit * unit * 300))
            }
            tracker.observe(ids, at: step)
        }
        var sum = 0.0
        var sumOfSquares = 0.0
        for id in 0..<300 {
            let read = tracker.read(id)
            let fromCounts = -expm1(Double(batch) * log1p(-read.q))
            let error = read.gap! * fromCounts - 1
            sum += error
            sumOfSquares += error * error
        }
        // With α = 0.01 the noise is 7 % for one id, and 0.4 % for the mean of 300. q has its own noise of about 4 %.
        #expect(abs(sum / 300) < 0.02, "mean error \(sum / 300)")
        #expect((sumOfSquares / 300).squareRoot() < 0.1, "deviation \((sumOfSquares / 300).squareRoot())")
    }
}
