/// Shared by the tests: a minimal collection.
import SamplingFrequency

/// Records by id, with the totals kept as in the store.
struct Tracker {
    let estimator: GapEstimator
    var records: [Int: Statistics] = [:]
    var totals: FrequencyTotals

    init(alpha: Double) {
        estimator = GapEstimator(alpha: alpha)
        totals = FrequencyTotals(estimator: estimator)
    }

    mutating func observe(_ ids: [Int], at step: Int64) {
        totals.note(Hit(step: step))
        for id in ids {
            estimator.observe(&records[id, default: .unseen], Hit(step: step))
            totals.count += 1
        }
    }

    mutating func set(_ id: Int, at step: Int64, gap: Double? = nil, count: Double? = nil) {
        totals.note(Hit(step: step))
        totals.count -= records[id]?.count ?? 0
        estimator.set(&records[id, default: .unseen], Hit(step: step), gap: gap, count: count)
        totals.count += records[id]!.count
    }

    /// The record with all its gaps closed.
    func closed(_ id: Int) -> Statistics? {
        guard var record = records[id] else { return nil }
        estimator.close(&record, through: .max)
        return record
    }

    func read(_ id: Int, liveItems: Int = 0) -> FrequencyEstimate {
        estimate(records[id] ?? .unseen, totals: totals, liveItems: liveItems)
    }
}
