import JSONObject
package import PackedStrings

/// The text of an id: its bytes, with `%XX` in place of each reserved byte.
///
/// The reserved bytes have another meaning on the wire. They are the bytes up to 0x20 (controls and the space between
/// words), 0x7F, `%`, `=` (marks an option) and `,` (separates ids in an option). The reader accepts `%XX` for any
/// byte, with hex digits in either case, and refuses a raw reserved byte. Bytes above 0x7F stay raw, because an id is
/// bytes, not text.
package enum IDText {
    /// Whether `byte` must be written `%XX`. A bit mask has the reserved bytes below 64; the only other one is 0x7F.
    @inline(__always)
    package static func isReserved(_ byte: UInt8) -> Bool {
        let reservedBelow64: UInt64 = 0x1_FFFF_FFFF | 1 << 0x25 | 1 << 0x2C | 1 << 0x3D
        return byte < 64 ? reservedBelow64 &>> UInt64(byte) & 1 != 0 : byte == 0x7F
    }

    /// Appends the id that `word` spells. If it throws, nothing is appended.
    package static func decode(_ word: UnsafeRawBufferPointer, into ids: inout PackedStrings) throws(WireError) {
        try withDecodedID(word) { ids.append($0) }
    }

    /// The id that `word` spells.
    static func decode(_ word: UnsafeRawBufferPointer) throws(WireError) -> [UInt8] {
        var id: [UInt8] = []
        try withDecodedID(word) { id = Array($0) }
        return id
    }

    private static func withDecodedID(
        _ word: UnsafeRawBufferPointer,
        _ body: (UnsafeRawBufferPointer) -> Void
    ) throws(WireError) {
        try withDecoded(word) { id throws(WireError) in
            try checkLength(id)
            body(id)
        }
    }

    /// The id that consists of these bytes.
    static func raw(_ word: UnsafeRawBufferPointer) throws(WireError) -> [UInt8] {
        try checkLength(word)
        return Array(word)
    }

    /// Appends the id that consists of these bytes.
    static func appendRaw(_ word: UnsafeRawBufferPointer, to ids: inout PackedStrings) throws(WireError) {
        try checkLength(word)
        ids.append(word)
    }

    private static func checkLength(_ id: UnsafeRawBufferPointer) throws(WireError) {
        guard (1...Limits.idBytesMax).contains(id.count) else { throw wrongLength(id.count) }
    }

    /// Calls `body` with the bytes that `word` spells. Does not check their number.
    static func withDecoded(
        _ word: UnsafeRawBufferPointer,
        _ body: (UnsafeRawBufferPointer) throws(WireError) -> Void
    ) throws(WireError) {
        // Most ids need no decoding, and are then used in place.
        var plainCount = 0
        while plainCount < word.count, !isReserved(word[plainCount]) { plainCount += 1 }
        if plainCount == word.count { return try body(word) }
        var problem: WireError?
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: word.count) { scratch in
            do throws(WireError) {
                let count = try decodeEscapes(word, into: scratch)
                try body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(scratch)[..<count]))
            } catch {
                problem = error
            }
        }
        if let problem { throw problem }
    }

    /// Decodes `word` into `scratch`, which must be at least as long. Returns the decoded length.
    private static func decodeEscapes(
        _ word: UnsafeRawBufferPointer,
        into scratch: UnsafeMutableBufferPointer<UInt8>
    ) throws(WireError) -> Int {
        var from = 0
        var to = 0
        while from < word.count {
            let byte = word[from]
            if byte == UInt8(ascii: "%") {
                guard from + 2 < word.count, let high = hexValue(word[from + 1]), let low = hexValue(word[from + 2])
                else {
                    throw WireError(.badID, "got \(quoted(word)), expected two hex digits after %")
                }
                scratch[to] = high << 4 | low
                from += 3
            } else if isReserved(byte) {
                throw reservedByte(byte, in: word)
            } else {
                scratch[to] = byte
                from += 1
            }
            to += 1
        }
        return to
    }

    /// The total length of the texts of `ids`, in bytes, without separators.
    package static func textByteCount(of ids: PackedStrings) -> Int {
        ids.withAllBytes { bytes in bytes.reduce(bytes.count) { $0 + (isReserved($1) ? 2 : 0) } }
    }

    /// The most bytes in the text of an id of `byteCount` bytes.
    @inline(__always)
    package static func textBytesMax(_ byteCount: Int) -> Int { byteCount * 3 }

    private static func wrongLength(_ byteCount: Int) -> WireError {
        WireError(.badID, "got an id of \(byteCount) bytes, expected 1 to \(Limits.idBytesMax)")
    }

    private static func reservedByte(_ byte: UInt8, in word: UnsafeRawBufferPointer) -> WireError {
        let hex = String(byte, radix: 16, uppercase: true)
        let escape = "%" + (hex.count < 2 ? "0" : "") + hex
        let hint =
            byte == UInt8(ascii: "=") ? " (options stand before the ids)" : ""
        return WireError(.badID, "got id \(quoted(word)) with a raw byte that is written \(escape)\(hint)")
    }
}

@inline(__always)
func upperHexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") - 10 + value
}

extension TextCursor {
    /// At most `IDText.textBytesMax` bytes.
    mutating func id(_ id: UnsafeRawBufferPointer) {
        for byte in id {
            if IDText.isReserved(byte) {
                self.byte(UInt8(ascii: "%"))
                self.byte(upperHexDigit(byte >> 4))
                self.byte(upperHexDigit(byte & 15))
            } else {
                self.byte(byte)
            }
        }
    }
}
