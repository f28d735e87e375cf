package import NIOCore
import PackedStrings

/// Spells replies as lines.
///
/// A reply may be written in one go, or as a header and then its rows block by block: a request for thousands of ids is
/// answered in slices, so that other connections get their turn.
package struct ReplyWriter: Sendable {
    package var vectorFormat = VectorText.Format.text

    package var replyBytesMax: Int

    package init(replyBytesMax: Int = Limits().replyBytesMax) {
        self.replyBytesMax = replyBytesMax
    }

    /// Appends the reply. One that would be longer than `replyBytesMax` becomes the error that says so.
    package func write(_ reply: Reply, into buffer: inout ByteBuffer) {
        switch reply {
        case .rows(let block):
            let start = buffer.writerIndex
            beginRows(count: block.count, into: &buffer)
            if !write(block, into: &buffer, start: start) { writeTooLong(into: &buffer, start: start) }
        case .failure(let error):
            write(error, into: &buffer)
        }
    }

    package func write(_ error: WireError, into buffer: inout ByteBuffer) {
        buffer.writeStaticString("ERR ")
        buffer.writeString(error.code.rawValue)
        buffer.writeInteger(UInt8(ascii: " "))
        buffer.writeString(Self.singleLine(error.message))
        buffer.writeInteger(UInt8(ascii: "\n"))
    }

    /// Writes the header of a reply whose rows follow.
    package func beginRows(count: Int, into buffer: inout ByteBuffer) {
        buffer.writeText(atMost: 24) { cursor in
            cursor.text("OK ")
            cursor.integer(Int64(count))
            cursor.byte(UInt8(ascii: "\n"))
        }
    }

    /// Appends rows to the reply that began at `start`. False, and not all of them were written, if it gets too long.
    package func write(_ block: RowBlock, into buffer: inout ByteBuffer, start: Int) -> Bool {
        guard block.count > 0 else { return true }
        var pins: [ColumnPin] = []
        pins.reserveCapacity(block.columns.count)
        return withPins(block.columns[...], &pins) { pins in
            writeRows(&pins, count: block.count, into: &buffer, start: start)
        }
    }

    /// Rows are written into reserved memory: it is asked for once for many rows.
    private func writeRows(
        _ pins: inout [ColumnPin],
        count: Int,
        into buffer: inout ByteBuffer,
        start: Int
    ) -> Bool {
        let chunkBytes = 1 << 14
        return pins.withUnsafeMutableBufferPointer { pins in
            PowersOfTen.table.withUnsafeBufferPointer { powers in
                var row = 0
                while row < count {
                    let rowBytesMax = Self.rowBytesMax(pins, row)
                    let isLast = row == count - 1
                    buffer.writeText(atMost: isLast ? rowBytesMax : max(rowBytesMax, chunkBytes)) { cursor in
                        let end = cursor.next + max(rowBytesMax, isLast ? 0 : chunkBytes)
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

    /// Calls `body` with the memory of all columns held still.
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

    /// Takes the reply that began at `start` back, and says instead that it is too long.
    package func writeTooLong(into buffer: inout ByteBuffer, start: Int) {
        buffer.moveWriterIndex(to: start)
        write(.replyTooLong(bytesMax: replyBytesMax), into: &buffer)
    }

    /// `text` if it fits on one line, which ours all do; with controls replaced if it came from elsewhere.
    static func singleLine(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { return text }
        return String(
            String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? "?" : $0 })
        )
    }
}
