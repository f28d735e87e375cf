package import NIOCore

/// Writes replies in the encoding of a connection. Verbs produce only rows and errors, so another encoding would change
/// no verb.
///
/// A reply may be written at once, or as a header and then blocks of rows. The server answers a request for thousands
/// of ids in blocks, so that other connections get their turn.
package protocol ReplyWriter: Sendable {
    /// How rows are written.
    var encoding: RowEncoding { get set }

    /// The longest reply, header and rows together.
    var replyBytesMax: Int { get }

    func write(_ error: WireError, into buffer: inout ByteBuffer)

    /// Writes the header of a reply that has `count` rows.
    func beginRows(count: Int, into buffer: inout ByteBuffer)

    /// Appends a whole reply. A reply longer than `replyBytesMax` is replaced by a `LIMIT` error.
    func write(_ rows: RowBlock, into buffer: inout ByteBuffer)
}

extension ReplyWriter {
    /// The fewest bytes of a row that has a vector: an id of one byte, two separators, and the shortest vector.
    package func leastRowBytes(dimension: Int) -> Int {
        3 + VectorText.textBytesMin(dimension: dimension, encoding.vectorFormat)
    }

    package func write(_ rows: RowBlock, into buffer: inout ByteBuffer) {
        writeAsRows(rows, into: &buffer)
    }

    func writeAsRows(_ rows: RowBlock, into buffer: inout ByteBuffer) {
        let start = buffer.writerIndex
        beginRows(count: rows.count, into: &buffer)
        if !encoding.writeRows(rows, into: &buffer, bytesMax: replyBytesMax - (buffer.writerIndex - start)) {
            replaceByTooLong(in: &buffer, start: start)
        }
    }

    /// Replaces the reply that began at `start` by the error for a reply that is too long.
    package func replaceByTooLong(in buffer: inout ByteBuffer, start: Int) {
        buffer.moveWriterIndex(to: start)
        write(.replyTooLong(bytesMax: replyBytesMax), into: &buffer)
    }
}
