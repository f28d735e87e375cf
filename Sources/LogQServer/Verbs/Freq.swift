import ItemStore
import SamplingFrequency
import WireProtocol

/// `FREQ` reads the statistics and sampling frequencies of ids.
enum Freq {
    static let verb = Verb(
        VerbSyntax("FREQ", [.collection], options: [LogQ.batch], tail: [.ids]),
        "all that is known of the frequencies of ids",
        example: "FREQ songs batch=1024 yesterday",
        access: .read,
        .lookup(frequencies)
    )

    private static func frequencies(_ request: Request, _ services: Services) throws(WireError) -> Lookup {
        let collection = try services.collection(named: request[.collection])
        let batch = request[LogQ.batch].map { Double($0) }
        let ids = request[.ids]
        return Lookup(ids, rowBytes: 256) {
            let estimates = collection.frequencies(of: ids, $0)
            return [
                $1,
                Column(.numbers(estimates.map(\.q)), label: "q"),
                Column(.numbers(estimates.map(\.p)), label: "p"),
                Column(
                    .numbers(estimates.map { estimate in batch.map(estimate.expected(batch:)) ?? .nan }),
                    label: "expected"
                ),
                Column(.numbers(estimates.map { $0.gap ?? .nan }), label: "gap"),
                Column(.numbers(estimates.map(\.count)), label: "count"),
                Column(.integers(estimates.map { $0.lastStep ?? -1 }), label: "last"),
                Column(states: estimates, label: "state"),
            ]
        }
    }
}
