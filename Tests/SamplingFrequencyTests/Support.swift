/// What the tests share: a seeded generator, and a collection in miniature.
import SamplingFrequency

/// SplitMix64: the same numbers on every machine for one seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }

    /// In (0, 1].
    mutating func nextUnit() -> Double {
        Double(next() >> 11 &+ 1) * 0x1p-53
    }
}

/// Records by id with the totals kept as the store keeps them.
struct Tracker {
    let estimator: GapEstimator
    var records: [Int: FrequencyRecord] = [:]
    var totals = FrequencyTotals()

    init(alpha: Double) {
        estimator = GapEstimator(alpha: alpha)
    }

    mutating func observe(_ ids: [Int], at step: Int64) {
        totals.note(step: step)
        for id in ids {
            estimator.observe(&records[id, default: .unseen], at: step)
            totals.count += 1
        }
    }

    mutating func set(_ id: Int, at step: Int64, gap: Double? = nil, count: Double? = nil) {
        totals.note(step: step)
        totals.count += estimator.set(&records[id, default: .unseen], at: step, gap: gap, count: count)
    }

    func read(_ id: Int, liveItems: Int = 0) -> FrequencyEstimate {
        estimate(records[id] ?? .unseen, totals: totals, liveItems: liveItems)
    }
}
