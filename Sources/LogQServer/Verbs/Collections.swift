import ItemStore
import SamplingFrequency
import VectorIndex
import WireProtocol

/// `COLLECTIONS` lists the collections with their configurations and sizes.
enum Collections {
    static let verb = Verb(
        VerbSyntax("COLLECTIONS"),
        "list the collections",
        example: "COLLECTIONS",
        access: .read,
        .read { _, services in Page(rows(services)) }
    )

    private static func rows(_ services: Services) -> RowBlock {
        let named = services.store.collections()
        let all = named.map(\.collection)
        let configurations = all.map(\.configuration)
        /// One integer for each collection. A collection without a value gets −1, which is written `-`.
        func integers(_ value: (CollectionConfiguration) -> Int?) -> Column.Values {
            .integers(configurations.map { configuration in value(configuration).map { Int64($0) } ?? -1 })
        }
        return RowBlock(
            count: all.count,
            [
                Column(.texts(named.map(\.name))),
                Column(integers(\.dimension), label: "dim"),
                Column(.texts(configurations.map(\.metric.rawValue)), label: "metric"),
                Column(.numbers(configurations.map(\.alpha)), label: "alpha"),
                Column(.integers(all.map { Int64($0.itemCount) }), label: "items"),
                Column(.integers(all.map { Int64($0.idCount) }), label: "ids"),
                Column(.numbers(configurations.map { $0.halfLife ?? .nan }), label: "half_life"),
                Column(integers(\.recentCount), label: "recent"),
                Column(integers(\.idCountMax), label: "max_ids"),
                Column(integers(\.sketch?.bucketCount), label: "buckets"),
                Column(integers(\.sketch?.hashCount), label: "hashes"),
            ]
        )
    }
}
