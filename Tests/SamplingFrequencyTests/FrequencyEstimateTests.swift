/// The values that a reader gets: every state, its p and its q. Both always have a logarithm.
import SamplingFrequency
import Testing

@Suite struct FrequencyEstimateTests {
    @Test func beforeAnyObservationAllItemsAreEquallyLikely() {
        let tracker = Tracker(alpha: 0.5)
        for (liveItems, expected) in [(0, 1), (1, 1), (4, 0.25)] {
            let read = tracker.read(1, liveItems: liveItems)
            #expect(read.state == .unseen)
            #expect(read.q == expected)
            #expect(read.p == expected)
            #expect(read.gap == nil)
            #expect(read.lastStep == nil)
            #expect(read.count == 0)
        }
    }

    /// A count as of another step is the same count, faded or grown by the distance of the two.
    @Test func countsAreAsOfAnyStep() {
        let decay = CountDecay(halfLife: 10)
        let estimator = GapEstimator(alpha: 0.5, decay: decay)
        var totals = FrequencyTotals(estimator: estimator)
        var records = [Statistics](repeating: .unseen, count: 3)
        for (record, step) in [(0, 100), (0, 100), (1, 100), (1, 120)] as [(Int, Int64)] {
            estimator.observe(&records[record], decay.hit(at: step))
            totals.note(decay.hit(at: step))
        }
        func counts(_ totals: FrequencyTotals) -> [Double] { records.map(totals.hitCount) }
        #expect(counts(totals) == records.map { estimate($0, totals: totals, liveItems: 1).count })
        #expect(counts(totals) == [0.5, 1.25, 0])
        #expect(counts(totals.moved(to: 100)) == [2, 5, 0])
        #expect(totals.moved(to: 100).moved(to: 120) == totals)
        #expect(totals.moved(to: 120) == totals)
        // Eight epochs later only a trace is left, and it does not become 0.
        let late = totals.moved(to: 120 + 8 * 512 * 10)
        #expect(counts(late)[0] > 0 && counts(late)[2] == 0)
        #expect(counts(late.moved(to: 100)) == [2, 5, 0])
        #expect(counts(totals.moved(to: .max)).allSatisfy { $0.isFinite })
        #expect(counts(totals.moved(to: -1)).allSatisfy { $0.isFinite })
    }

    @Test func unseenIsHalfAnObservationMadeNow() {
        var tracker = Tracker(alpha: 0.5)
        tracker.observe([1, 2], at: 11)
        tracker.observe([1, 2], at: 20)
        let read = tracker.read(3, liveItems: 1_000)
        #expect(read.state == .unseen)
        #expect(read.q == 0.5 / 4)
        #expect(read.p == 0.5 / 10)
    }

    @Test func onceIsOneHitInAllTheSteps() {
        var tracker = Tracker(alpha: 0.5)
        tracker.observe([1], at: 11)
        #expect(tracker.read(1).p == 1)
        tracker.observe([2], at: 20)
        for id in [1, 2] {
            let read = tracker.read(id)
            #expect(read.state == .once)
            #expect(read.p == 0.1)
            #expect(read.q == 0.5)
            #expect(read.gap == nil)
        }
        #expect(tracker.read(1).lastStep == 11)
    }

    @Test func staleAfterEightGaps() {
        var tracker = Tracker(alpha: 0.5)
        for step: Int64 in [100, 110] { tracker.observe([1], at: step) }
        tracker.observe([2], at: 190)
        // The age is 80, which is 8 gaps: not stale yet.
        #expect(tracker.read(1).state == .seen)
        #expect(tracker.read(1).gap == 10)
        tracker.observe([2], at: 198)
        #expect(tracker.read(1).state == .stale)
        #expect(tracker.read(1).gap == 11)
        #expect(tracker.read(1).p == 1.0 / 11)
        #expect(tracker.read(1).lastStep == 110)
        // The id is seen again: the estimate continues from the stored one.
        tracker.observe([1], at: 200)
        #expect(tracker.read(1).state == .seen)
        #expect(tracker.read(1).gap == 50)
    }

    @Test func readingChangesNothing() {
        var read = Tracker(alpha: 0.1)
        var unread = Tracker(alpha: 0.1)
        for step: Int64 in [1, 4, 90, 91, 400] {
            read.observe([1], at: step)
            unread.observe([1], at: step)
            read.totals.note(Hit(step: step * 2))
            unread.totals.note(Hit(step: step * 2))
            let first = read.read(1)
            #expect(read.read(1) == first)
            _ = read.read(2)
        }
        #expect(read.records == unread.records)
        #expect(read.totals == unread.totals)
    }

    @Test func expectedIsBatchTimesQ() {
        var tracker = Tracker(alpha: 0.5)
        tracker.set(1, at: 1, gap: 2, count: 1)
        tracker.set(2, at: 1, count: 9_999)
        #expect(tracker.read(1).q == 1e-4)
        #expect(tracker.read(1).expected(batch: 8_192) == 0.8192)
    }

    @Test func countOfZeroReadsLikeUnseen() {
        var tracker = Tracker(alpha: 0.5)
        tracker.observe([1, 1], at: 1)
        tracker.set(2, at: 1, count: 0)
        #expect(tracker.read(2).state == .once)
        #expect(tracker.read(2).count == 0)
        #expect(tracker.read(2).q == 0.25)
        // This also holds with a total of 0.
        tracker.set(1, at: 1, count: 0)
        #expect(tracker.totals.count == 0)
        for id in 1...3 { #expect(tracker.read(id, liveItems: 8).q == 0.125) }
    }

    @Test func probabilitiesAlwaysHaveALogarithm() {
        let counts: [Double] = [0, .leastNonzeroMagnitude, 0.1, 1, 0x1p53]
        let gaps: [Double] = [0, .leastNonzeroMagnitude, 0.5, 1, 1e9, .greatestFiniteMagnitude]
        let steps: [Int64] = [-1, 0, 1, .max]
        let totals: [Double] = [0, .leastNonzeroMagnitude, 0.3, 1, 0x1p85, -1e-9]
        for count in counts {
            for gap in gaps {
                for lastStep in steps {
                    for total in totals {
                        let record = Statistics(lastStep: lastStep, gap: gap, count: count, gapCount: 1)
                        for collection in [
                            FrequencyTotals(
                                firstStep: -1,
                                lastStep: -1,
                                count: total,
                                estimator: GapEstimator(alpha: 0.5)
                            ),
                            FrequencyTotals(
                                firstStep: 0,
                                lastStep: .max,
                                count: total,
                                estimator: GapEstimator(alpha: 0.5)
                            ),
                            FrequencyTotals(
                                firstStep: .max,
                                lastStep: .max,
                                count: total,
                                estimator: GapEstimator(alpha: 0.5)
                            ),
                        ] {
                            let read = estimate(record, totals: collection, liveItems: 0)
                            #expect(read.q > 0 && read.q <= 1, "\(record) \(collection)")
                            #expect(read.p > 0 && read.p <= 1, "\(record) \(collection)")
                        }
                    }
                }
            }
        }
    }
}
