import SamplingFrequency
import VectorIndex

/// The correction of scores by a query with a strength λ, which subtracts λ·ln q from each score.
///
/// All rows of a pass are scored with the same totals, so their scores are comparable. `CorrectionBounds` has a bound
/// for every row. The exact value is computed only for the few rows that are not ruled out by it.
struct ScoreCorrection {
    let strength: Double
    let summary: Collection.Summary

    func corrected(_ score: Double, _ record: Statistics) -> Double {
        score - strength * summary.logQ(record)
    }
}

extension Collection.Summary {
    /// ln q, as `LOGQ` answers it.
    func logQ(_ record: Statistics) -> Double {
        logFrequency(estimate(record, totals: totals, liveItems: itemCount).q)
    }
}

extension FrequencyTotals {
    /// The steps in the epoch of T. The count of an id that was last seen in one of them needs no conversion.
    fileprivate var stepsOfEpoch: ClosedRange<Int64> {
        guard decay.halfLife != nil else { return .min ... .max }
        let first = epoch == 0 ? .min : Self.firstStep { decay.epoch(of: $0) >= epoch }
        return first...(Self.firstStep { decay.epoch(of: $0) > epoch } - 1)
    }

    /// The first step for which the condition is true; the last possible step if there is none. The condition must be
    /// false for step 0. If it is true for a step, it must be true for all later steps.
    private static func firstStep(where condition: (Int64) -> Bool) -> Int64 {
        var below: Int64 = 0
        var step = Int64.max
        while step - below > 1 {
            let middle = below + (step - below) / 2
            if condition(middle) { step = middle } else { below = middle }
        }
        return step
    }
}

/// Upper bounds of the number that a correction adds to a score, by the row's count.
///
/// A logarithm for each of a million rows would take longer than the scan. But q depends only on a row's count as of
/// the last step of the totals, and rises with it. So all counts with the same exponent and the same first six
/// fractional bits have nearly the same correction: it is between those of the smallest and the largest of these
/// counts. A collection has a few hundred such groups of counts, and a table has their bounds. 0 is a group of its own.
///
/// Cost: about a nanosecond a row, most of it for reading the counts.
struct CorrectionBounds {
    private struct Entry {
        var group: UInt32
        var bound: Float
    }

    private let correction: ScoreCorrection
    /// The count of an id that was last seen in one of these steps needs no conversion.
    private let steps: ClosedRange<Int64>
    /// Indexed by the low bits of the group. Only counts that differ by a factor of 2^32 or more share an entry. The
    /// last entry is for 0.
    private var entries: [Entry]

    private static let mantissaBits: UInt64 = 6
    private static let groupShift = UInt64(Double.significandBitCount) - mantissaBits
    private static let placeCount = 1 << (5 + mantissaBits)
    /// Marks an unused entry. No group has this number, because groups have 18 bits.
    private static let nothing = UInt32.max

    init(_ correction: ScoreCorrection) {
        self.correction = correction
        steps = correction.summary.totals.stepsOfEpoch
        entries = [Entry](repeating: Entry(group: Self.nothing, bound: 0), count: Self.placeCount + 1)
        entries[Self.placeCount] = Entry(group: 0, bound: Self.bound(correction, among: [0]))
    }

    /// Calls `body` with a function that returns the bound for the statistics of a row. The function is valid during
    /// the call.
    @inline(__always)
    mutating func withBounds(_ body: ((Statistics) -> Float) -> Void) {
        let correction = correction
        let steps = steps
        entries.withUnsafeMutableBufferPointer { entries in
            body { statistics in
                var bits = statistics.count.bitPattern
                if !steps.contains(statistics.lastStep) {
                    bits = correction.summary.totals.count(of: statistics).bitPattern
                }
                let group = UInt32(truncatingIfNeeded: bits >> Self.groupShift)
                // 1 if the count is 0. Computed without a branch, because the CPU mispredicted a branch for every third
                // row.
                let isZero = (bits &- 1) >> 63
                let place = (Int(group) & (Self.placeCount - 1)) + Int(isZero) * Self.placeCount
                if entries[place].group != group {
                    entries[place] = Entry(group: group, bound: Self.bound(correction, ofGroup: group))
                }
                return entries[place].bound
            }
        }
    }

    private static func bound(_ correction: ScoreCorrection, ofGroup group: UInt32) -> Float {
        let first = UInt64(group) << groupShift
        let last = first + (1 << groupShift) - 1
        // The first group would begin with 0, which has a group of its own.
        return bound(correction, among: [Double(bitPattern: max(1, first)), Double(bitPattern: last)])
    }

    private static func bound(_ correction: ScoreCorrection, among counts: [Double]) -> Float {
        let lastStep = correction.summary.totals.lastStep
        let corrections = counts.map { count in
            correction.corrected(0, Statistics(lastStep: lastStep, gap: 0, count: count, gapCount: 0))
        }
        return CodeScanner.Addends.bound(corrections.max()!)
    }
}
