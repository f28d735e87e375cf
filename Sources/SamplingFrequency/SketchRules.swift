/// Streaming estimation in fixed memory, for unbounded id spaces (Yi et al., RecSys 2019, Algorithm 3). Each of m
/// hashes maps an id to one of H buckets, and a bucket has one record for all ids that share it.
///
/// | estimate | of m buckets | because                                                                          |
/// |----------|--------------|----------------------------------------------------------------------------------|
/// | gap B    | the largest  | other ids in a bucket mostly shorten its gaps (the paper's p̂ = 1/max B)           |
/// | count    | the smallest | other ids only add to it: this is a count-min sketch (Cormode, Muthukrishnan)     |
/// | last A   | the smallest | other ids only move it forward                                                    |
///
/// An id was never seen if one of its buckets is untouched. It has no gap if one of its buckets has no gap.
///
/// Accuracy: the count is exact if the id shares at least one of its buckets with no other id; otherwise it may be too
/// high. Apart from rounding, it is too low only if a trainer sets the count of an id that shares a bucket. A wrong gap
/// is usually too short. It can also be too long, when a frequent id shares a bucket with a rare one and finds its gap
/// there. The gap is right again after about 1/α hits, or after as many hits as the rare id had, if those are fewer.
///
/// A bucket follows the rules of `GapEstimator` as if it were an id. So its gap changes at most once per step, and ids
/// of one batch that share a bucket cause no gap of 0. But each of them counts, so the counts of all buckets of one
/// hash sum to the number of observations.
///
/// `SketchLayout` maps ids to buckets. This file changes one bucket, and combines the buckets of an id.
extension GapEstimator {
    /// Sets a trainer's own estimates in one bucket of an id. `before` is the id's combined record before the change;
    /// only its count and last step matter.
    ///
    /// The gap is set in every bucket of the id, because a read takes the largest. A later read of the id returns
    /// `count`. Each bucket keeps its excess over the smallest count among the id's buckets, because the excess belongs
    /// to other ids.
    package func setInBucket(
        _ bucket: inout Statistics,
        _ hit: Hit,
        gap: Double?,
        count: Double?,
        before: Statistics
    ) {
        let old = bucket
        set(&bucket, hit, gap: gap, count: count)
        guard count != nil else { return }
        // All three counts are in the bucket's present epoch or an earlier one.
        let epoch = decay.epoch(of: bucket.lastStep)
        let own = CountDecay.convert(old.count, from: decay.epoch(of: old.lastStep), to: epoch)
        let smallest = CountDecay.convert(before.count, from: decay.epoch(of: before.lastStep), to: epoch)
        // The bucket with the smallest count now has the requested count. The others get their excess on top.
        guard own > smallest else { return }
        bucket.count = max(bucket.count + (own - smallest), .leastNormalMagnitude)
    }
}

extension Statistics {
    /// Combines this record with that of another bucket of the same id. The operation is commutative and associative.
    /// Only closed gaps count, and the result has no open steps.
    package mutating func narrow(by other: Statistics, _ decay: CountDecay) {
        closedDistance = 0
        openSteps = 0
        if lastStep < 0 || other.lastStep < 0 {
            self = .unseen
            return
        }
        // A gap of the id would be in both buckets. So if either has none, the id has none.
        if gap == 0 || other.gap == 0 {
            gap = 0
            gapCount = 0
        } else if (other.gap, other.gapCount) > (gap, gapCount) {
            gap = other.gap
            gapCount = other.gapCount
        }
        count = lastStep <= other.lastStep ? smallerCount(other, decay) : other.smallerCount(self, decay)
        lastStep = min(lastStep, other.lastStep)
    }

    /// The smaller of two counts, in the epoch of this record, which is not later than the other's.
    private func smallerCount(_ other: Statistics, _ decay: CountDecay) -> Double {
        let epochs = decay.epoch(of: other.lastStep) - decay.epoch(of: lastStep)
        if epochs == 0 { return min(count, other.count) }
        let converted = CountDecay.convert(count, from: 0, to: epochs)
        if converted <= other.count { return count }
        // This happens only if a trainer has set a tiny count. It is below the weight of a hit one epoch ago, so it
        // fits.
        let exponent = CountDecay.epochExponent * min(epochs, 4)
        return min(Double(sign: .plus, exponent: exponent, significand: other.count), .greatestFiniteMagnitude)
    }
}
