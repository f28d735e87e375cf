import ItemStore
import SamplingFrequency
import WireProtocol

/// `CLOCK` returns the clock of a collection: its steps, its runs and its producers.
enum Clock {
    static let verb = Verb(
        VerbSyntax("CLOCK", [.collection]),
        "the steps that the collection has seen, its runs and its producers",
        example: "CLOCK songs",
        access: .read,
        .read(clock)
    )

    private static func clock(_ request: Request, _ services: Services) throws(WireError) -> Page {
        let collection = try services.collection(named: request[.collection])
        let clock = collection.clock()
        let rows = totals(clock.totals, collection) + clock.runs.map(row) + clock.producers.map(row)
        return Page(RowBlock(namesAndValues: rows), work: rows.count)
    }

    private static func totals(_ totals: FrequencyTotals, _ collection: Collection) -> [(String, String)] {
        [
            ("first-step", step(totals.firstStep)),
            ("last-step", step(totals.lastStep)),
            ("count", NumberText.text(totals.count / totals.hitWeight)),
            ("half-life", totals.decay.halfLife.map { NumberText.text($0) } ?? "-"),
            ("pace", NumberText.text(totals.pace.mean)),
            ("max-ahead", "\(totals.aheadLimit)"),
            ("max-late", "\(Statistics.openStepsMax)"),
            ("lateness", "\(totals.lateness)"),
            ("late", "\(collection.stepCounters.late)"),
            ("refused-late", "\(collection.stepCounters.refusedLate)"),
            ("refused-ahead", "\(collection.stepCounters.refusedAhead)"),
        ]
    }

    /// The part of the clock that operators watch, as one row of `INFO`.
    static func summary(of collection: Collection) -> String {
        let watched = ["last-step", "pace", "lateness", "late", "refused-late", "refused-ahead"]
        return totals(collection.totals, collection).filter { watched.contains($0.0) }
            .map { "\($0.0)=\($0.1)" }.joined(separator: " ")
    }

    private static func row(_ run: TrainerRun) -> (String, String) {
        let name = run.name.isEmpty ? "-" : run.name
        return ("run:" + name, "last=\(step(run.lastStep)) clock=\(step(run.clockStep))")
    }

    private static func row(_ producer: ProducerEntry) -> (String, String) {
        ("producer:" + producer.name, "last=\(producer.number) step=\(step(producer.step))")
    }

    private static func step(_ step: Int64) -> String { step < 0 ? "-" : "\(step)" }
}

/// `CLOCKSET` sets the last step of a collection, to undo a mistake.
enum ClockSet {
    static let verb = Verb(
        VerbSyntax("CLOCKSET", [.collection, .step]),
        "set the collection's last step, to undo a mistake: counts and gaps stay",
        example: "CLOCKSET songs 1041",
        access: .admin,
        .write { (request) throws(WireError) in
            guard let step = request[.step] else {
                throw WireError(.badRequest, "got -, expected the last step")
            }
            return .setClock(collection: request[.collection], step: step)
        }
    )
}
