/// Streaming estimation of the gap between two hits of an id: Algorithm 2 of Yi et al., "Sampling-bias-corrected neural
/// modeling for large corpus item recommendations", RecSys 2019. Each id has a record of its own instead of a place in
/// hashed arrays.
///
/// For each id in the batch of step t: `B ← (1 − α)·B + α·(t − A)`, then `A ← t`. The probability of being in a batch
/// is 1/B. The paper does not specify the edge cases. These rules make the estimate right:
///
/// 1. The gap of an id changes at most once per step. An id that is in a batch twice must not get a gap of 0. (It does
///    count twice.)
/// 2. The first hit gives no gap. The n-th gap has the weight `max(α, 1/n)`, so B is the mean of the first 1/α gaps,
///    and after them a moving mean. A fixed initial B would fade only with the hits, so a rare id would keep it almost
///    forever.
/// 3. Workers are asynchronous, so hits may come late. A hit up to 64 steps before A divides the gap in which it lies.
///    For this, the gaps of the last 64 steps stay open. They are closed in the order of steps when A moves on, so B is
///    the same as if all hits had come in order. An older hit is counted, but changes neither A nor B.
///
/// For independent hits with probability p, the gap is unbiased. Its coefficient of variation converges to √(α/(2 −
/// α)·(1 − p)): 7.1 % at α = 0.01 for small p.
package struct GapEstimator: Sendable, Equatable {
    package let alpha: Double
    package let decay: CountDecay
    /// From this many gaps on, a new gap has the weight α. A gap that a trainer sets counts as this many gaps.
    private let matureGapCount: UInt32

    package init(alpha: Double, decay: CountDecay = .none) {
        precondition(alpha > 0 && alpha <= 1, "got alpha \(alpha), expected more than 0 and at most 1")
        self.alpha = alpha
        self.decay = decay
        matureGapCount = UInt32(exactly: (1 / alpha).rounded(.up)) ?? .max
    }

    /// Adds one hit of an id. The hits of a batch may come in any order.
    package func observe(_ record: inout Statistics, _ hit: Hit) {
        let step = hit.step
        precondition(step >= 0, "got step \(step), expected 0 or more")
        bring(&record, to: step)
        record.count += hit.weight(in: decay.epoch(of: max(record.lastStep, step)))
        if record.lastStep < 0 {
            record.lastStep = step
            record.closedDistance = Statistics.noneClosed
        } else if step > record.lastStep {
            advance(&record, to: step)
        } else {
            insert(step, into: &record)
        }
    }

    /// Inserts a late hit among the open steps. A hit at a step that is closed or too old changes nothing.
    private func insert(_ step: Int64, into record: inout Statistics) {
        let distance = record.lastStep - step
        guard (1...Statistics.openStepsMax).contains(distance), distance < record.closedDistance else { return }
        record.openSteps |= 1 << UInt64(distance - 1)
    }

    /// Moves A to a later step, and closes the hits more than 64 steps before it.
    private func advance(_ record: inout Statistics, to step: Int64) {
        let shift = step - record.lastStep
        close(&record, through: step - Statistics.openStepsMax - 1)
        let limit = Int64(Statistics.noneClosed)
        if record.closedDistance != Statistics.noneClosed, shift >= limit - Int64(record.closedDistance) {
            // The distance to the closed hit does not fit any more. A gap that long is no matter of late workers.
            close(&record, through: record.lastStep)
        }
        let isOpen = record.closedDistance != 0
        record.openSteps = shift > Statistics.openStepsMax ? 0 : (record.openSteps &<< UInt64(shift - 1)) << 1
        if isOpen, shift <= Statistics.openStepsMax { record.openSteps |= 1 << UInt64(shift - 1) }
        record.lastStep = step
        guard record.closedDistance != Statistics.noneClosed else { return }
        if shift < limit - Int64(record.closedDistance) {
            record.closedDistance += UInt32(shift)
        } else {
            add(gap: shift, to: &record)
        }
    }

    /// Closes the open hits up to a step, in the order of steps.
    package func close(_ record: inout Statistics, through limit: Int64) {
        guard record.closedDistance != 0 else { return }
        while record.openSteps != 0 {
            let index = 63 - record.openSteps.leadingZeroBitCount
            let distance = Int64(index) + 1
            guard record.lastStep - distance <= limit else { return }
            record.openSteps &= ~(1 << UInt64(index))
            close(&record, at: UInt32(distance))
        }
        if record.lastStep <= limit { close(&record, at: 0) }
    }

    /// Closes the first open hit, which is `distance` steps before A.
    @inline(__always)
    private func close(_ record: inout Statistics, at distance: UInt32) {
        if record.closedDistance != Statistics.noneClosed {
            add(gap: Int64(record.closedDistance - distance), to: &record)
        }
        record.closedDistance = distance
    }

    @inline(__always)
    private func add(gap: Int64, to record: inout Statistics) {
        if record.gapCount < .max { record.gapCount += 1 }
        let weight = max(alpha, 1 / Double(record.gapCount))
        record.gap = (1 - weight) * record.gap + weight * Double(gap)
    }

    /// Moves the clock back after a mistake, from the step of one hit to that of another. An id that was seen later
    /// than the new step counts as seen at it, with its present count. Its gaps stay as they are.
    package func moveBack(_ record: inout Statistics, from old: Hit, to new: Hit) {
        guard record.lastStep > new.step else { return }
        let oldEpoch = decay.epoch(of: old.step)
        let count = CountDecay.convert(record.count, from: decay.epoch(of: record.lastStep), to: oldEpoch)
        // A hit is open, or the last one, or older than the closed hit. Those after the new step become one hit.
        close(&record, through: new.step)
        if record.closedDistance != Statistics.noneClosed {
            let closedStep = record.lastStep - Int64(record.closedDistance)
            record.closedDistance = UInt32(max(0, new.step - closedStep))
        }
        record.openSteps = 0
        record.lastStep = new.step
        guard count > 0, decay.halfLife != nil else { return }
        let present = count / old.weight(in: oldEpoch)
        record.count = max(present * new.weight(in: decay.epoch(of: new.step)), .leastNormalMagnitude)
    }

    /// Sets a trainer's own estimates: the id was last seen at the hit's step, with this gap and, as of that step, this
    /// count. Nil leaves a value unchanged. Later hits change a gap that was set with weight α.
    package func set(_ record: inout Statistics, _ hit: Hit, gap: Double?, count: Double?) {
        let step = hit.step
        precondition(step >= 0, "got step \(step), expected 0 or more")
        bring(&record, to: step)
        if gap != nil || step > record.lastStep { close(&record, through: record.lastStep) }
        if step > record.lastStep {
            record.lastStep = step
            record.closedDistance = 0
        }
        if let gap {
            precondition(gap > 0 && gap.isFinite, "got gap \(gap), expected a finite number above 0")
            record.gap = gap
            record.gapCount = max(record.gapCount, matureGapCount)
        }
        guard let count else { return }
        precondition(count >= 0 && count.isFinite, "got count \(count), expected a finite number of 0 or more")
        let weight = hit.weight(in: decay.epoch(of: record.lastStep))
        record.count = count == 0 ? 0 : max(count * weight, .leastNormalMagnitude)
    }

    /// Converts the count to the epoch of a step, if that epoch is later.
    private func bring(_ record: inout Statistics, to step: Int64) {
        guard decay.halfLife != nil, step > record.lastStep else { return }
        record.count = CountDecay.convert(
            record.count,
            from: decay.epoch(of: record.lastStep),
            to: decay.epoch(of: step)
        )
    }
}
