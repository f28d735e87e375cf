package import NIOCore
package import PackedStrings

/// Appends request lines to a buffer, word by word: `begin`, the words in order, `end`.
///
///     writer.begin("LOGQ")
///     writer.word("shop")
///     writer.option("unit", "p")
///     writer.ids(ids)
///     writer.end()
///
/// It does not check whether a verb takes these words, because the server does. Pipelined requests go one after another
/// into the same buffer.
package struct RequestWriter: Sendable {
    package var buffer: ByteBuffer
    package var vectorFormat: VectorText.Format

    package init(buffer: ByteBuffer = ByteBuffer(), vectorFormat: VectorText.Format = .base64) {
        self.buffer = buffer
        self.vectorFormat = vectorFormat
    }

    package mutating func begin(_ verb: StaticString) {
        buffer.writeStaticString(verb)
    }

    /// A word that needs no encoding, such as the name of a collection.
    package mutating func word(_ text: some StringProtocol) {
        buffer.writeInteger(UInt8(ascii: " "))
        buffer.writeSubstring(Substring(text))
    }

    /// `-`, which stands for no value, or leaves a stored value unchanged.
    package mutating func dash() {
        word("-")
    }

    package mutating func integer(_ value: Int64) {
        buffer.writeText(atMost: 21) { cursor in
            cursor.byte(UInt8(ascii: " "))
            cursor.integer(value)
        }
    }

    package mutating func number(_ value: Double) {
        buffer.writeText(atMost: 1 + TextCursor.doubleBytesMax) { cursor in
            cursor.byte(UInt8(ascii: " "))
            cursor.number(value)
        }
    }

    package mutating func id(_ id: UnsafeRawBufferPointer) {
        buffer.writeText(atMost: 1 + IDText.textBytesMax(id.count)) { cursor in
            cursor.byte(UInt8(ascii: " "))
            cursor.id(id)
        }
    }

    package mutating func id(_ id: String) {
        var id = id
        id.withUTF8 { self.id(UnsafeRawBufferPointer($0)) }
    }

    package mutating func ids(_ ids: PackedStrings) {
        self.ids(ids, 0..<ids.count)
    }

    package mutating func ids(_ ids: PackedStrings, _ range: Range<Int>) {
        for index in range { ids.withString(index) { id($0) } }
    }

    package mutating func vector(_ values: UnsafeBufferPointer<Float>) {
        let format = vectorFormat
        buffer.writeText(atMost: 1 + VectorText.textBytesMax(dimension: values.count)) { cursor in
            cursor.byte(UInt8(ascii: " "))
            cursor.vector(values, format: format)
        }
    }

    package mutating func vector(_ values: [Float]) {
        values.withUnsafeBufferPointer { vector($0) }
    }

    /// JSON, the last word of the line. It is checked and minified, because a line break in it would end the line.
    package mutating func json(_ text: UnsafeRawBufferPointer) throws(WireError) {
        let minified = try WireProtocol.minifiedObject(text)
        buffer.writeInteger(UInt8(ascii: " "))
        buffer.writeBytes(minified)
    }

    /// `name=value` with a value that needs no encoding.
    package mutating func option(_ name: StaticString, _ value: some StringProtocol) {
        beginOption(name)
        buffer.writeSubstring(Substring(value))
    }

    package mutating func option(_ name: StaticString, _ value: Int64) {
        beginOption(name)
        buffer.writeText(atMost: 20) { $0.integer(value) }
    }

    package mutating func option(_ name: StaticString, _ value: UInt64) {
        option(name, String(value))
    }

    package mutating func option(_ name: StaticString, _ value: Double) {
        beginOption(name)
        buffer.writeText(atMost: TextCursor.doubleBytesMax) { $0.number(value) }
    }

    /// `name=a,b,c` with one or more ids.
    package mutating func option(_ name: StaticString, ids: PackedStrings) {
        beginOption(name)
        for index in 0..<ids.count {
            ids.withString(index) { id in
                buffer.writeText(atMost: 1 + IDText.textBytesMax(id.count)) { cursor in
                    if index > 0 { cursor.byte(UInt8(ascii: ",")) }
                    cursor.id(id)
                }
            }
        }
    }

    /// `name=id,count,step`: a row of `POPULAR`. A nil step is `-`.
    package mutating func option(_ name: StaticString, id: UnsafeRawBufferPointer, count: Double, step: Int64?) {
        beginOption(name)
        let bytesMax = IDText.textBytesMax(id.count) + 1 + TextCursor.doubleBytesMax + 1 + 20
        buffer.writeText(atMost: bytesMax) { cursor in
            cursor.id(id)
            cursor.byte(UInt8(ascii: ","))
            cursor.number(count)
            cursor.byte(UInt8(ascii: ","))
            if let step { cursor.integer(step) } else { cursor.byte(UInt8(ascii: "-")) }
        }
    }

    package mutating func end() {
        buffer.writeInteger(UInt8(ascii: "\n"))
    }

    private mutating func beginOption(_ name: StaticString) {
        buffer.writeInteger(UInt8(ascii: " "))
        buffer.writeStaticString(name)
        buffer.writeInteger(UInt8(ascii: "="))
    }
}
