package import NIOCore

/// Writes replies as RESP: version 2, or version 3 after `HELLO 3`.
///
/// A reply is an array with an element for each row. A row of one column is the column's value. A longer row is an
/// array of its values, of which those with a label are together one map at its end. A verb that never has rows answers
/// `+OK`. RESP2 has neither maps, numbers, booleans nor a null of its own: a map is an array of names and values, a
/// number is a text, a flag is an integer, and a null is a text of length −1.
package struct RESPReplyWriter: ReplyWriter {
    package enum Version: Int, Sendable {
        case two = 2
        case three = 3
    }

    package var encoding = RowEncoding(framing: .resp2)
    package let replyBytesMax: Int

    package var version: Version {
        get { encoding.framing == .resp3 ? .three : .two }
        set { encoding.framing = newValue == .three ? .resp3 : .resp2 }
    }

    package init(replyBytesMax: Int = Limits().replyBytesMax) {
        self.replyBytesMax = replyBytesMax
    }

    package func write(_ error: WireError, into buffer: inout ByteBuffer) {
        buffer.writeString("-\(error.code.rawValue) \(LineReplyWriter.singleLine(error.message))\r\n")
    }

    package func beginRows(count: Int, into buffer: inout ByteBuffer) {
        writeHeader("*", count, into: &buffer)
    }

    package func write(_ rows: RowBlock, into buffer: inout ByteBuffer) {
        switch rows.shape {
        case .rows where rows.columns.isEmpty: buffer.writeStaticString("+OK\r\n")
        case .rows: writeAsRows(rows, into: &buffer)
        case .map: write(.map(rows.namesAndValues.map { ($0.0, .text($0.1)) }), into: &buffer)
        case .properties: write(.text(rows.properties), into: &buffer)
        case .value(let value): write(value, into: &buffer)
        }
    }

    // MARK: Values

    private func write(_ value: ReplyValue, into buffer: inout ByteBuffer) {
        switch value {
        case .status(let word):
            buffer.writeString("+\(word)\r\n")
        case .text(let text):
            write(.bytes(Array(text.utf8)), into: &buffer)
        case .bytes(let bytes):
            writeHeader("$", bytes.count, into: &buffer)
            buffer.writeBytes(bytes)
            buffer.writeStaticString("\r\n")
        case .integer(let integer):
            buffer.writeString(":\(integer)\r\n")
        case .list(let values):
            writeHeader("*", values.count, into: &buffer)
            for value in values { write(value, into: &buffer) }
        case .map(let entries):
            buffer.writeText(atMost: TextCursor.headerBytesMax) { $0.mapHeader(entries.count, encoding.framing) }
            for (name, value) in entries {
                write(.text(name), into: &buffer)
                write(value, into: &buffer)
            }
        case .null:
            buffer.writeText(atMost: TextCursor.headerBytesMax) { $0.null(encoding.framing) }
        }
    }

    private func writeHeader(_ mark: Unicode.Scalar, _ count: Int, into buffer: inout ByteBuffer) {
        buffer.writeText(atMost: TextCursor.headerBytesMax) { $0.header(mark, count) }
    }
}

extension RowBlock {
    /// The rows of two columns of texts.
    fileprivate var namesAndValues: [(String, String)] {
        guard columns.count == 2, case .texts(let names) = columns[0].values,
            case .texts(let values) = columns[1].values
        else { preconditionFailure("a map has two columns of texts") }
        return Array(zip(names, values))
    }

    /// Lines `name:value`. A colon in a name becomes `_`, because clients split a line at its first colon.
    fileprivate var properties: String {
        namesAndValues.map { name, value in
            let name = String(name.map { $0 == ":" ? "_" : $0 })
            return "\(name):\(LineReplyWriter.singleLine(value))\r\n"
        }.joined()
    }
}
