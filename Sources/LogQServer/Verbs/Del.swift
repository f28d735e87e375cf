import ItemStore
import NIOCore
import PackedStrings
import WireProtocol

/// `DEL` removes embedding, features and statistics of ids. For each id it returns whether there was anything to
/// remove.
enum Del {
    static let verb = Verb(
        VerbSyntax("DEL", [.collection], tail: [.ids]),
        "remove embedding, features and statistics of ids",
        example: "DEL songs yesterday",
        access: .write,
        .change(delete)
    )

    private static func delete(_ request: Request, _ services: Services) throws(WireError) -> Change {
        let ids = request[.ids]
        let answerByteCount = try Change.answerByteCount(ids, rowBytes: 3, services)
        var change = Change(.delete(collection: request[.collection], ids: ids))
        change.answerByteCount = answerByteCount
        change.rows = { outcome in
            guard case .deleted(let flags) = outcome else { return nil }
            return (ids, Lookup(Rows(wereThere: flags), rowBytes: 64))
        }
        return change
    }

    private struct Rows: LookupRows {
        let wereThere: [Bool]

        func write(_ range: Range<Int>, of ids: PackedStrings, _ encoding: RowEncoding, into buffer: inout ByteBuffer) {
            for index in range {
                ids.withString(index) { id in
                    encoding.writeRow(RowShape(2), textBytesMax: IDText.textBytesMax(id.count), into: &buffer) { row in
                        row.id(id)
                        row.flag(wereThere[index])
                    }
                }
            }
        }
    }
}
