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
        var vectorsSeen = [Int](repeating: 0, count: block.columns.count)
        for row in 0..<block.count {
            for (index, column) in block.columns.enumerated() {
                write(column, row: row, isFirst: index == 0, vectorsSeen: &vectorsSeen[index], into: &buffer)
            }
            buffer.writeInteger(UInt8(ascii: "\n"))
            guard buffer.writerIndex - start <= replyBytesMax else { return false }
        }
        return true
    }

    /// Takes the reply that began at `start` back, and says instead that it is too long.
    package func writeTooLong(into buffer: inout ByteBuffer, start: Int) {
        buffer.moveWriterIndex(to: start)
        write(
            WireError(.limit, "got a reply of more than \(replyBytesMax) bytes, expected at most that: ask for less"),
            into: &buffer
        )
    }

    private func write(
        _ column: Column,
        row: Int,
        isFirst: Bool,
        vectorsSeen: inout Int,
        into buffer: inout ByteBuffer
    ) {
        if !isFirst { buffer.writeInteger(UInt8(ascii: " ")) }
        if let label = column.label {
            buffer.writeStaticString(label)
            buffer.writeInteger(UInt8(ascii: "="))
        }
        switch column.values {
        case .ids(let ids, let from):
            ids.withString(from + row) { id in
                buffer.writeText(atMost: IDText.textBytesMax(id.count)) { $0.id(id) }
            }
        case .vectors(let values, let dimension, let isPresent):
            guard isPresent?[row] ?? true else { return writeDash(into: &buffer) }
            let start = vectorsSeen * dimension
            vectorsSeen += 1
            buffer.writeText(atMost: VectorText.textBytesMax(dimension: dimension)) { cursor in
                values.withUnsafeBufferPointer { all in
                    cursor.vector(UnsafeBufferPointer(rebasing: all[start..<(start + dimension)]), format: vectorFormat)
                }
            }
        case .numbers(let numbers):
            guard !numbers[row].isNaN else { return writeDash(into: &buffer) }
            buffer.writeText(atMost: TextCursor.doubleBytesMax) { $0.number(numbers[row]) }
        case .integers(let integers):
            guard integers[row] >= 0 else { return writeDash(into: &buffer) }
            buffer.writeText(atMost: 20) { $0.integer(integers[row]) }
        case .flags(let flags):
            buffer.writeInteger(flags[row] ? UInt8(ascii: "1") : UInt8(ascii: "0"))
        case .choices(let choices, let words):
            buffer.writeStaticString(words[Int(choices[row])])
        case .json(let texts, let isPresent):
            guard isPresent?[row] ?? true else { return writeDash(into: &buffer) }
            texts.withString(row) { _ = buffer.writeBytes($0) }
        case .texts(let texts):
            buffer.writeString(Self.singleLine(texts[row]))
        }
    }

    private func writeDash(into buffer: inout ByteBuffer) {
        buffer.writeInteger(UInt8(ascii: "-"))
    }

    /// `text` if it fits on one line, which ours all do; with controls replaced if it came from elsewhere.
    private static func singleLine(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { return text }
        return String(
            String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? "?" : $0 })
        )
    }
}
