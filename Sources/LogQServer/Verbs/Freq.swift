import ItemStore
import NIOCore
import PackedStrings
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
        return Lookup(Rows(collection: collection, batch: request[LogQ.batch]), rowBytes: 256)
    }

    private struct Rows: LookupRows {
        let collection: Collection
        let batch: Int?

        func write(_ range: Range<Int>, of ids: PackedStrings, _ encoding: RowEncoding, into buffer: inout ByteBuffer) {
            let batch = batch.map { Double($0) }
            collection.forEachEstimate(of: ids, range) { id, estimate in
                let bytesMax = IDText.textBytesMax(id.count) + 7 * RowCursor.numberBytesMax
                encoding.writeRow(RowShape(1, labeled: 7), textBytesMax: bytesMax, into: &buffer) { row in
                    row.id(id)
                    row.number(estimate.q, label: "q")
                    row.number(estimate.p, label: "p")
                    row.number(batch.map(estimate.expected(batch:)) ?? .nan, label: "expected")
                    row.number(estimate.gap ?? .nan, label: "gap")
                    row.number(estimate.count, label: "count")
                    row.integer(estimate.lastStep ?? -1, label: "last")
                    row.word(estimate.state.word, label: "state")
                }
            }
        }
    }
}
