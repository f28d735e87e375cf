package import SamplingFrequency

/// What is known of some ids at one moment, copied, so that estimates can be computed from it elsewhere and later: a few at a
/// time, whatever happens to the ids or to their collection meanwhile.
package struct FrequencySnapshot: Sendable, Equatable {
    /// In the order of the ids; an id said twice is here twice.
    let records: [FrequencyRecord]
    let totals: FrequencyTotals
    let liveItems: Int

    package func estimates(_ range: Range<Int>) -> [FrequencyEstimate] {
        range.map { estimate(records[$0], totals: totals, liveItems: liveItems) }
    }
}
