import ItemStore
import WireProtocol

/// `GET` reads embeddings.
enum Get {
    static let verb = Verb(
        VerbSyntax("GET", [.collection], tail: [.ids]),
        "embeddings",
        example: "GET songs yesterday help!",
        access: .read,
        .lookup(get)
    )

    private static func get(_ request: Request, _ services: Services) throws(WireError) -> Lookup {
        let collection = try services.collection(named: request[.collection])
        let dimension = collection.configuration.dimension
        let ids = request[.ids]
        // A number has about 12 bytes of text.
        return Lookup(ids, rowBytes: dimension * 12) {
            let column = collection.embeddings(of: ids, $0)
            return [$1, Column(.vectors(column.values, dimension: dimension, isPresent: column.isPresent))]
        }
    }
}
