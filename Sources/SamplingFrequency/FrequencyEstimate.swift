/// What a reader is told about an id: three quantities that are easily taken for one another.
///
/// | name       | meaning                              | source                      |
/// |------------|--------------------------------------|-----------------------------|
/// | `q`        | probability per draw                 | counts: count / total       |
/// | `p`        | probability of being in a batch      | gaps: 1 / gap               |
/// | `expected` | expected count in a batch of B draws | B·q                         |
///
/// With independent draws `p = 1 − (1 − q)^B`. p saturates at 1: an id four times in every batch has the same p as
/// one that is there once; q tells them apart. Both lie in (0, 1], so their logarithms are finite for every id.

/// How much is known about an id.
package enum FrequencyState: String, Sendable, CaseIterable {
    /// It has a gap.
    case seen
    /// It is known but has no gap: one sighting in all the steps there were.
    case once
    /// Nothing is known about it.
    case unseen
    /// It had a gap, but stayed away for more than eight of them.
    case stale
}

package struct FrequencyEstimate: Sendable, Equatable {
    package let q: Double
    package let p: Double
    /// Hits; with a half-life what is left of them at the collection's last step.
    package let count: Double
    /// The gap as read, at least an eighth of the id's age; nil without one.
    package let gap: Double?
    package let lastStep: Int64?
    package let state: FrequencyState

    /// The expected count of the id in a batch of `batch` draws.
    package func expected(batch: Double) -> Double {
        batch * q
    }
}

/// Reads a record; reading changes nothing.
///
/// - An id that stopped coming keeps its B, which only hits change. So the gap read is at least an eighth of the age.
///   Not the age itself: at a random moment the age of a healthy id exceeds its gap 37 % of the time.
/// - An id without a gap was seen once in all the steps there were: p = 1/(T − T₀ + 1). Not 1: a newcomer is rare
///   until proved otherwise, and would be pushed down just when it needs help.
/// - An id never seen counts as half an observation made now: q = 0.5/C, p = 0.5/(T − T₀ + 1), the count in units of
///   what a hit weighs now. An id that was seen keeps q = count/C however much of its count has faded, so that the q of
///   all ids that were observed sum to 1.
/// - Before any observation every item is as likely as the next: 1/items.
package func estimate(
    _ record: FrequencyRecord,
    totals: FrequencyTotals,
    liveItems: Int
) -> FrequencyEstimate {
    let uniform = 1 / Double(max(1, liveItems))
    let isKnown = record.lastStep >= 0
    let hasGap = record.gap > 0
    let count = totals.count(of: record)

    let q: Double
    if totals.count > 0 {
        // A count that was set to 0 is no reason for log 0.
        q = (count > 0 ? count : 0.5 * totals.hitWeight) / totals.count
    } else {
        q = uniform
    }

    let state: FrequencyState
    let p: Double
    var gap: Double?
    if isKnown && hasGap {
        // The steps are 0 or more, so the difference can't overflow.
        let ageLimit = Double(max(0, totals.lastStep - record.lastStep)) / 8
        let read = max(record.gap, ageLimit)
        gap = read
        state = ageLimit > record.gap ? .stale : .seen
        p = 1 / read
    } else if totals.firstStep < 0 {
        state = isKnown ? .once : .unseen
        p = uniform
    } else {
        // As a Double: the whole range of steps plus one is no Int64.
        let stepCount = Double(totals.lastStep - totals.firstStep) + 1
        state = isKnown ? .once : .unseen
        p = (isKnown ? 1 : 0.5) / stepCount
    }
    return FrequencyEstimate(
        q: probability(q),
        p: probability(p),
        count: count > 0 ? max(count / totals.hitWeight, .leastNormalMagnitude) : 0,
        gap: gap,
        lastStep: isKnown ? record.lastStep : nil,
        state: state
    )
}

/// Clamps to (0, 1], for counts and gaps that a trainer set to extremes.
private func probability(_ value: Double) -> Double {
    min(1, max(.leastNormalMagnitude, value))
}
