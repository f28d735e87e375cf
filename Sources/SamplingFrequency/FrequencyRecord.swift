/// What is remembered about one id, and about all ids of a collection together.
///
/// An id's record is 32 bytes, stored as they are: no pointers, no padding, a run of rows is one block of bytes.

/// The statistics of one id.
package struct FrequencyRecord: BitwiseCopyable, Sendable, Equatable {
    /// A: the last step the id was seen in; −1: never.
    package var lastStep: Int64
    /// B: the estimated number of steps between two hits; 0: none yet. (What a reader gets is never below this: see
    /// `FrequencyEstimate`.)
    package var gap: Double
    /// Hits, twice in a batch counted twice. Whole numbers are exact to 2^53.
    package var count: Double
    /// How many gaps went into `gap`; stays at its maximum.
    package var gapCount: UInt32
    /// Always 0.
    package var reserved: UInt32

    package init(lastStep: Int64, gap: Double, count: Double, gapCount: UInt32) {
        self.lastStep = lastStep
        self.gap = gap
        self.count = count
        self.gapCount = gapCount
        reserved = 0
    }

    package static let unseen = FrequencyRecord(lastStep: -1, gap: 0, count: 0, gapCount: 0)
}

/// The totals of a collection.
package struct FrequencyTotals: BitwiseCopyable, Sendable, Equatable {
    /// T₀: the first step observed; −1: none.
    package var firstStep: Int64
    /// T: the last step observed; −1: none.
    package var lastStep: Int64
    /// C: the sum of the counts of all ids.
    package var count: Double

    package init(firstStep: Int64 = -1, lastStep: Int64 = -1, count: Double = 0) {
        self.firstStep = firstStep
        self.lastStep = lastStep
        self.count = count
    }

    /// Takes note that something happened at `step`. Late steps may lower T₀, never T.
    package mutating func note(step: Int64) {
        precondition(step >= 0, "got step \(step), expected 0 or more")
        firstStep = firstStep < 0 ? step : min(firstStep, step)
        lastStep = max(lastStep, step)
    }
}
