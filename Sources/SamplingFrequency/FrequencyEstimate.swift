/// How much is known about an id.
package enum FrequencyState: String, Sendable, CaseIterable {
    /// It has a gap.
    case seen
    /// It was seen, but has no gap yet: nearly always, because it was seen at one step only.
    case once
    /// Nothing is known about it.
    case unseen
    /// It has a gap, but was last seen more than eight gaps ago.
    case stale
}

/// The estimates for an id. These three quantities are easily confused:
///
/// | name       | meaning                              | source                      |
/// |------------|--------------------------------------|-----------------------------|
/// | `q`        | probability per draw                 | counts: count / total       |
/// | `p`        | probability of being in a batch      | gaps: 1 / gap               |
/// | `expected` | expected count in a batch of B draws | B·q                         |
///
/// With independent draws `p = 1 − (1 − q)^B`. p can't exceed 1: an id that is in every batch four times has the same p
/// as one that is in every batch once. Only their q differ. Both p and q are in (0, 1], so their logarithms are finite
/// for every id.
package struct FrequencyEstimate: Sendable, Equatable {
    package let q: Double
    package let p: Double
    /// The number of hits. With a half-life, older hits count less, as of the last step of the collection.
    package let count: Double
    /// The estimated gap, at least an eighth of the id's age; nil if the id has no gap.
    package let gap: Double?
    package let lastStep: Int64?
    package let state: FrequencyState

    /// The expected count of the id in a batch of `batch` draws.
    package func expected(batch: Double) -> Double {
        batch * q
    }
}

/// Computes the estimates from the statistics of an id.
///
/// - The stored gap of an id that no longer comes does not change. So the estimated gap is at least an eighth of the
///   id's age. It is not the whole age, because the age of a normal id exceeds its gap 37 % of the time.
/// - Hits of late workers are missing from the last steps. So gaps and ages end at the last complete step: the last
///   step less the lateness of the collection.
/// - An id without a gap was seen once in all steps: p = 1/(T − T₀ + 1). A new id counts as rare until more is known,
///   because p = 1 would lower its corrected score.
/// - An id that was never seen counts as half an observation at the last step: q = 0.5/C, with C in units of a hit's
///   present weight, and p = 0.5/(T − T₀ + 1). An id that was seen keeps q = count/C, however much its count has faded.
///   So the q of all observed ids sum to 1.
/// - Before the first observation, all items are equally likely: q = p = 1/items.
package func estimate(
    _ record: Statistics,
    totals: FrequencyTotals,
    liveItems: Int
) -> FrequencyEstimate {
    let uniform = 1 / Double(max(1, liveItems))
    var record = record
    totals.estimator.close(&record, through: totals.lastCompleteStep)
    let isKnown = record.lastStep >= 0
    let hasGap = record.gap > 0
    let count = totals.count(of: record)

    let q: Double
    if totals.count > 0 {
        // The count may be 0, for unseen ids and if a trainer has set it. The logarithm of q must stay finite.
        q = (count > 0 ? count : 0.5 * totals.hitWeight) / totals.count
    } else {
        q = uniform
    }

    let state: FrequencyState
    let p: Double
    var gap: Double?
    if isKnown && hasGap {
        // Steps are at least 0, so the difference can't overflow.
        let ageLimit = Double(max(0, totals.lastStep - totals.lateness - record.lastStep)) / 8
        let read = max(record.gap, ageLimit)
        gap = read
        state = ageLimit > record.gap ? .stale : .seen
        p = 1 / read
    } else if totals.firstStep < 0 {
        state = isKnown ? .once : .unseen
        p = uniform
    } else {
        // Added as a Double, because the number of all steps does not fit an Int64.
        let stepCount = Double(totals.lastStep - totals.firstStep) + 1
        state = isKnown ? .once : .unseen
        p = (isKnown ? 1 : 0.5) / stepCount
    }
    return FrequencyEstimate(
        q: probability(q),
        p: probability(p),
        count: totals.hitCount(count),
        gap: gap,
        lastStep: isKnown ? record.lastStep : nil,
        state: state
    )
}

/// Clamps to (0, 1], because a trainer may set extreme counts and gaps.
private func probability(_ value: Double) -> Double {
    min(1, max(.leastNormalMagnitude, value))
}
