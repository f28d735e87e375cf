/// The rules of the estimator, one test for each rule, with exact numbers.
import SamplingFrequency
import TestSupport
import Testing

@Suite struct GapEstimatorTests {
    @Test func recordIs40Bytes() {
        #expect(MemoryLayout<Statistics>.size == 40)
        #expect(MemoryLayout<Statistics>.stride == 40)
        #expect(MemoryLayout<Statistics>.offset(of: \.lastStep) == 0)
        #expect(MemoryLayout<Statistics>.offset(of: \.gap) == 8)
        #expect(MemoryLayout<Statistics>.offset(of: \.count) == 16)
        #expect(MemoryLayout<Statistics>.offset(of: \.gapCount) == 24)
        #expect(MemoryLayout<Statistics>.offset(of: \.closedDistance) == 28)
        #expect(MemoryLayout<Statistics>.offset(of: \.openSteps) == 32)
    }

    @Test func goldenSequence() {
        var next = Tracker(alpha: 0.5)
        next.observe([7], at: 1)
        next.observe([7], at: 2)
        #expect(next.read(7).p == 1)

        var later = Tracker(alpha: 0.5)
        later.observe([7], at: 1)
        later.observe([7], at: 3)
        #expect(later.read(7).p == 0.5)
        #expect(later.read(7).gap == 2)
    }

    @Test func gapsAreAveragedEvenlyAndThenWithAlpha() {
        var tracker = Tracker(alpha: 0.25)
        // Gaps 1, 2, 6, 7: the mean is 4. The fifth gap, 8, has the weight 0.25, not 1/5.
        for step: Int64 in [10, 11, 13, 19, 26] { tracker.observe([1], at: step) }
        #expect(tracker.closed(1)?.gap == 4)
        tracker.observe([1], at: 34)
        #expect(tracker.closed(1)?.gap == 5)
        #expect(tracker.closed(1)?.gapCount == 5)
    }

    @Test func firstGapIsTakenAsItIs() {
        var tracker = Tracker(alpha: 1e-4)
        tracker.observe([1], at: 0)
        tracker.observe([1], at: 1_000)
        #expect(tracker.closed(1)?.gap == 1_000)
    }

    @Test func twiceInABatchIsOneGapAndTwoCounts() {
        var tracker = Tracker(alpha: 0.5)
        tracker.observe([1, 1, 2], at: 1)
        #expect(tracker.read(1).state == .once)
        tracker.observe([1, 2, 1, 1], at: 5)
        #expect(tracker.read(1).gap == 4)
        #expect(tracker.read(2).gap == 4)
        #expect(tracker.closed(1)?.gapCount == 1)
        #expect(tracker.read(1).count == 5)
        #expect(tracker.read(2).count == 2)
        #expect(tracker.read(1).q == 5.0 / 7)
    }

    @Test func lateStepsDivideTheGapInWhichTheyLie() {
        var tracker = Tracker(alpha: 0.5)
        for step: Int64 in [10, 20] { tracker.observe([1], at: step) }
        #expect(tracker.read(1).gap == 10)
        tracker.observe([1], at: 14)
        #expect(tracker.closed(1) == Statistics(lastStep: 20, gap: 5, count: 3, gapCount: 2))
        // The same step again is no gap of 0.
        for step: Int64 in [14, 20, 10] { tracker.observe([1], at: step) }
        #expect(tracker.closed(1) == Statistics(lastStep: 20, gap: 5, count: 6, gapCount: 2))
        // T does not move back. T₀ does, because there was such a step.
        tracker.observe([1], at: 0)
        #expect(tracker.totals.lastStep == 20)
        #expect(tracker.totals.firstStep == 0)
        #expect(tracker.closed(1)?.gapCount == 3)
    }

    @Test func hitsMoreThan64StepsLateAreOnlyCounted() {
        for (step, gapCount) in [(36, 2), (35, 1)] as [(Int64, UInt32)] {
            var tracker = Tracker(alpha: 0.5)
            for step: Int64 in [10, 100, step] { tracker.observe([1], at: step) }
            #expect(tracker.closed(1)?.gapCount == gapCount, "step \(step)")
            #expect(tracker.read(1).count == 3)
        }
    }

    /// Hits up to 64 steps late give the same record as hits in order, bit for bit.
    @Test(arguments: [0, 1, 20, 64] as [Int64])
    func lateHitsGiveTheRecordOfHitsInOrder(latenessMax: Int64) {
        var random = SeededGenerator(seed: TestScale.seed(or: 12))
        let estimator = GapEstimator(alpha: 0.05)
        for _ in 0..<200 {
            let rate = Double.random(in: 0.005...1, using: &random)
            let steps = (Int64(0)..<600).filter { _ in Double.random(in: 0..<1, using: &random) < rate }
            let late = steps.map { (arrival: $0 + Int64.random(in: 0...latenessMax, using: &random), step: $0) }
            var inOrder = Statistics.unseen
            for step in steps { estimator.observe(&inOrder, Hit(step: step)) }
            var outOfOrder = Statistics.unseen
            for hit in late.sorted(by: { $0 < $1 }) { estimator.observe(&outOfOrder, Hit(step: hit.step)) }
            #expect(outOfOrder == inOrder)
        }
    }

    /// A distance that a record can't hold is closed at once, as a gap of its full length.
    @Test(arguments: [0xFFFF_FFFE, 0xFFFF_FFFF, 0x1_0000_0000, .max] as [Int64])
    func longGapsAreKept(gap: Int64) {
        var tracker = Tracker(alpha: 0.5)
        tracker.set(1, at: 0, gap: 1)
        tracker.observe([1], at: gap)
        #expect(tracker.read(1).gap == 0.5 + Double(gap) / 2)
        #expect(tracker.closed(1)?.gapCount == 3)
    }

    /// Without workers that are late, gaps count at once. With them, the steps from which hits may be missing do not.
    @Test func readingLeavesOutIncompleteSteps() {
        var tracker = Tracker(alpha: 0.5)
        for step: Int64 in [1, 3, 11] { tracker.observe([1], at: step) }
        #expect(tracker.read(1).gap == 5)
        tracker.observe([2], at: 9)
        #expect(tracker.totals.lateness == 2)
        #expect(tracker.read(1).gap == 2)
        tracker.observe([2], at: 13)
        #expect(tracker.read(1).gap == 5)
    }

    /// An id that was seen after the new step counts as seen at it, and open gaps after the step are gone.
    @Test func movingTheClockBack() {
        let decay = CountDecay(halfLife: 10)
        let estimator = GapEstimator(alpha: 0.5, decay: decay)
        var (hot, odd) = (Statistics.unseen, Statistics.unseen)
        for step: Int64 in [1, 2, 4] { estimator.observe(&hot, decay.hit(at: step)) }
        let before = hot
        for record in [0, 1] {
            if record == 0 { estimator.observe(&hot, decay.hit(at: 90_000)) }
            estimator.observe(&odd, decay.hit(at: 90_000))
        }
        let (old, new) = (decay.hit(at: 90_000), decay.hit(at: 4))
        var untouched = before
        estimator.moveBack(&untouched, from: old, to: new)
        #expect(untouched == before)
        estimator.moveBack(&hot, from: old, to: new)
        estimator.moveBack(&odd, from: old, to: new)
        estimator.close(&hot, through: .max)
        #expect(hot.lastStep == 4 && hot.gap == 1.5 && hot.gapCount == 2)
        // As of the wrong step, one hit counts 1, and the earlier ones nearly nothing.
        #expect(abs(hot.count - new.weight) < 1e-9 && abs(odd.count - 2 * new.weight) < 1e-9)
        #expect(odd.lastStep == 4 && odd.closedDistance == Statistics.noneClosed)
    }

    @Test func outOfOrderStepsOfOtherIdsDoNotMatter() {
        var inOrder = Tracker(alpha: 0.1)
        var shuffled = Tracker(alpha: 0.1)
        for step: Int64 in [1, 2, 3, 4] { inOrder.observe(step % 2 == 0 ? [2] : [1], at: step) }
        for step: Int64 in [2, 1, 4, 3] { shuffled.observe(step % 2 == 0 ? [2] : [1], at: step) }
        #expect(inOrder.records == shuffled.records)
        #expect(inOrder.totals.lastStep == shuffled.totals.lastStep && shuffled.totals.firstStep == 1)
    }

    @Test func stepsFromZeroToTheLargest() {
        var tracker = Tracker(alpha: 0.5)
        tracker.observe([1], at: 0)
        tracker.observe([2], at: .max)
        #expect(tracker.closed(1)?.lastStep == 0)
        #expect(tracker.read(1).p == 0x1p-63)
        #expect(tracker.read(3).p == 0x1p-64)
        tracker.observe([1], at: .max)
        #expect(tracker.read(1).gap == 0x1p63)
        #expect(tracker.read(1).p == 0x1p-63)
        tracker.observe([1], at: .max)
        #expect(tracker.closed(1)?.gapCount == 1)
        // An id last seen at step 0 is known: 0 does not mean "never".
        tracker.observe([4], at: 0)
        #expect(tracker.read(4).state == .once)
        #expect(tracker.read(4).lastStep == 0)
    }

    @Test func numberOfGapsStaysAtItsMaximum() {
        var record = Statistics(lastStep: 5, gap: 3, count: 10, gapCount: .max)
        let estimator = GapEstimator(alpha: 0.5)
        estimator.observe(&record, Hit(step: 10))
        estimator.close(&record, through: .max)
        #expect(record == Statistics(lastStep: 10, gap: 4, count: 11, gapCount: .max))
    }

    // MARK: Estimates from a trainer

    @Test func observeContinuesFromASetGap() {
        var tracker = Tracker(alpha: 0.25)
        tracker.set(1, at: 100, gap: 8, count: 40)
        #expect(tracker.read(1).state == .seen)
        #expect(tracker.read(1).p == 0.125)
        #expect(tracker.read(1).lastStep == 100)
        // The weight is α, because the estimate is mature: 0.75·8 + 0.25·4.
        tracker.observe([1], at: 104)
        #expect(tracker.closed(1)?.gap == 7)
        #expect(tracker.closed(1)?.count == 41)
        #expect(tracker.totals.count == 41)
    }

    @Test func setGapDoesNotMakeAnEstimateYounger() {
        var record = Statistics(lastStep: 5, gap: 3, count: 10, gapCount: 1_000)
        GapEstimator(alpha: 0.5).set(&record, Hit(step: 6), gap: 9, count: nil)
        #expect(record == Statistics(lastStep: 6, gap: 9, count: 10, gapCount: 1_000))
    }

    @Test(arguments: [(0.01, 100), (0.05, 20), (0.3, 4), (1, 1)] as [(Double, UInt32)])
    func setGapCountsAsOneOverAlphaGaps(alpha: Double, gapCount: UInt32) {
        var record = Statistics.unseen
        GapEstimator(alpha: alpha).set(&record, Hit(step: 0), gap: 9, count: nil)
        #expect(record.gapCount == gapCount)
    }

    @Test func smallestAlphaHasABound() {
        var record = Statistics.unseen
        GapEstimator(alpha: .leastNonzeroMagnitude).set(&record, Hit(step: 0), gap: 9, count: nil)
        #expect(record.gapCount == .max)
    }

    @Test func setLeavesWhatIsNil() {
        var tracker = Tracker(alpha: 0.5)
        for step: Int64 in [1, 3] { tracker.observe([1], at: step) }
        tracker.set(1, at: 2, count: 10)
        #expect(tracker.closed(1) == Statistics(lastStep: 3, gap: 2, count: 10, gapCount: 1))
        tracker.set(1, at: 9, gap: 4)
        #expect(tracker.closed(1) == Statistics(lastStep: 9, gap: 4, count: 10, gapCount: 2))
        #expect(tracker.totals.count == 10)
        // Without gap and count, only the last step is set.
        tracker.set(2, at: 9)
        #expect(tracker.closed(2) == Statistics(lastStep: 9, gap: 0, count: 0, gapCount: 0))
        #expect(tracker.read(2).state == .once)
    }

    @Test func setCountChangesTheTotalByTheDifference() {
        var tracker = Tracker(alpha: 0.5)
        tracker.observe([1, 1, 1, 2], at: 1)
        tracker.set(1, at: 1, count: 1)
        #expect(tracker.totals.count == 2)
        #expect(tracker.read(1).q == 0.5)
        #expect(tracker.read(2).q == 0.5)
    }
}
