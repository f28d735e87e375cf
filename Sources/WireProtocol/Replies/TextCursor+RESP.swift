/// The types of RESP.
extension TextCursor {
    /// The most bytes of a header: a mark, an integer, CR and LF.
    static let headerBytesMax = 23

    /// A mark, a number of 0 or more, CR and LF.
    @inline(__always)
    mutating func header(_ mark: Unicode.Scalar, _ number: Int) {
        byte(UInt8(ascii: mark))
        unsigned(UInt64(number))
        lineEnd()
    }

    @inline(__always)
    mutating func lineEnd() {
        byte(UInt8(ascii: "\r"))
        byte(UInt8(ascii: "\n"))
    }

    /// The header of a map with `count` entries. RESP2 has no maps, so there it is an array of names and values.
    @inline(__always)
    mutating func mapHeader(_ count: Int, _ framing: RowEncoding.Framing) {
        if framing == .resp3 { header("%", count) } else { header("*", 2 * count) }
    }

    @inline(__always)
    mutating func null(_ framing: RowEncoding.Framing) {
        text(framing == .resp3 ? "_\r\n" : "$-1\r\n")
    }

    /// A bulk string of these bytes.
    @inline(__always)
    mutating func bulk(_ bytes: UnsafeRawBufferPointer) {
        header("$", bytes.count)
        self.bytes(bytes)
        lineEnd()
    }

    @inline(__always)
    mutating func bulk(_ text: StaticString) {
        bulk(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// A bulk string of the text that `body` writes. The length stands before the text, so the text is written with
    /// room before it, and then moved.
    @inline(__always)
    mutating func bulk(_ body: (inout TextCursor) -> Void) {
        let start = next + Self.headerBytesMax
        var text = TextCursor(next: start)
        body(&text)
        let count = text.next - start
        header("$", count)
        UnsafeMutableRawPointer(next).copyMemory(from: start, byteCount: count)
        next += count
        lineEnd()
    }
}
