package import NIOCore

/// Writes replies as lines: `OK` and the number of rows, then one line for each row, or `ERR`, a code and a message.
package struct LineReplyWriter: ReplyWriter {
    package var encoding = RowEncoding(framing: .lines)
    package let replyBytesMax: Int

    package init(replyBytesMax: Int = Limits().replyBytesMax) {
        self.replyBytesMax = replyBytesMax
    }

    package func write(_ error: WireError, into buffer: inout ByteBuffer) {
        buffer.writeStaticString("ERR ")
        buffer.writeString(error.code.rawValue)
        buffer.writeInteger(UInt8(ascii: " "))
        buffer.writeString(Self.singleLine(error.message))
        buffer.writeInteger(UInt8(ascii: "\n"))
    }

    package func beginRows(count: Int, into buffer: inout ByteBuffer) {
        buffer.writeText(atMost: 24) { cursor in
            cursor.text("OK ")
            cursor.integer(Int64(count))
            cursor.byte(UInt8(ascii: "\n"))
        }
    }

    /// `text` with `?` in place of every control character, so that it fits on one line. The server's own messages have
    /// no control characters.
    static func singleLine(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { return text }
        return String(
            String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? "?" : $0 })
        )
    }
}
