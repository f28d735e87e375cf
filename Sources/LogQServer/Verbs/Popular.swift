import ItemStore
import PackedStrings
import WireProtocol

/// `POPULAR` returns a page of the ids, in the order of their counts.
enum Popular {
    static let count = VerbArgument.count("n") { _ in Limits.scanRowsMax }
    static let after = OptionKey<CountedRow>(
        "after",
        .countedRow,
        help: "only rows after this one: the last of the page before, as id,count,step"
    )
    static let timeout = OptionKey.timeout("t", "give up after so many milliseconds")

    static let verb = Verb(
        VerbSyntax("POPULAR", [.collection, count], options: [after, timeout]),
        "page through all ids by count, the highest first, with or without an embedding",
        example: "POPULAR songs 100 after=help!,9,200",
        access: .read,
        .query(list)
    )

    private static func list(_ request: Request, _ services: Services) throws(WireError) -> QueuedQuery {
        let collection = try services.collection(named: request[.collection])
        let question = PopularQuery(
            count: request[count],
            after: request[after].map { PopularQuery.Place(id: $0.id, count: $0.count, step: $0.step) }
        )
        // At most three bytes for each byte of the id, and 64 for count, step and separators.
        let rowBytes = Limits.idBytesMax * 3 + 64
        let replyBytes = min(min(question.count, collection.idCount) * rowBytes, services.limits.replyBytesMax)
        let listing = Listing(
            collection: collection,
            question: question,
            timeoutMilliseconds: request[timeout] ?? services.configuration.queryTimeoutMilliseconds,
            answerByteCount: max(replyBytes, question.selectionByteCount(in: collection)),
            rows: { answer in
                let steps = [Int64](repeating: answer.step ?? -1, count: answer.ids.count)
                let columns = [Column(.ids(answer.ids)), Column(.numbers(answer.counts)), Column(.integers(steps))]
                return RowBlock(count: answer.ids.count, columns)
            }
        )
        return .listing(listing)
    }
}
