import ItemStore
import NIOCore
import PackedStrings
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
        // A number has about 12 bytes of text.
        return Lookup(Rows(collection: collection), rowBytes: collection.configuration.dimension * 12)
    }

    private struct Rows: LookupRows {
        let collection: Collection

        func write(_ range: Range<Int>, of ids: PackedStrings, _ encoding: RowEncoding, into buffer: inout ByteBuffer) {
            let vectorBytesMax = encoding.vectorBytesMax(dimension: collection.configuration.dimension)
            collection.forEachEmbedding(of: ids, range) { id, vector in
                let bytesMax = IDText.textBytesMax(id.count) + vectorBytesMax
                encoding.writeRow(RowShape(2), textBytesMax: bytesMax, into: &buffer) { row in
                    row.id(id)
                    row.vector(vector)
                }
            }
        }
    }
}
