import ItemStore
import WireProtocol

/// `SCAN` returns one page of the rows that have an embedding.
enum Scan {
    static let after = OptionKey<UInt32>(
        "after",
        .integer(0...UInt32.max),
        "row",
        help: "only rows above this one: the last of the page before"
    )
    static let limit = DefaultedOptionKey<Int>(
        "limit",
        .integer(1...Limits.scanRowsMax, isLimited: true),
        default: Limits.scanRowsDefault
    ) {
        "rows a page, 1 to \(Limits.scanRowsMax), default \($0)"
    }

    static let verb = Verb(
        VerbSyntax("SCAN", [.collection], options: [after, limit]),
        "page through the ids that have an embedding",
        example: "SCAN songs after=999 limit=1000",
        access: .read,
        .read(scan)
    )

    private static func scan(_ request: Request, _ services: Services) throws(WireError) -> Page {
        let collection = try services.collection(named: request[.collection])
        let page = collection.scan(after: request[after], limit: request[limit])
        let columns = [Column(.integers(page.rows.map { Int64($0) })), Column(.ids(page.ids))]
        return Page(RowBlock(count: page.rows.count, columns), work: page.rows.count + page.chunkCount)
    }
}
