/// A word of a text, or one byte that is neither in a word nor a space.
struct Token {
    let text: String
    /// The number of the line, from 1.
    let line: Int
    /// The offset in the bytes of the text.
    let offset: Int

    var isWord: Bool { text.utf8.first.map(Self.isWordByte) ?? false }

    /// Whether the byte is a letter, a digit, `_`, `$`, or part of a character outside ASCII.
    static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "$"), 0x80...: true
        default: false
        }
    }

    static func all(of bytes: [UInt8]) -> [Token] {
        var tokens: [Token] = []
        var line = 1
        var position = 0
        while position < bytes.count {
            let start = position
            let first = bytes[start]
            position += 1
            if first == UInt8(ascii: "\n") { line += 1 }
            if first <= UInt8(ascii: " ") { continue }
            if isWordByte(first) {
                while position < bytes.count, isWordByte(bytes[position]) { position += 1 }
            }
            tokens.append(
                Token(text: String(decoding: bytes[start..<position], as: UTF8.self), line: line, offset: start)
            )
        }
        return tokens
    }
}
