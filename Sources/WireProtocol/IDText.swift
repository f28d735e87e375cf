package import PackedStrings

/// How an id travels: its bytes as they are, except that `%XX` stands for bytes that would be taken for something else.
///
/// Written so: bytes up to 0x20 (controls and the space between words), 0x7F, `%`, `=` (marks an option) and `,`
/// (separates ids in an option). Read so: any byte may be written `%XX`, in either case of hex; those that must be
/// written so may not stand raw. Bytes above 0x7F stand raw: an id is bytes, not text.
package enum IDText {
    /// The bytes that never stand raw in an id. All but one are below 64: a look at a bit tells.
    @inline(__always)
    package static func isReserved(_ byte: UInt8) -> Bool {
        let reservedBelow64: UInt64 = 0x1_FFFF_FFFF | 1 << 0x25 | 1 << 0x2C | 1 << 0x3D
        return byte < 64 ? reservedBelow64 &>> UInt64(byte) & 1 != 0 : byte == 0x7F
    }

    /// Appends the id that `word` spells. Nothing is appended when it throws.
    package static func decode(_ word: UnsafeRawBufferPointer, into ids: inout PackedStrings) throws(WireError) {
        // Most ids need no decoding: look first, copy once.
        var plainCount = 0
        while plainCount < word.count, !isReserved(word[plainCount]) { plainCount += 1 }
        if plainCount == word.count {
            guard (1...Limits.idBytesMax).contains(word.count) else { throw wrongLength(word.count) }
            ids.append(word)
            return
        }
        var decoded: (count: Int, problem: WireError?) = (0, nil)
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: word.count) { scratch in
            do throws(WireError) {
                decoded.count = try decodeEscapes(word, into: scratch)
                guard (1...Limits.idBytesMax).contains(decoded.count) else { throw wrongLength(decoded.count) }
                ids.append(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(scratch)[..<decoded.count]))
            } catch {
                decoded.problem = error
            }
        }
        if let problem = decoded.problem { throw problem }
    }

    /// Decodes `word`, which may be of any length, into `scratch`, which is at least as long. Returns the decoded length.
    static func decodeEscapes(
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

    /// How long the texts of all these ids are together.
    package static func textByteCount(of ids: PackedStrings) -> Int {
        ids.withAllBytes { bytes in bytes.reduce(bytes.count) { $0 + (isReserved($1) ? 2 : 0) } }
    }

    /// The longest text of an id of `byteCount` bytes.
    @inline(__always)
    static func textBytesMax(_ byteCount: Int) -> Int { byteCount * 3 }

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

/// The value of a hex digit of either case.
@inline(__always)
func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
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
