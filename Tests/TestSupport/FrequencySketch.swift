package import SamplingFrequency

/// A sketch on an array of buckets, with the rules of `SketchRules.swift`. Simulations and models use it. The model
/// tests of the store check that the store's own `SketchBuckets` get the same contents.
package struct FrequencySketch: Sendable {
    package let layout: SketchLayout
    package let estimator: GapEstimator
    package private(set) var buckets: [Statistics]

    /// `initial` is the first value of each bucket.
    package init(
        layout: SketchLayout,
        alpha: Double,
        decay: CountDecay = .none,
        initial: Statistics = .unseen
    ) {
        self.layout = layout
        estimator = GapEstimator(alpha: alpha, decay: decay)
        buckets = Array(repeating: initial, count: layout.totalBucketCount)
    }

    /// Counts a hit of the id with this hash.
    package mutating func observe(_ hash: UInt64, _ hit: Hit) {
        for index in 0..<layout.hashCount {
            estimator.observe(&buckets[layout.bucket(of: hash, index)], hit)
        }
    }

    /// Sets a trainer's own estimates, as `GapEstimator.set` does. Nil leaves a field unchanged.
    package mutating func set(_ hash: UInt64, _ hit: Hit, gap: Double?, count: Double?) {
        let before = record(of: hash)
        for index in 0..<layout.hashCount {
            let bucket = layout.bucket(of: hash, index)
            estimator.setInBucket(&buckets[bucket], hit, gap: gap, count: count, before: before)
        }
    }

    /// The combined record of an id, which `estimate` reads like an exact one. Its gap has the hits up to a step.
    package func record(of hash: UInt64, through step: Int64 = .max) -> Statistics {
        var record = closed(layout.bucket(of: hash, 0), step)
        for index in 1..<layout.hashCount {
            record.narrow(by: closed(layout.bucket(of: hash, index), step), estimator.decay)
        }
        return record
    }

    private func closed(_ bucket: Int, _ step: Int64) -> Statistics {
        var record = buckets[bucket]
        estimator.close(&record, through: step)
        return record
    }
}
