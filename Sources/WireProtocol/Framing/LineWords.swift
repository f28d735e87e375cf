import PackedStrings

/// The words of a request line. Exactly one space must separate two words.
///
/// A word may be long, for example a vector of 4,096 numbers. So it looks for the end of a word eight bytes at a time.
struct LineWords: WordSource {
    private let line: UnsafeRawBufferPointer
    /// The index of the next word's first byte. Greater than the line's length once all words have been read.
    private var position = 0
    private(set) var wordCount = 0

    init(_ line: UnsafeRawBufferPointer) {
        self.line = line
    }

    var isAtEnd: Bool { position > line.count }

    var optionName: UnsafeRawBufferPointer? { line.optionName(at: position) }

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

    mutating func rest() throws(WireError) -> UnsafeRawBufferPointer? {
        guard !isAtEnd else { return nil }
        guard position < line.count, line[position] != UInt8(ascii: " ") else { throw emptyWord() }
        defer { position = line.count + 1 }
        return UnsafeRawBufferPointer(rebasing: line[position...])
    }

    /// The parser's hottest loop, because a request may have thousands of ids. It decodes a list of well-formed ids in
    /// one pass, straight into the memory of the result. It reads any other list word by word, to find the error.
    mutating func readIDs(into ids: inout PackedStrings, countMax: Int, limit: Int) throws(WireError) {
        let text = UnsafeRawBufferPointer(rebasing: line[min(position, line.count)...])
        var spaceCount = 0
        for byte in text where byte == UInt8(ascii: " ") { spaceCount += 1 }
        guard spaceCount < countMax else {
            throw WireError(.limit, "got \(limit - countMax + spaceCount + 1) ids, expected at most \(limit)")
        }
        // The memory of a short list is used again.
        if spaceCount >= 8, let list = IDText.decodeWellFormedList(text, spaceCount: spaceCount) {
            _ = try rest()
            ids = list
            return
        }
        while let word = try next() { try IDText.decode(word, into: &ids) }
    }

    // MARK: The ends of words

    /// The index of the first space or control byte at or after `start`, or the end of the line.
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

    /// Whether any of eight bytes is 0x20 or less, or 0x7F.
    ///
    /// `below` has the high bit of a byte set if that byte is less than 0x21. `delete` has it set if the byte is 0x7F.
    /// A borrow may also set the bits of the bytes above a match, which does not change the result.
    @inline(__always)
    private static func hasSpaceOrControl(_ bytes: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highBits = ones << 7
        let below = (bytes &- ones &* 0x21) & ~bytes
        let flipped = bytes ^ ones &* 0x7F
        let delete = (flipped &- ones) & ~flipped
        return (below | delete) & highBits != 0
    }

    // MARK: Errors

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
