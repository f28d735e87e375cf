import Foundation
import SamplingFrequency
import VectorIndex

/// λ·ln q, which a query with a strength λ takes off each score.
///
/// All rows of a pass are judged by the same totals, so that their scores compare. The value itself is computed for the
/// few rows that get so far; before, `CorrectionBounds` has a bound for each row.
struct ScoreCorrection {
    let strength: Double
    let summary: Collection.Summary

    func corrected(_ score: Double, _ record: FrequencyRecord) -> Double {
        score - strength * summary.logQ(record)
    }
}

extension Collection.Summary {
    /// ln q, as `LOGQ` answers it.
    func logQ(_ record: FrequencyRecord) -> Double {
        log(estimate(record, totals: totals, liveItems: itemCount).q)
    }
}

extension FrequencyTotals {
    /// The steps of the epoch of T, in which counts are compared as they stand.
    fileprivate var stepsOfEpoch: ClosedRange<Int64> {
        guard decay.halfLife != nil else { return .min ... .max }
        let first = epoch == 0 ? .min : Self.firstStep { decay.epoch(of: $0) >= epoch }
        return first...(Self.firstStep { decay.epoch(of: $0) > epoch } - 1)
    }

    /// The first step for which a condition holds that holds for all behind it, and not for 0; the last step there is, if
    /// for none.
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

/// What a correction adds to a score at most, from a row's count alone.
///
/// A logarithm for each of a million rows would take longer than the scan. But q depends on a row by its count as of the
/// totals' last step only, and rises with it, so all counts that share the exponent and the first six bits behind the
/// point have nearly the same correction: it lies between those of the least and of the largest of them. A collection
/// has a few hundred such groups, and what is known of them is kept in a table. 0 is a group of its own.
///
/// Cost: about a nanosecond a row, most of it for reading the counts.
struct CorrectionBounds {
    private struct Entry {
        var group: UInt32
        var bound: Float
    }

    private let correction: ScoreCorrection
    /// Counts of rows last seen in these steps are as of the totals' last step already.
    private let steps: ClosedRange<Int64>
    /// By the last bits of the group: neighbouring groups have places of their own, those 2^32 times as large the same.
    /// Behind them, the place of 0.
    private var entries: [Entry]

    private static let mantissaBits: UInt64 = 6
    private static let groupShift = UInt64(Double.significandBitCount) - mantissaBits
    private static let placeCount = 1 << (5 + mantissaBits)
    private static let rowsAhead = 96
    private static let prefetchByteCount = 16 * MemoryLayout<FrequencyRecord>.stride
    /// No group: they have 18 bits.
    private static let nothing = UInt32.max

    init(_ correction: ScoreCorrection) {
        self.correction = correction
        steps = correction.summary.totals.stepsOfEpoch
        entries = [Entry](repeating: Entry(group: Self.nothing, bound: 0), count: Self.placeCount + 1)
        entries[Self.placeCount] = Entry(group: 0, bound: Self.bound(correction, among: [0]))
    }

    /// Sets `values` to the bounds of `count` rows.
    mutating func write(
        of statistics: UnsafePointer<FrequencyRecord>,
        count: Int,
        to values: UnsafeMutablePointer<Float>
    ) {
        let correction = correction
        let steps = steps
        entries.withUnsafeMutableBufferPointer { entries in
            for index in 0..<count {
                var bits = statistics[index].count.bitPattern
                if !steps.contains(statistics[index].lastStep) {
                    bits = correction.summary.totals.count(of: statistics[index]).bitPattern
                }
                let group = UInt32(truncatingIfNeeded: bits >> Self.groupShift)
                // 1 for 0 alone: a branch would be guessed wrong for every third row.
                let isZero = (bits &- 1) >> 63
                let place = (Int(group) & (Self.placeCount - 1)) + Int(isZero) * Self.placeCount
                if entries[place].group != group {
                    entries[place] = Entry(group: group, bound: Self.bound(correction, ofGroup: group))
                }
                values[index] = entries[place].bound
            }
        }
    }

    private static func bound(_ correction: ScoreCorrection, ofGroup group: UInt32) -> Float {
        let first = UInt64(group) << groupShift
        let last = first + (1 << groupShift) - 1
        // The first of the first group would be 0.
        return bound(correction, among: [Double(bitPattern: max(1, first)), Double(bitPattern: last)])
    }

    private static func bound(_ correction: ScoreCorrection, among counts: [Double]) -> Float {
        let lastStep = correction.summary.totals.lastStep
        let corrections = counts.map { count in
            correction.corrected(0, FrequencyRecord(lastStep: lastStep, gap: 0, count: count, gapCount: 0))
        }
        return CodeScanner.Addends.bound(corrections.max()!)
    }
}
