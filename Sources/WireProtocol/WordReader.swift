/// Walks over the words of a request line and holds the rule that exactly one space stands between two words.
///
/// Words may be long (a vector of 4,096 numbers): their ends are looked for eight bytes at a time.
struct WordReader {
    let line: UnsafeRawBufferPointer
    /// Where the next word begins; behind the end when all words were read.
    private(set) var position = 0
    /// The number of words read so far.
    private(set) var wordCount = 0

    init(_ line: UnsafeRawBufferPointer) {
        self.line = line
    }

    var isAtEnd: Bool { position > line.count }

    /// The next word; nil behind the last.
    mutating func next() throws(WireError) -> UnsafeRawBufferPointer? {
        guard !isAtEnd else { return nil }
        let end = Self.endOfWord(line, from: position)
        guard end > position, end == line.count || line[end] == UInt8(ascii: " ") else { throw problem(at: end) }
        defer {
            position = end + 1
            wordCount += 1
        }
        return UnsafeRawBufferPointer(rebasing: line[position..<end])
    }

    /// The length of the name if the next word is an option, `name=value`; else nil. Only its letters are looked at: what
    /// stands there may be a long vector, or JSON, which has rules of its own.
    var optionNameCount: Int? {
        var at = position
        while at < line.count, (line[at] | 0x20) &- UInt8(ascii: "a") < 26 || line[at] == UInt8(ascii: "_") { at += 1 }
        guard at > position, at < line.count, line[at] == UInt8(ascii: "=") else { return nil }
        return at - position
    }

    /// The index of the first space or control byte at or behind `start`, or the end of the line.
    @inline(__always)
    private static func endOfWord(_ line: UnsafeRawBufferPointer, from start: Int) -> Int {
        var at = start
        while at + 8 <= line.count {
            let bytes = line.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            guard !hasSpaceOrControl(bytes) else { break }
            at += 8
        }
        while at < line.count, line[at] > 0x20, line[at] != 0x7F { at += 1 }
        return at
    }

    /// Whether any of eight bytes is at most 0x20, or 0x7F: the high bit of a byte of `below` is set if that byte is below
    /// 0x21 (or one before it was), of `delete` if it is 0x7F (or one before it was).
    @inline(__always)
    private static func hasSpaceOrControl(_ bytes: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highBits = ones << 7
        let below = (bytes &- ones &* 0x21) & ~bytes
        let flipped = bytes ^ ones &* 0x7F
        let delete = (flipped &- ones) & ~flipped
        return (below | delete) & highBits != 0
    }

    /// All that is left, for JSON; nil at the end.
    mutating func rest() throws(WireError) -> UnsafeRawBufferPointer? {
        guard !isAtEnd else { return nil }
        guard position < line.count, line[position] != UInt8(ascii: " ") else { throw emptyWord() }
        defer { position = line.count + 1 }
        return UnsafeRawBufferPointer(rebasing: line[position...])
    }

    private func problem(at end: Int) -> WireError {
        guard end < line.count, line[end] != UInt8(ascii: " ") else { return emptyWord() }
        let byte = line[end]
        let hex = (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        return WireError(.badRequest, "got control byte 0x\(hex) at byte \(end + 1) of the line")
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
