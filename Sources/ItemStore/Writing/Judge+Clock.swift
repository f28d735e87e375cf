import SamplingFrequency

/// The clock of a collection: how the steps of trainers become steps of the collection.
///
/// A trainer that starts again may begin again with step 1, or go back to its last saved state. On the clock, such
/// steps would be the distant past: with a half-life their hits would weigh nothing, and gaps would stand still. So
/// each *run* has an offset. The first step of a new run is the step after the clock's last one. Then both go on
/// together. The first run of a collection has its own steps on the clock.
///
/// Within a run, a step may be late by up to 64, because workers are asynchronous. An older step is refused, as is one
/// far ahead: both are nearly always mistakes. A request can insist with `isJump`.
extension Judge {
    /// A step on the clock, with the state of the run after it.
    struct ClockStep {
        let step: Int64
        let run: TrainerRun
        let place: Int
    }

    /// The step on the clock. Changes nothing. Throws `step` if the step is refused, `limit` if there is no step left.
    func clockStep(_ requested: RequestedStep, in collection: Collection) throws(StoreError) -> ClockStep {
        let last = collection.owner.judgedTotals.lastStep
        let runs = collection.owner.judgedRuns
        let place = runs.place(of: requested.run) ?? runs.placeOfNewRun(countMax: collection.runs.countMax)
        var run = runs[requested.run]
        if run == nil, requested.run.isEmpty, runs.count == 0 {
            // Until a run is named, the clock has the steps of the trainer.
            run = TrainerRun(name: "", offset: 0, lastStep: last)
        }
        guard let step = requested.step else {
            let next = max(try after(last), 1)
            var run = run ?? TrainerRun(name: requested.run, offset: next - 1, lastStep: 0)
            run.lastStep = next - run.offset
            return ClockStep(step: next, run: run, place: place)
        }
        if last < 0 {
            let run = TrainerRun(name: requested.run, offset: 0, lastStep: step)
            return ClockStep(step: step, run: run, place: place)
        }
        guard var run else {
            let next = try after(last)
            let run = TrainerRun(name: requested.run, offset: next - step, lastStep: step)
            return ClockStep(step: next, run: run, place: place)
        }
        if step <= run.lastStep {
            let lateness = run.lastStep - step
            guard lateness <= Statistics.openStepsMax || requested.isJump else {
                collection.stepCounters.noteRefusedLate()
                let first = max(0, run.lastStep - Statistics.openStepsMax)
                throw Self.refused(step, run, expected: "\(first) or more")
            }
            return ClockStep(step: max(0, step + run.offset), run: run, place: place)
        }
        // A step of a run that others have overtaken is now.
        let (sum, overflow) = step.addingReportingOverflow(run.offset)
        let clock = overflow ? .max : max(sum, last)
        let limit = collection.owner.judgedTotals.aheadLimit
        guard clock - last <= limit || requested.isJump, !overflow else {
            collection.stepCounters.noteRefusedAhead()
            let most = last - run.offset + limit
            throw Self.refused(step, run, expected: "at most \(most)")
        }
        run.offset = clock - step
        run.lastStep = step
        return ClockStep(step: clock, run: run, place: place)
    }

    /// Notes the step of a write that is about to be encoded, and returns its hit.
    func take(_ clockStep: ClockStep, mayBeLate: Bool, in collection: Collection) -> Hit {
        let hit = collection.decay.hit(at: clockStep.step)
        if mayBeLate, clockStep.step < collection.owner.judgedTotals.lastStep { collection.stepCounters.noteLate() }
        collection.owner.judgedTotals.note(hit, mayBeLate: mayBeLate)
        if collection.owner.judgedRuns[clockStep.run.name] != clockStep.run {
            collection.owner.judgedRuns.set(clockStep.run, at: clockStep.place)
            group.encoder.run(collection: collection.number, clockStep.run, place: clockStep.place)
        }
        return hit
    }

    /// Sets the clock. Throws `noCollection` or `badRequest`.
    func setClock(_ name: String, to step: Int64) throws(StoreError) {
        guard let collection = catalogue[name] else { throw .noCollection(name) }
        func check(_ totals: FrequencyTotals) throws(StoreError) {
            guard totals.lastStep >= 0 else {
                throw StoreError(
                    .badRequest,
                    "got a step of the clock, but collection '\(name)' has no observation yet"
                )
            }
        }
        // The first observation may be pending, and its commit may fail.
        try check(collection.owner.judgedTotals)
        try group.commitPending()
        let last = collection.totals.lastStep
        try check(collection.totals)
        let (old, new) = (collection.decay.hit(at: last), collection.decay.hit(at: step))
        try group.commitAlone { $0.clock(collection: collection.number, from: old, to: new) }
        collection.forgetJudged()
    }

    private func after(_ last: Int64) throws(StoreError) -> Int64 {
        guard last < .max else {
            throw StoreError(.limit, "the last step is \(last), there is none after it")
        }
        return last + 1
    }

    private static func refused(_ step: Int64, _ run: TrainerRun, expected: String) -> StoreError {
        let got = "got step \(step) after step \(run.lastStep)" + (run.name.isEmpty ? "" : " of run '\(run.name)'")
        return StoreError(
            .step,
            "\(got), expected \(expected): name a new run with run=, or insist with jump=true"
        )
    }
}
