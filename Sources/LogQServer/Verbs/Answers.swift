import ItemStore
import PackedStrings
import WireProtocol

/// The state that the requests of one connection can change.
struct Session {
    /// The verbs that the connection may use.
    var dialect: Dialect
    var replies: any ReplyWriter
    /// The number of the connection, from 1, and the name that the client gave it.
    let number: Int64
    var name = ""
    /// Whether the connection ends once all requests so far are answered.
    var isEnding = false
}

/// Rows that a verb reads all at once.
struct Page {
    let rows: RowBlock
    /// The cost of reading, counted in rows. A `SCAN` that finds no rows may still visit many chunks.
    let work: Int

    init(_ rows: RowBlock, work: Int? = nil) {
        self.rows = rows
        self.work = work ?? rows.count
    }
}

/// A reply with a row for each id. Thousands of rows are written in slices, and other connections get their turn
/// between two slices.
struct Lookup {
    /// Returns the columns of a range of rows. `ids` is the column of their ids, which comes first in every row.
    typealias Columns = (Range<Int>, _ ids: Column) -> [Column]

    private let ids: PackedStrings
    /// The number of rows in a slice, which should take about a millisecond.
    let rowsPerSlice: Int
    private let columns: Columns
    /// About how long the reply is in bytes.
    let byteCount: Int

    init(_ ids: PackedStrings, rowBytes: Int = 32, rowsPerSlice: Int, columns: @escaping Columns) {
        self.ids = ids
        self.rowsPerSlice = rowsPerSlice
        byteCount = ids.byteCount + ids.count * rowBytes
        self.columns = columns
    }

    /// Chooses the slices for rows of about `rowBytes` bytes of text.
    init(_ ids: PackedStrings, rowBytes: Int, columns: @escaping Columns) {
        let sliceBytes = 1 << 18
        let rowsPerSlice = Self.rowsPerSlice(sliceBytes / max(1, rowBytes))
        self.init(ids, rowBytes: rowBytes, rowsPerSlice: rowsPerSlice, columns: columns)
    }

    var rowCount: Int { ids.count }

    func rows(_ range: Range<Int>) -> RowBlock {
        RowBlock(count: range.count, columns(range, Column(.ids(ids, from: range.lowerBound))))
    }

    /// `count`, bounded so that a slice is neither too small to be worth its cost nor too long for one turn. The arrays
    /// of a slice also stay below 128 KiB. From there on glibc gives their pages back after each slice, and LOGQ of
    /// 4,096 ids took 65 page faults.
    static func rowsPerSlice(_ count: Int) -> Int { max(16, min(1_024, count)) }
}

/// A write, and how to reply with its outcome.
struct Change: Sendable {
    typealias Rows = @Sendable (WriteOutcome) -> Lookup?

    let write: Write
    /// The approximate number of bytes that the outcome and its rows hold until they are sent.
    var answerByteCount = 0
    /// The rows of a successful outcome. Nil if the reply has no rows.
    var rows: Rows?

    init(_ write: Write) {
        self.write = write
    }

    /// The most bytes of a reply that has a row for each id, with at most `rowBytes` bytes a row besides the id.
    ///
    /// Throws `LIMIT` if the reply may be too long. This is checked before the write, because a write that was applied
    /// cannot be answered with an error.
    static func answerByteCount(
        _ ids: PackedStrings,
        rowBytes: Int,
        _ services: Services
    ) throws(WireError) -> Int {
        let byteCount = 16 + IDText.textByteCount(of: ids) + ids.count * rowBytes
        guard byteCount <= services.limits.replyBytesMax else {
            let got = "got ids whose reply may take \(byteCount) bytes"
            throw WireError(.limit, "\(got), expected at most \(services.limits.replyBytesMax): send fewer")
        }
        return byteCount
    }
}
