/// Walks over the words of a request line and holds the rule that exactly one space stands between two words.
///
/// One look at each byte finds the end of the word and whether it has bytes that a plain id may not have.
struct WordReader {
    let line: UnsafeRawBufferPointer
    /// Where the next word begins; behind the end when all words were read.
    private(set) var position = 0
    /// The number of words read so far.
    private(set) var wordCount = 0

    init(_ line: UnsafeRawBufferPointer) {
        self.line = line
    }

    struct Word {
        let bytes: UnsafeRawBufferPointer
        /// Whether it contains `%`, `=` or `,`.
        let hasMarks: Bool
    }

    var isAtEnd: Bool { position > line.count }

    /// The bits of the bytes below 64 that end a word (controls and space) or mark it (`%`, `=`, `,`).
    private static let specialBytes: UInt64 = 0x1_FFFF_FFFF | 1 << 0x25 | 1 << 0x2C | 1 << 0x3D

    @inline(__always)
    static func isSpecial(_ byte: UInt8) -> Bool {
        byte < 64 ? specialBytes &>> UInt64(byte) & 1 != 0 : byte == 0x7F
    }

    /// The next word; nil behind the last.
    mutating func next() throws(WireError) -> Word? {
        guard let word = try peek() else { return nil }
        skip(word)
        return word
    }

    /// Whether the next word may be an option. Seen on its first byte, so that JSON, which has rules of its own, is not
    /// looked at as a word.
    var mayBeginOption: Bool {
        guard position < line.count else { return false }
        return (line[position] | 0x20) &- UInt8(ascii: "a") < 26 || line[position] == UInt8(ascii: "_")
    }

    /// The next word, without moving.
    func peek() throws(WireError) -> Word? {
        guard !isAtEnd else { return nil }
        var end = position
        var hasMarks = false
        while end < line.count {
            let byte = line[end]
            if Self.isSpecial(byte) {
                if byte == UInt8(ascii: " ") { break }
                guard byte > 0x20, byte != 0x7F else { throw controlByte(byte, at: end) }
                hasMarks = true
            }
            end += 1
        }
        guard end > position else { throw emptyWord() }
        return Word(bytes: UnsafeRawBufferPointer(rebasing: line[position..<end]), hasMarks: hasMarks)
    }

    /// Moves behind `word`, which `peek()` returned.
    mutating func skip(_ word: Word) {
        position += word.bytes.count + 1
        wordCount += 1
    }

    /// All that is left, for JSON; nil at the end.
    mutating func rest() throws(WireError) -> UnsafeRawBufferPointer? {
        guard !isAtEnd else { return nil }
        guard position < line.count, line[position] != UInt8(ascii: " ") else { throw emptyWord() }
        defer { position = line.count + 1 }
        return UnsafeRawBufferPointer(rebasing: line[position...])
    }

    private func controlByte(_ byte: UInt8, at position: Int) -> WireError {
        let hex = (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        return WireError(.badRequest, "got control byte 0x\(hex) at byte \(position + 1) of the line")
    }

    private func emptyWord() -> WireError {
        if line.isEmpty { return WireError(.badRequest, "got an empty line, expected a verb (HELP lists them)") }
        let place =
            position == 0 ? "a leading space" : position >= line.count ? "a trailing space" : "two spaces"
        return WireError(
            .badRequest,
            "got \(place) at byte \(max(position, 1)) of the line, expected one space between words"
        )
    }
}
