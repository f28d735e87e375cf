/// The rules of the estimator, one test a rule, exact numbers.
import SamplingFrequency
import Testing

@Suite struct GapEstimatorTests {
    @Test func recordIs32Bytes() {
        #expect(MemoryLayout<FrequencyRecord>.size == 32)
        #expect(MemoryLayout<FrequencyRecord>.stride == 32)
        #expect(MemoryLayout<FrequencyRecord>.offset(of: \.lastStep) == 0)
        #expect(MemoryLayout<FrequencyRecord>.offset(of: \.gap) == 8)
        #expect(MemoryLayout<FrequencyRecord>.offset(of: \.count) == 16)
        #expect(MemoryLayout<FrequencyRecord>.offset(of: \.gapCount) == 24)
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
        #expect(tracker.records[1]?.gap == 4)
        tracker.observe([1], at: 34)
        #expect(tracker.records[1]?.gap == 5)
        #expect(tracker.records[1]?.gapCount == 5)
    }

    @Test func firstGapIsTakenAsItIs() {
        var tracker = Tracker(alpha: 1e-4)
        tracker.observe([1], at: 0)
        tracker.observe([1], at: 1_000)
        #expect(tracker.records[1]?.gap == 1_000)
    }

    @Test func twiceInABatchIsOneGapAndTwoCounts() {
        var tracker = Tracker(alpha: 0.5)
        tracker.observe([1, 1, 2], at: 1)
        #expect(tracker.read(1).state == .once)
        tracker.observe([1, 2, 1, 1], at: 5)
        #expect(tracker.read(1).gap == 4)
        #expect(tracker.read(2).gap == 4)
        #expect(tracker.records[1]?.gapCount == 1)
        #expect(tracker.read(1).count == 5)
        #expect(tracker.read(2).count == 2)
        #expect(tracker.read(1).q == 5.0 / 7)
    }

    @Test func lateStepsCountAndMoveNothing() {
        var tracker = Tracker(alpha: 0.5)
        tracker.observe([1], at: 10)
        tracker.observe([1], at: 4)
        #expect(tracker.read(1).state == .once)
        #expect(tracker.records[1]?.lastStep == 10)
        tracker.observe([1], at: 14)
        let before = tracker.records[1]!
        #expect(before.gap == 4)
        for late: Int64 in [14, 13, 0] { tracker.observe([1], at: late) }
        var expected = before
        expected.count += 3
        #expect(tracker.records[1] == expected)
        // T does not move back; T₀ does: that step was there.
        #expect(tracker.totals.lastStep == 14)
        #expect(tracker.totals.firstStep == 0)
    }

    @Test func outOfOrderStepsOfOtherIdsDoNotMatter() {
        var inOrder = Tracker(alpha: 0.1)
        var shuffled = Tracker(alpha: 0.1)
        for step: Int64 in [1, 2, 3, 4] { inOrder.observe(step % 2 == 0 ? [2] : [1], at: step) }
        for step: Int64 in [2, 1, 4, 3] { shuffled.observe(step % 2 == 0 ? [2] : [1], at: step) }
        #expect(inOrder.records == shuffled.records)
        #expect(inOrder.totals == shuffled.totals)
    }

    @Test func stepsFromZeroToTheLargest() {
        var tracker = Tracker(alpha: 0.5)
        tracker.observe([1], at: 0)
        tracker.observe([2], at: .max)
        #expect(tracker.records[1]?.lastStep == 0)
        #expect(tracker.read(1).p == 0x1p-63)
        #expect(tracker.read(3).p == 0x1p-64)
        tracker.observe([1], at: .max)
        #expect(tracker.read(1).gap == 0x1p63)
        #expect(tracker.read(1).p == 0x1p-63)
        tracker.observe([1], at: .max)
        #expect(tracker.records[1]?.gapCount == 1)
        // An id that was last seen at step 0 is known: 0 is not "never".
        tracker.observe([4], at: 0)
        #expect(tracker.read(4).state == .once)
        #expect(tracker.read(4).lastStep == 0)
    }

    @Test func numberOfGapsStaysAtItsMaximum() {
        var record = FrequencyRecord(lastStep: 5, gap: 3, count: 10, gapCount: .max)
        GapEstimator(alpha: 0.5).observe(&record, Hit(step: 10))
        #expect(record == FrequencyRecord(lastStep: 10, gap: 4, count: 11, gapCount: .max))
    }

    // MARK: Estimates from outside

    @Test func observeContinuesFromASetGap() {
        var tracker = Tracker(alpha: 0.25)
        tracker.set(1, at: 100, gap: 8, count: 40)
        #expect(tracker.read(1).state == .seen)
        #expect(tracker.read(1).p == 0.125)
        #expect(tracker.read(1).lastStep == 100)
        // With the weight α, for the estimate is mature: 0.75·8 + 0.25·4.
        tracker.observe([1], at: 104)
        #expect(tracker.records[1]?.gap == 7)
        #expect(tracker.records[1]?.count == 41)
        #expect(tracker.totals.count == 41)
    }

    @Test func setGapDoesNotMakeAnEstimateYounger() {
        var record = FrequencyRecord(lastStep: 5, gap: 3, count: 10, gapCount: 1_000)
        GapEstimator(alpha: 0.5).set(&record, Hit(step: 6), gap: 9, count: nil)
        #expect(record == FrequencyRecord(lastStep: 6, gap: 9, count: 10, gapCount: 1_000))
    }

    @Test(arguments: [(0.01, 100), (0.05, 20), (0.3, 4), (1, 1)] as [(Double, UInt32)])
    func setGapCountsAsOneOverAlphaGaps(alpha: Double, gapCount: UInt32) {
        var record = FrequencyRecord.unseen
        GapEstimator(alpha: alpha).set(&record, Hit(step: 0), gap: 9, count: nil)
        #expect(record.gapCount == gapCount)
    }

    @Test func smallestAlphaHasABound() {
        var record = FrequencyRecord.unseen
        GapEstimator(alpha: .leastNonzeroMagnitude).set(&record, Hit(step: 0), gap: 9, count: nil)
        #expect(record.gapCount == .max)
    }

    @Test func setLeavesWhatIsNil() {
        var tracker = Tracker(alpha: 0.5)
        for step: Int64 in [1, 3] { tracker.observe([1], at: step) }
        tracker.set(1, at: 2, count: 10)
        #expect(tracker.records[1] == FrequencyRecord(lastStep: 3, gap: 2, count: 10, gapCount: 1))
        tracker.set(1, at: 9, gap: 4)
        #expect(tracker.records[1] == FrequencyRecord(lastStep: 9, gap: 4, count: 10, gapCount: 2))
        #expect(tracker.totals.count == 10)
        // Neither gap nor count: the id is known, and that is all.
        tracker.set(2, at: 9)
        #expect(tracker.records[2] == FrequencyRecord(lastStep: 9, gap: 0, count: 0, gapCount: 0))
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
