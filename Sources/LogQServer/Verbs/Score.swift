import ItemStore
import NIOCore
import PackedStrings
import VectorIndex
import WireProtocol

/// `SCORE` scores ids against a vector.
enum Score {
    static let verb = Verb(
        VerbSyntax("SCORE", [.collection], tail: [.vector, .ids]),
        "scores of ids",
        example: "SCORE songs [0.1,0.2] yesterday help!",
        access: .read,
        .lookup(score)
    )

    private static func score(_ request: Request, _ services: Services) throws(WireError) -> Lookup {
        let collection = try services.collection(named: request[.collection])
        let query = try QueryVector(request[.vector], for: collection)
        let rowsPerSlice = Lookup.rowsPerSlice((1 << 20) / max(1, query.dimension))
        return Lookup(Rows(collection: collection, query: query), rowBytes: 32, rowsPerSlice: rowsPerSlice)
    }

    private struct Rows: LookupRows {
        let collection: Collection
        let query: QueryVector

        func write(_ range: Range<Int>, of ids: PackedStrings, _ encoding: RowEncoding, into buffer: inout ByteBuffer) {
            collection.forEachScore(of: ids, range, against: query) { id, score in
                let bytesMax = IDText.textBytesMax(id.count) + RowCursor.numberBytesMax
                encoding.writeRow(RowShape(2), textBytesMax: bytesMax, into: &buffer) { row in
                    row.id(id)
                    row.number(score ?? .nan)
                }
            }
        }
    }
}

extension QueryVector {
    /// Throws `DIM` or `BADVECTOR` if the collection cannot score the vector.
    init(_ vector: [Float], for collection: Collection) throws(WireError) {
        do throws(StoreError) {
            try collection.configuration.check(vector, as: .query)
        } catch {
            throw WireError(error)
        }
        self.init(vector, metric: collection.configuration.metric)
    }
}
