import ItemStore
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
            return Lookup(ids, rowBytes: 64) { [$1, Column(.flags(Array(flags[$0])))] }
        }
        return change
    }
}
