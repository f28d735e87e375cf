/// Streaming estimation in fixed memory, for id spaces without bound (Yi et al., RecSys 2019, Algorithm 3): ids are
/// hashed into H buckets by each of m hashes, and a bucket is the record of whatever falls into it.
///
/// | what     | of m buckets | because                                                                        |
/// |----------|--------------|--------------------------------------------------------------------------------|
/// | gap B    | the largest  | other ids in a bucket only shorten its gaps (the paper's p̂ = 1/max B)           |
/// | count    | the smallest | other ids only add to it: this is a count-min sketch (Cormode, Muthukrishnan)   |
/// | last A   | the smallest | other ids only move it on                                                      |
///
/// An id with a bucket that nothing fell into was never seen; one with a bucket without a gap has no gap. So the count is the
/// exact one wherever an id has one bucket for itself, and too high elsewhere. The gap errs to the side of "more frequent",
/// too, but for one thing: an id that comes often finds the gap of a rare one in a bucket that both have, and it takes about
/// 1/α hits, or as many as the rare one had if those are fewer, to bring it down.
///
/// The rules of `GapEstimator` hold for a bucket as they hold for an id. In particular: once per bucket and step, so ids
/// of one batch that share a bucket are no gap of 0. Each does count, so the counts of any one hash's buckets sum to
/// the number of observations.
///
/// `SketchLayout` says which buckets an id has. This is the estimator by itself; the engine does the same with buckets
/// under a lock.
package struct FrequencySketch: Sendable {
    package let layout: SketchLayout
    package let estimator: GapEstimator
    package private(set) var buckets: [FrequencyRecord]

    /// `initial`: what each bucket begins with.
    package init(
        layout: SketchLayout,
        alpha: Double,
        decay: CountDecay = .none,
        initial: FrequencyRecord = .unseen
    ) {
        self.layout = layout
        estimator = GapEstimator(alpha: alpha, decay: decay)
        buckets = Array(repeating: initial, count: layout.totalBucketCount)
    }

    /// One hit of the id with this hash.
    package mutating func observe(_ hash: UInt64, _ hit: Hit) {
        for index in 0..<layout.hashCount {
            estimator.observe(&buckets[layout.bucket(of: hash, index)], hit)
        }
    }

    /// Takes over what a trainer estimated itself, as `GapEstimator.set`; nil leaves a field.
    package mutating func set(_ hash: UInt64, _ hit: Hit, gap: Double?, count: Double?) {
        let before = record(of: hash)
        for index in 0..<layout.hashCount {
            let bucket = layout.bucket(of: hash, index)
            estimator.setInBucket(&buckets[bucket], hit, gap: gap, count: count, before: before)
        }
    }

    /// What is known of the id: to be read by `estimate`, like an exact record.
    package func record(of hash: UInt64) -> FrequencyRecord {
        var record = buckets[layout.bucket(of: hash, 0)]
        for index in 1..<layout.hashCount {
            record.narrow(by: buckets[layout.bucket(of: hash, index)], estimator.decay)
        }
        return record
    }
}

extension GapEstimator {
    /// Takes over, in one bucket of an id, what a trainer estimated itself. `before` is what was known of the id, of which
    /// count and last step matter.
    ///
    /// The gap is set in every bucket of the id, for the largest is read. The count that is read becomes `count`: a bucket
    /// keeps what it has above the smallest count of the id's buckets, for that is other ids'.
    package func setInBucket(
        _ bucket: inout FrequencyRecord,
        _ hit: Hit,
        gap: Double?,
        count: Double?,
        before: FrequencyRecord
    ) {
        let old = bucket
        set(&bucket, hit, gap: gap, count: count)
        guard count != nil else { return }
        // None of the three is measured in a later epoch than the bucket is now.
        let epoch = decay.epoch(of: bucket.lastStep)
        let own = CountDecay.convert(old.count, from: decay.epoch(of: old.lastStep), to: epoch)
        let smallest = CountDecay.convert(before.count, from: decay.epoch(of: before.lastStep), to: epoch)
        // The bucket with the smallest count has exactly what was asked for now, the others more.
        guard own > smallest else { return }
        bucket.count = max(bucket.count + (own - smallest), .leastNormalMagnitude)
    }
}

extension FrequencyRecord {
    /// Makes this what it and another bucket say of an id that has both. Neither order nor grouping matters.
    package mutating func narrow(by other: FrequencyRecord, _ decay: CountDecay) {
        if lastStep < 0 || other.lastStep < 0 {
            self = .unseen
            return
        }
        // Either has no gap: then there is none, for the id itself would have made one in both.
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

    /// The smaller one of two counts, in the epoch of this record, which is not the later one.
    private func smallerCount(_ other: FrequencyRecord, _ decay: CountDecay) -> Double {
        let epochs = decay.epoch(of: other.lastStep) - decay.epoch(of: lastStep)
        if epochs == 0 { return min(count, other.count) }
        let converted = CountDecay.convert(count, from: 0, to: epochs)
        if converted <= other.count { return count }
        // Only where a trainer has set next to nothing: it is below what a hit weighed an epoch ago, so it fits.
        let exponent = CountDecay.epochExponent * min(epochs, 4)
        return min(Double(sign: .plus, exponent: exponent, significand: other.count), .greatestFiniteMagnitude)
    }
}
