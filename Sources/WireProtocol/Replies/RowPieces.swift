package import NIOCore

extension RowEncoding {
    /// Appends rows. Returns false if they get longer than `bytesMax`; some of them may then be missing.
    package func writeRows(
        _ rows: RowBlock,
        into buffer: inout ByteBuffer,
        bytesMax: Int = .max
    ) -> Bool {
        guard rows.count > 0 else { return true }
        let labelCount = rows.columns.count { $0.label != nil }
        let shape = RowShape(rows.columns.count - labelCount, labeled: labelCount)
        var pins: [ColumnPin] = []
        pins.reserveCapacity(rows.columns.count)
        return withPins(rows.columns[...], &pins) { pins in
            pins.withUnsafeMutableBufferPointer { pins in
                writePieces(rows.count, shape, pins, into: &buffer, bytesMax: bytesMax)
            }
        }
    }

    /// Reserves memory once for many rows.
    private func writePieces(
        _ count: Int,
        _ shape: RowShape,
        _ pins: UnsafeMutableBufferPointer<ColumnPin>,
        into buffer: inout ByteBuffer,
        bytesMax: Int
    ) -> Bool {
        let pieceBytes = 1 << 14
        let fixedBytesMax = RowCursor.bytesMax(shape)
        let start = buffer.writerIndex
        var row = 0
        while row < count {
            let rowBytesMax = fixedBytesMax + textBytesMax(pins, row)
            let isLast = row == count - 1
            buffer.writeText(atMost: isLast ? rowBytesMax : max(rowBytesMax, pieceBytes)) { text in
                let end = text.next + max(rowBytesMax, isLast ? 0 : pieceBytes)
                var rowBytesMax = rowBytesMax
                repeat {
                    var cursor = RowCursor(text, self, shape)
                    for index in pins.indices { pins[index].write(row, &cursor) }
                    text = cursor.end()
                    row += 1
                    guard row < count else { return }
                    rowBytesMax = fixedBytesMax + textBytesMax(pins, row)
                } while end - text.next >= rowBytesMax
            }
            guard buffer.writerIndex - start <= bytesMax else { return false }
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
