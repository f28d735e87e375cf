package import NIOCore

/// Writes replies as lines: `OK` and the number of rows, then one line for each row, or `ERR`, a code and a message.
package struct LineReplyWriter: ReplyWriter {
    package var vectorFormat = VectorText.Format.text
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

    package func writeRows(_ rows: RowBlock, into buffer: inout ByteBuffer, start: Int) -> Bool {
        guard rows.count > 0 else { return true }
        var pins: [ColumnPin] = []
        pins.reserveCapacity(rows.columns.count)
        return withPins(rows.columns[...], &pins) { pins in
            write(&pins, count: rows.count, into: &buffer, start: start)
        }
    }

    /// Writes the rows. It reserves memory once for many rows.
    private func write(
        _ pins: inout [ColumnPin],
        count: Int,
        into buffer: inout ByteBuffer,
        start: Int
    ) -> Bool {
        let pieceBytes = 1 << 14
        return pins.withUnsafeMutableBufferPointer { pins in
            PowersOfTen.table.withUnsafeBufferPointer { powers in
                var row = 0
                while row < count {
                    let rowBytesMax = Self.rowBytesMax(pins, row)
                    let isLast = row == count - 1
                    buffer.writeText(atMost: isLast ? rowBytesMax : max(rowBytesMax, pieceBytes)) { cursor in
                        let end = cursor.next + max(rowBytesMax, isLast ? 0 : pieceBytes)
                        var rowBytesMax = rowBytesMax
                        repeat {
                            writeRow(pins, row, &cursor, powers.baseAddress!)
                            row += 1
                            guard row < count else { return }
                            rowBytesMax = Self.rowBytesMax(pins, row)
                        } while end - cursor.next >= rowBytesMax
                    }
                    guard buffer.writerIndex - start <= replyBytesMax else { return false }
                }
                return true
            }
        }
    }

    @inline(__always)
    private static func rowBytesMax(_ pins: UnsafeMutableBufferPointer<ColumnPin>, _ row: Int) -> Int {
        var count = 1
        for index in pins.indices { count += pins[index].bytesMax(row) }
        return count
    }

    @inline(__always)
    private func writeRow(
        _ pins: UnsafeMutableBufferPointer<ColumnPin>,
        _ row: Int,
        _ cursor: inout TextCursor,
        _ powers: UnsafePointer<PowersOfTen.Entry>
    ) {
        for index in pins.indices {
            if index > 0 { cursor.byte(UInt8(ascii: " ")) }
            pins[index].write(row, &cursor, vectorFormat, powers)
        }
        cursor.byte(UInt8(ascii: "\n"))
    }

    /// Calls `body` with the memory of all columns pinned.
    private func withPins<R>(
        _ columns: ArraySlice<Column>,
        _ pins: inout [ColumnPin],
        _ body: (inout [ColumnPin]) -> R
    ) -> R {
        guard let column = columns.first else { return body(&pins) }
        return column.withPin { pin in
            pins.append(pin)
            return withPins(columns.dropFirst(), &pins, body)
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
