import ItemStore
import NIOCore
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

/// Writes the rows of a lookup, one for each id, straight into the reply.
protocol LookupRows {
    /// Appends the rows of a range of `ids`.
    func write(_ range: Range<Int>, of ids: PackedStrings, _ encoding: RowEncoding, into buffer: inout ByteBuffer)
}

/// A reply with a row for each id. Thousands of rows are written in slices, and other connections get their turn
/// between two slices.
struct Lookup {
    let rows: any LookupRows
    /// The number of rows in a slice, which should take about a millisecond.
    let rowsPerSlice: Int
    private let rowBytes: Int

    /// `rowBytes` is about the length of a row without its id.
    init(_ rows: some LookupRows, rowBytes: Int, rowsPerSlice: Int) {
        self.rows = rows
        self.rowBytes = rowBytes
        self.rowsPerSlice = rowsPerSlice
    }

    /// Chooses the slices for rows of about `rowBytes` bytes of text.
    init(_ rows: some LookupRows, rowBytes: Int) {
        let sliceBytes = 1 << 18
        self.init(rows, rowBytes: rowBytes, rowsPerSlice: Self.rowsPerSlice(sliceBytes / max(1, rowBytes)))
    }

    /// About how long the reply is in bytes.
    func byteCount(of ids: PackedStrings) -> Int {
        ids.byteCount + ids.count * rowBytes
    }

    /// `count`, bounded so that a slice is neither too small to be worth its cost nor too long for one turn.
    static func rowsPerSlice(_ count: Int) -> Int { max(16, min(1_024, count)) }
}

/// A write, and how to reply with its outcome.
struct Change: Sendable {
    typealias Rows = @Sendable (WriteOutcome) -> (PackedStrings, Lookup)?

    let write: Write
    /// The approximate number of bytes that the outcome and its rows hold until they are sent.
    var answerByteCount = 0
    /// The ids of a successful outcome, and their rows. Nil if the reply has no rows.
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
