/// The totals of a collection.
package struct FrequencyTotals: Sendable, Equatable {
    /// T₀: the first observed step; −1 if there is none.
    package var firstStep: Int64
    /// T: the last observed step; −1 if there is none.
    package var lastStep: Int64
    /// C: the sum of the counts of all ids, in the epoch of T.
    package var count: Double
    /// The weight of a hit at T, in the epoch of T. It is 1 without a half-life.
    package var hitWeight: Double
    /// The greatest number of steps by which an observation was late: 0 if the workers are in step, at most
    /// `Statistics.openStepsMax`. Reading leaves out the last `lateness` steps, because hits of late workers are
    /// missing from them.
    package var lateness: Int64
    /// The pace: how far the observations that moved T have moved it.
    package var pace: Pace
    package let estimator: GapEstimator
    /// The epoch of T.
    package private(set) var epoch: Int

    package var decay: CountDecay { estimator.decay }

    package init(
        firstStep: Int64 = -1,
        lastStep: Int64 = -1,
        count: Double = 0,
        hitWeight: Double = 1,
        lateness: Int64 = 0,
        pace: Pace = Pace(),
        estimator: GapEstimator
    ) {
        self.firstStep = firstStep
        self.lastStep = lastStep
        self.count = count
        self.hitWeight = hitWeight
        self.lateness = lateness
        self.pace = pace
        self.estimator = estimator
        epoch = estimator.decay.epoch(of: lastStep)
    }

    /// Updates the steps, the weight and the pace after hits at a step. `mayBeLate`: the hits are those of a worker, so
    /// their lateness counts too. The count does not change.
    package mutating func note(_ hit: Hit, mayBeLate: Bool = true) {
        precondition(hit.step >= 0, "got step \(hit.step), expected 0 or more")
        let behind = lastStep - hit.step
        if mayBeLate, lastStep >= 0, (1...Statistics.openStepsMax).contains(behind) {
            lateness = max(lateness, behind)
        }
        if lastStep >= 0, behind < 0 { pace.note(advance: -behind, limit: aheadLimit) }
        firstStep = firstStep < 0 ? hit.step : min(firstStep, hit.step)
        // A late step may lower T₀, never T.
        if hit.step >= lastStep { setLastStep(hit) }
    }

    /// Sets T, and T₀ if it is later.
    package mutating func set(_ hit: Hit) {
        firstStep = firstStep < 0 ? hit.step : min(firstStep, hit.step)
        setLastStep(hit)
    }

    private mutating func setLastStep(_ hit: Hit) {
        lastStep = hit.step
        epoch = decay.epoch(of: lastStep)
        hitWeight = hit.weight(in: epoch)
    }

    /// The count of an id as of T, in the epoch of T.
    package func count(of record: Statistics) -> Double {
        CountDecay.convert(record.count, from: decay.epoch(of: record.lastStep), to: epoch)
    }

    /// The same as a number of hits at T: the count in an estimate.
    package func hitCount(of record: Statistics) -> Double {
        hitCount(count(of: record))
    }

    /// Converts a count in the epoch of T to a number of hits at T. A count above 0 never becomes 0.
    func hitCount(_ count: Double) -> Double {
        count > 0 ? max(count / hitWeight, .leastNormalMagnitude) : 0
    }

    /// These totals with another step as T, so that counts are as of that step; −1 for no step. C stays as it is.
    package func moved(to step: Int64) -> FrequencyTotals {
        guard step != lastStep else { return self }
        var totals = self
        totals.setLastStep(step < 0 ? Hit(step: step) : decay.hit(at: step))
        return totals
    }

    /// The last step that reading takes into account for gaps. Without late workers these are all steps, even one that
    /// was applied after these totals were read.
    package var lastCompleteStep: Int64 { lateness == 0 ? .max : lastStep - lateness }

    /// How far a step may be ahead of T: a thousand times the pace so far. With a half-life h it is also at most 8·h,
    /// or 16 times the pace if that is more. A step further ahead is nearly always a mistake, such as a count of
    /// samples or a time.
    package var aheadLimit: Int64 {
        var limit = 1_000 * pace.mean
        if let halfLife = decay.halfLife { limit = min(limit, max(8 * halfLife, 16 * pace.mean)) }
        return limit < 0x1p62 ? Int64(limit) : 1 << 62
    }

    /// The mean number of steps by which an observation moves T.
    package struct Pace: Sendable, Equatable {
        /// The sum of the advances, at most 2^62.
        package private(set) var steps: Int64
        /// The number of advances.
        package private(set) var count: Int64

        package init(steps: Int64 = 0, count: Int64 = 0) {
            self.steps = steps
            self.count = count
        }

        /// At least 1.
        package var mean: Double { count == 0 ? 1 : max(1, Double(steps) / Double(count)) }

        /// Notes an advance. One beyond the limit is a jump, which says nothing about the pace.
        mutating func note(advance: Int64, limit: Int64) {
            guard advance <= limit, steps <= (1 << 62) - advance else { return }
            steps += advance
            count += 1
        }
    }
}
