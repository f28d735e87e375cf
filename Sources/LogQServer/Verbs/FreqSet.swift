import ItemStore
import WireProtocol

/// `FREQSET` sets estimates that a trainer computed itself.
enum FreqSet {
    static let verb = Verb(
        VerbSyntax("FREQSET", [.collection, .step], options: [Observe.run, Observe.jump], tail: [.estimates]),
        "set a trainer's own estimates; - leaves a gap or a count as it is",
        example: "FREQSET songs 1041 yesterday 2.5 417 help! 80 -",
        access: .write,
        .write { request in
            let estimates = request[.estimates]
            return .setFrequencies(
                collection: request[.collection],
                step: Observe.requestedStep(request),
                ids: estimates.ids,
                gaps: estimates.gaps,
                counts: estimates.counts
            )
        }
    )
}
