/// The statistics of one id, in 40 bytes without pointers or padding.
///
/// The ends of gaps are hits at different steps. A hit may be late, so the gaps between the hits of the last 64 steps
/// are *open*: another hit may still divide one of them. `gap` has only the *closed* gaps before them.
package struct Statistics: BitwiseCopyable, Sendable, Equatable {
    /// A: the last step at which the id was seen; −1 if never.
    package var lastStep: Int64
    /// B: the estimated number of steps between two hits, from closed gaps; 0 if there is none. (The gap in a
    /// `FrequencyEstimate` has open gaps too, and is at least an eighth of the id's age.)
    package var gap: Double
    /// The sum of the weights of all hits (`CountDecay`), in the epoch of `lastStep`. Two hits in one batch count
    /// twice. Without a half-life a hit weighs 1, and the sum is exact up to 2^53. It is always 0 or a normal number.
    package var count: Double
    /// The number of gaps in `gap`. It stops at the largest UInt32.
    package var gapCount: UInt32
    /// The steps from the end of the last closed gap to `lastStep`. 0: nothing is open. `noneClosed`: no gap has
    /// begun before the open steps.
    package var closedDistance: UInt32
    /// The open steps before `lastStep`: bit i is set if the id was seen at `lastStep` − 1 − i.
    package var openSteps: UInt64

    /// The value of `closedDistance` if there is no closed hit.
    package static let noneClosed = UInt32.max
    /// The number of steps before `lastStep` that may be open.
    package static let openStepsMax: Int64 = 64

    package init(
        lastStep: Int64,
        gap: Double,
        count: Double,
        gapCount: UInt32,
        closedDistance: UInt32 = 0,
        openSteps: UInt64 = 0
    ) {
        self.lastStep = lastStep
        self.gap = gap
        self.count = count
        self.gapCount = gapCount
        self.closedDistance = closedDistance
        self.openSteps = openSteps
    }

    package static let unseen = Statistics(lastStep: -1, gap: 0, count: 0, gapCount: 0)
}
