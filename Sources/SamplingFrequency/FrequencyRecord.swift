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
    /// Hits, twice in a batch counted twice, each with its weight (`CountDecay`), in the epoch of `lastStep`. Without a
    /// half-life a hit is 1, and whole numbers are exact to 2^53. 0 or a normal number.
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
package struct FrequencyTotals: Sendable, Equatable {
    /// T₀: the first step observed; −1: none.
    package var firstStep: Int64
    /// T: the last step observed; −1: none.
    package var lastStep: Int64
    /// C: the sum of the counts of all ids, in the epoch of T.
    package var count: Double
    /// What a hit at T adds to a count: 1 without a half-life.
    package var hitWeight: Double
    package let decay: CountDecay
    /// The epoch of T.
    package private(set) var epoch: Int

    package init(
        firstStep: Int64 = -1,
        lastStep: Int64 = -1,
        count: Double = 0,
        hitWeight: Double = 1,
        decay: CountDecay = .none
    ) {
        self.firstStep = firstStep
        self.lastStep = lastStep
        self.count = count
        self.hitWeight = hitWeight
        self.decay = decay
        epoch = decay.epoch(of: lastStep)
    }

    /// Takes note of hits at a step, and leaves the count as it is.
    package mutating func note(_ hit: Hit) {
        precondition(hit.step >= 0, "got step \(hit.step), expected 0 or more")
        firstStep = firstStep < 0 ? hit.step : min(firstStep, hit.step)
        // Late steps may lower T₀, never T.
        guard hit.step >= lastStep else { return }
        lastStep = hit.step
        epoch = decay.epoch(of: lastStep)
        hitWeight = hit.weight(in: epoch)
    }

    /// The count of an id as of T, in the epoch of T.
    package func count(of record: FrequencyRecord) -> Double {
        CountDecay.convert(record.count, from: decay.epoch(of: record.lastStep), to: epoch)
    }
}
