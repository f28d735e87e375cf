import NIOCore

extension ReplyWriter {
    /// Writes one row.
    typealias RowWriting = (
        _ pins: UnsafeMutableBufferPointer<ColumnPin>,
        _ row: Int,
        _ cursor: inout TextCursor,
        _ powers: UnsafePointer<PowersOfTen.Entry>
    ) -> Void

    /// Writes the rows with `writeRow`, and reserves memory once for many rows. `rowBytesMax` and `valueBytesMax` are
    /// the most bytes that a row, and a value of it, take besides the texts of the values.
    @inline(__always)
    func writeInPieces(
        _ rows: RowBlock,
        into buffer: inout ByteBuffer,
        start: Int,
        rowBytesMax: Int,
        valueBytesMax: Int,
        _ writeRow: RowWriting
    ) -> Bool {
        guard rows.count > 0 else { return true }
        let fixedBytesMax = rowBytesMax + valueBytesMax * rows.columns.count
        var pins: [ColumnPin] = []
        pins.reserveCapacity(rows.columns.count)
        return withPins(rows.columns[...], &pins) { pins in
            pins.withUnsafeMutableBufferPointer { pins in
                PowersOfTen.table.withUnsafeBufferPointer { powers in
                    writePieces(rows.count, into: &buffer, start: start, pins, fixedBytesMax) {
                        writeRow(pins, $0, &$1, powers.baseAddress!)
                    }
                }
            }
        }
    }

    @inline(__always)
    private func writePieces(
        _ count: Int,
        into buffer: inout ByteBuffer,
        start: Int,
        _ pins: UnsafeMutableBufferPointer<ColumnPin>,
        _ fixedBytesMax: Int,
        _ writeRow: (_ row: Int, _ cursor: inout TextCursor) -> Void
    ) -> Bool {
        let pieceBytes = 1 << 14
        var row = 0
        while row < count {
            let rowBytesMax = fixedBytesMax + textBytesMax(pins, row)
            let isLast = row == count - 1
            buffer.writeText(atMost: isLast ? rowBytesMax : max(rowBytesMax, pieceBytes)) { cursor in
                let end = cursor.next + max(rowBytesMax, isLast ? 0 : pieceBytes)
                var rowBytesMax = rowBytesMax
                repeat {
                    writeRow(row, &cursor)
                    row += 1
                    guard row < count else { return }
                    rowBytesMax = fixedBytesMax + textBytesMax(pins, row)
                } while end - cursor.next >= rowBytesMax
            }
            guard buffer.writerIndex - start <= replyBytesMax else { return false }
        }
        return true
    }

    @inline(__always)
    private func textBytesMax(_ pins: UnsafeMutableBufferPointer<ColumnPin>, _ row: Int) -> Int {
        var count = 0
        for index in pins.indices { count += pins[index].bytesMax(row) }
        return count
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
}
