package import SamplingFrequency

/// The steps of a collection: its totals, its runs, and the last number of each producer.
package struct CollectionClock: Sendable {
    package let totals: FrequencyTotals
    package let runs: [TrainerRun]
    package let producers: [ProducerEntry]
}

extension Collection {
    /// The clock, from any thread.
    package func clock() -> CollectionClock {
        CollectionClock(totals: totals, runs: runs.snapshot, producers: producers.snapshot)
    }
}
