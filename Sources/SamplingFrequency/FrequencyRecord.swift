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
    /// Hits, twice in a batch counted twice, each with its weight (`CountDecay`): 1 without a half-life, and whole numbers
    /// are exact to 2^53. 0 or a normal number.
    package var count: Double
    /// How many gaps went into `gap`; stays at its maximum.
    package var gapCount: UInt32
    /// The epoch that `count` is measured in (`CountDecay`); 0 without a half-life.
    package var epoch: UInt32

    package init(lastStep: Int64, gap: Double, count: Double, gapCount: UInt32, epoch: UInt32 = 0) {
        self.lastStep = lastStep
        self.gap = gap
        self.count = count
        self.gapCount = gapCount
        self.epoch = epoch
    }

    /// The count, measured in another epoch than its own.
    package func count(in epoch: UInt32) -> Double {
        CountDecay.convert(count, from: self.epoch, to: epoch)
    }

    package static let unseen = FrequencyRecord(lastStep: -1, gap: 0, count: 0, gapCount: 0)
}

/// The totals of a collection.
package struct FrequencyTotals: Sendable, Equatable {
    /// T₀: the first step observed; −1: none.
    package var firstStep: Int64
    /// T: the last step observed; −1: none.
    package var lastStep: Int64
    /// C: the sum of the counts of all ids.
    package var count: Double
    /// What a hit at T adds to a count: 1 without a half-life.
    package var hitWeight: Double
    package var scale: CountDecay.Scale

    package init(firstStep: Int64 = -1, lastStep: Int64 = -1, count: Double = 0) {
        self.firstStep = firstStep
        self.lastStep = lastStep
        self.count = count
        hitWeight = 1
        scale = CountDecay.Scale()
    }

    /// Takes note of hits at a step.
    package mutating func note(_ hit: Hit) {
        precondition(hit.step >= 0, "got step \(hit.step), expected 0 or more")
        firstStep = firstStep < 0 ? hit.step : min(firstStep, hit.step)
        scale = hit.scale
        // Late steps may lower T₀, never T.
        guard hit.step >= lastStep else { return }
        lastStep = hit.step
        hitWeight = hit.weight
    }
}

/// What all hits of an observation have in common.
package struct Hit: BitwiseCopyable, Sendable, Equatable {
    package let step: Int64
    /// What it adds to a count, in the epoch of `scale`.
    package let weight: Double
    package let scale: CountDecay.Scale

    package init(step: Int64, weight: Double = 1, scale: CountDecay.Scale = CountDecay.Scale()) {
        self.step = step
        self.weight = weight
        self.scale = scale
    }
}
