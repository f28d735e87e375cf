package import PackedStrings

/// The words of one request, in order. The parser reads every request through this protocol, so that it does not depend
/// on the framing.
///
/// The bytes of a word are valid until the request has been parsed.
package protocol WordSource {
    /// Whether all words have been read.
    var isAtEnd: Bool { get }

    /// The number of words read so far.
    var wordCount: Int { get }

    /// Whether ids stand in their own bytes, without `%XX`, and vectors may too. False for lines.
    static var isBinary: Bool { get }

    /// The name if the next word looks like an option, `name=value`. Nil if it does not.
    var optionName: UnsafeRawBufferPointer? { get }

    /// Whether the next word has bytes other than printable ASCII. Always false for lines.
    var isNextRaw: Bool { get }

    /// Skips the word `--`, which ends the options of a binary request.
    mutating func endOptions()

    /// The next word. Nil after the last.
    mutating func next() throws(WireError) -> UnsafeRawBufferPointer?

    /// The rest of the request as one text, for JSON. Nil after the last word.
    mutating func rest() throws(WireError) -> UnsafeRawBufferPointer?

    /// Reads all remaining words into `ids`, which is empty. At least one word must remain. More than `countMax` ids
    /// are refused with `LIMIT`, and the message names `limit` as the most.
    mutating func readIDs(into ids: inout PackedStrings, countMax: Int, limit: Int) throws(WireError)
}

extension WordSource {
    package static var isBinary: Bool { false }

    package var isNextRaw: Bool { false }

    package mutating func endOptions() {}
}

extension UnsafeRawBufferPointer {
    /// The name if an option, `name=value`, begins at `start`. Stops at the first byte that cannot be in a name,
    /// because a long vector or JSON may begin there.
    func optionName(at start: Int = 0) -> UnsafeRawBufferPointer? {
        var at = start
        while at < count, (self[at] | 0x20) &- UInt8(ascii: "a") < 26 || self[at] == UInt8(ascii: "_") { at += 1 }
        guard at > start, at < count, self[at] == UInt8(ascii: "=") else { return nil }
        return UnsafeRawBufferPointer(rebasing: self[start..<at])
    }
}
