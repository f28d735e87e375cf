package import SamplingFrequency

/// A copy of the statistics of some ids. Another thread can compute estimates from it later, a few at a time, even if
/// the ids or their collection have changed or are gone.
package struct FrequencySnapshot: Sendable, Equatable {
    /// In the order of the ids. An id that occurs twice has two records.
    let records: [Statistics]
    let totals: FrequencyTotals
    let liveItems: Int

    /// The frequencies of the id at this index.
    package func estimate(_ index: Int) -> FrequencyEstimate {
        SamplingFrequency.estimate(records[index], totals: totals, liveItems: liveItems)
    }
}
