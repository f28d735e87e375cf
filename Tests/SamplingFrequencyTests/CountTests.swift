import Foundation
import TestSupport
import Testing

@testable import SamplingFrequency

/// Counts: their decay, their exact sum, and the sums of their powers.
@Suite struct CountTests {
    // MARK: Half-life

    @Test func aHitCountsHalfAfterAHalfLife() {
        let decay = CountDecay(halfLife: 10)
        let estimator = GapEstimator(alpha: 0.5, decay: decay)
        var (old, new) = (Statistics.unseen, Statistics.unseen)
        var totals = FrequencyTotals(estimator: estimator)
        for (step, isNew) in [(100, false), (100, false), (110, true), (120, true)] as [(Int64, Bool)] {
            let hit = decay.hit(at: step)
            totals.note(hit)
            if isNew { estimator.observe(&new, hit) } else { estimator.observe(&old, hit) }
        }
        totals.count = totals.count(of: old) + totals.count(of: new)
        let (a, b) = (estimate(old, totals: totals, liveItems: 0), estimate(new, totals: totals, liveItems: 0))
        #expect(abs(a.count - 0.5) < 1e-15 && abs(b.count - 1.5) < 1e-15)
        #expect(abs(a.q - 0.25) < 1e-15 && abs(b.q - 0.75) < 1e-15)
        // Half a hit at the last step.
        #expect(abs(estimate(.unseen, totals: totals, liveItems: 0).q - 0.25) < 1e-15)
    }

    /// Compares with the definition, Σ 2^((t − T)/h), over many epochs, with late hits, at small and large steps.
    @Test(arguments: [1, 1.5, 7, 1_000] as [Double], [0, 1 << 30, 1_700_000_000_000] as [Int64])
    func countsAreSumsOfFadedHits(halfLife: Double, first: Int64) {
        var random = SeededGenerator()
        let decay = CountDecay(halfLife: halfLife)
        let estimator = GapEstimator(alpha: 0.1, decay: decay)
        var records = Array(repeating: Statistics.unseen, count: 5)
        var hits: [[Int64]] = Array(repeating: [], count: 5)
        var totals = FrequencyTotals(estimator: estimator)
        var sum = ExactSum()
        var now = first
        for _ in 0..<3_000 {
            now += Int64(Double.random(in: 0...2 * halfLife, using: &random))
            let late = Int64(Double.random(in: 0...5 * halfLife, using: &random))
            let step = Bool.random(using: &random) ? now : max(0, now - late)
            let id = Int.random(in: 0..<5, using: &random)
            sum.subtract(records[id].count, exponentOffset: 512 * decay.epoch(of: records[id].lastStep))
            totals.note(decay.hit(at: step))
            estimator.observe(&records[id], decay.hit(at: step))
            sum.add(records[id].count, exponentOffset: 512 * decay.epoch(of: records[id].lastStep))
            hits[id].append(step)
        }
        totals.count = sum.value(exponentOffset: 512 * totals.epoch)
        #expect(totals.epoch > decay.epoch(of: first), "no epoch has ended, so the test has not tested it")
        let expected = hits.map { $0.reduce(0) { $0 + exp2(-Double(totals.lastStep - $1) / halfLife) } }
        for id in 0..<5 {
            let read = estimate(records[id], totals: totals, liveItems: 0)
            #expect(abs(read.count - expected[id]) < 1e-9 * expected[id])
            #expect(abs(read.q - expected[id] / expected.reduce(0, +)) < 1e-9 * read.q)
        }
    }

    @Test func noCountFadesToNothing() {
        let decay = CountDecay(halfLife: 1)
        let estimator = GapEstimator(alpha: 0.5, decay: decay)
        var record = Statistics.unseen
        var totals = FrequencyTotals(estimator: estimator)
        for step: Int64 in [0, 1_100, 2_000, 1_000_000_007, .max] {
            totals.note(decay.hit(at: step))
            if step == 0 { estimator.observe(&record, decay.hit(at: step)) }
            totals.count = totals.hitWeight
            let read = estimate(record, totals: totals, liveItems: 0)
            #expect(read.count > 0 && read.q > 0 && log(read.q).isFinite)
            #expect((log(read.q) < -700) == (step > 1_000))
        }
        // A hit that is too late to change the count.
        estimator.observe(&record, decay.hit(at: .max))
        let before = record.count
        estimator.observe(&record, decay.hit(at: 0))
        #expect(record.count == before && before == decay.hit(at: .max).weight(in: decay.epoch(of: .max)))
    }

    // MARK: Sums

    @Test func aSumIsExactAfterAnyAdditionsAndSubtractions() {
        var random = SeededGenerator()
        var sum = ExactSum()
        let small = (0..<1_000).map { _ in Double(Int.random(in: 0...1_000, using: &random)) / 1_024 }
        let large = (0..<1_000).map { _ in exp2(Double.random(in: -300...300, using: &random)) }
        for term in (small + large).shuffled(using: &random) { sum.add(term) }
        for term in large.shuffled(using: &random) { sum.subtract(term) }
        #expect(sum.value() == small.reduce(0, +))
        #expect(sum.value(exponentOffset: 10) == small.reduce(0, +) / 1_024)
        for term in small.shuffled(using: &random) { sum.subtract(term) }
        #expect(sum.value() == 0)
        // Plain float64 leaves a residue.
        var plain = 0.0
        for term in small + large { plain += term }
        for term in large + small { plain -= term }
        #expect(plain != 0)
    }

    // MARK: Powers

    @Test func momentsGiveThePowerSums() {
        var random = SeededGenerator()
        let significands = (0..<2_000).map { _ in Double.random(in: 1..<2, using: &random) } + [1, 2 - 0x1p-52]
        var moments = CountMoments()
        for significand in significands { moments.add(significand) }
        // Add, replace and remove a value.
        for significand in significands.prefix(500) {
            moments.add(significand)
            moments.replace(significand, with: 1.25)
            moments.remove(1.25)
        }
        for power in stride(from: 0.0, through: 1, by: 0.05) {
            let expected = significands.reduce(0) { $0 + pow($1, power) }
            let read = moments.sum(CountMoments.PowerSeries(power: power))
            #expect(abs(read - expected) < 1e-8 * expected, "power \(power)")
        }
        for power in [0.0, 1] {
            var one = CountMoments()
            one.add(1.3)
            #expect(one.sum(CountMoments.PowerSeries(power: power)) == pow(1.3, power))
        }
    }

    // MARK: Random numbers

    /// The output of other implementations of xoshiro256++ whose state comes from splitmix64 with this seed.
    @Test func aSeedGivesTheSameDrawsEverywhere() {
        var random = DrawGenerator(seed: 42)
        #expect(
            (0..<3).map { _ in random.next() } == [
                15_021_278_609_987_233_951, 5_881_210_131_331_364_753, 18_149_643_915_985_481_100,
            ]
        )
        var hits = Array(repeating: 0, count: 7)
        for _ in 0..<70_000 { hits[random.below(7)] += 1 }
        #expect(ChiSquare.excess(hits, weights: hits.map { _ in 1 }) < 1)
    }
}
