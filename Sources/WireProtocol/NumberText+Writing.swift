/// The other half of `NumberText`: the shortest decimal that reads back as the same number.
///
/// The digits are the standard library's, which are the fewest that suffice. Its notation differs in two ways that cost
/// bytes in every reply: it writes `1.0` for `1` and `1e-05` for `1e-5`.
extension TextCursor {
    static let floatBytesMax = 16
    static let doubleBytesMax = 26

    /// At most `floatBytesMax` bytes.
    mutating func number(_ value: Float) {
        if let integer = Int32(exactly: value), integer.magnitude < 1 << 24, integer != 0 || value.sign == .plus {
            self.integer(Int64(integer))
        } else {
            shortened(value.description)
        }
    }

    /// At most `doubleBytesMax` bytes.
    mutating func number(_ value: Double) {
        if let integer = Int64(exactly: value), integer.magnitude < 1 << 53, integer != 0 || value.sign == .plus {
            self.integer(integer)
        } else {
            shortened(value.description)
        }
    }

    private mutating func shortened(_ description: consuming String) {
        description.withUTF8 { text in
            var at = 0
            while at < text.count {
                let byte = text[at]
                let isPointZero =
                    byte == UInt8(ascii: ".") && at + 1 < text.count && text[at + 1] == UInt8(ascii: "0")
                    && (at + 2 == text.count || text[at + 2] == UInt8(ascii: "e"))
                if isPointZero {
                    at += 2
                    continue
                }
                self.byte(byte)
                at += 1
                guard byte == UInt8(ascii: "e") else { continue }
                if at < text.count, text[at] == UInt8(ascii: "-") || text[at] == UInt8(ascii: "+") {
                    if text[at] == UInt8(ascii: "-") { self.byte(text[at]) }
                    at += 1
                }
                while at + 1 < text.count, text[at] == UInt8(ascii: "0") { at += 1 }
            }
        }
    }
}

extension NumberText {
    /// `value` as it stands in a request or a reply. For messages and tests; hot paths write into a buffer.
    package static func text(_ value: Double) -> String {
        string(atMost: TextCursor.doubleBytesMax) { $0.number(value) }
    }

    package static func text(_ value: Float) -> String {
        string(atMost: TextCursor.floatBytesMax) { $0.number(value) }
    }

    private static func string(atMost bytesMax: Int, _ body: (inout TextCursor) -> Void) -> String {
        String(unsafeUninitializedCapacity: bytesMax) { room in
            var cursor = TextCursor(next: room.baseAddress!)
            body(&cursor)
            return cursor.next - room.baseAddress!
        }
    }
}
