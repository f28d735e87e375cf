import Synchronization

/// Counts observations and settings of frequencies whose step was not the next one, since the start of the process.
package final class StepCounters: Sendable {
    private let lateCount = Atomic<Int>(0)
    private let refusedLateCount = Atomic<Int>(0)
    private let refusedAheadCount = Atomic<Int>(0)

    /// Observations that were counted before the last step.
    package var late: Int { lateCount.load(ordering: .relaxed) }
    /// Writes that were refused because their step was too late.
    package var refusedLate: Int { refusedLateCount.load(ordering: .relaxed) }
    /// Writes that were refused because their step was too far ahead.
    package var refusedAhead: Int { refusedAheadCount.load(ordering: .relaxed) }

    /// Sets the counters to those of another collection.
    func set(_ other: StepCounters) {
        lateCount.store(other.late, ordering: .relaxed)
        refusedLateCount.store(other.refusedLate, ordering: .relaxed)
        refusedAheadCount.store(other.refusedAhead, ordering: .relaxed)
    }

    func noteLate() { lateCount.wrappingAdd(1, ordering: .relaxed) }
    func noteRefusedLate() { refusedLateCount.wrappingAdd(1, ordering: .relaxed) }
    func noteRefusedAhead() { refusedAheadCount.wrappingAdd(1, ordering: .relaxed) }
}
