/// Base64 with padding (RFC 4648, section 4), for vectors.
enum Base64 {
    private static let encoding: [UInt8] = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8
    )

    /// The two characters for each value of 12 bits. The first character is the low byte.
    private static let pairs: [UInt16] = (0..<4_096).map { value in
        UInt16(encoding[value >> 6]) | UInt16(encoding[value & 63]) << 8
    }

    /// The value of each character. 0x80 marks a byte outside the alphabet.
    private static let decoding: [UInt8] = {
        var values = [UInt8](repeating: 0x80, count: 256)
        for (value, character) in encoding.enumerated() { values[Int(character)] = UInt8(value) }
        return values
    }()

    /// Writes four characters for every three bytes, the last four padded. Returns the number of characters.
    static func encode(_ bytes: UnsafeRawBufferPointer, into output: UnsafeMutablePointer<UInt8>) -> Int {
        encoding.withUnsafeBufferPointer { characters in
            let table = characters.baseAddress!
            var to = output
            var from = 0
            pairs.withUnsafeBufferPointer { pairs in
                // Read eight bytes, and encode six of them.
                while from + 8 <= bytes.count {
                    let group = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: from, as: UInt64.self))
                    func pair(_ shift: UInt64) -> UInt64 { UInt64(pairs[Int(group &>> shift & 4_095)]) }
                    let text = pair(52) | pair(40) << 16 | pair(28) << 32 | pair(16) << 48
                    UnsafeMutableRawPointer(to).storeBytes(of: text.littleEndian, as: UInt64.self)
                    to += 8
                    from += 6
                }
            }
            while from + 3 <= bytes.count {
                let group = Int(bytes[from]) << 16 | Int(bytes[from + 1]) << 8 | Int(bytes[from + 2])
                to[0] = table[group >> 18]
                to[1] = table[group >> 12 & 63]
                to[2] = table[group >> 6 & 63]
                to[3] = table[group & 63]
                to += 4
                from += 3
            }
            let restCount = bytes.count - from
            if restCount > 0 {
                let group = Int(bytes[from]) << 16 | (restCount == 2 ? Int(bytes[from + 1]) << 8 : 0)
                to[0] = table[group >> 18]
                to[1] = table[group >> 12 & 63]
                to[2] = restCount == 2 ? table[group >> 6 & 63] : UInt8(ascii: "=")
                to[3] = UInt8(ascii: "=")
                to += 4
            }
            return to - output
        }
    }

    /// The number of bytes that `text` encodes. Nil if its length is not that of padded base64.
    static func decodedCount(_ text: UnsafeRawBufferPointer) -> Int? {
        guard text.count % 4 == 0 else { return nil }
        return text.count / 4 * 3 - paddingCount(text)
    }

    private static func paddingCount(_ text: UnsafeRawBufferPointer) -> Int {
        guard text.count >= 4, text[text.count - 1] == UInt8(ascii: "=") else { return 0 }
        return text[text.count - 2] == UInt8(ascii: "=") ? 2 : 1
    }

    /// Decodes `text` into `output`, which has room for `decodedCount(text)` bytes. Returns false if `text` has a
    /// character outside the alphabet, or if the last character sets a bit that belongs to no byte.
    static func decode(_ text: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Bool {
        guard let end = output.baseAddress.map({ $0 + output.count }), !text.isEmpty else { return text.isEmpty }
        return decoding.withUnsafeBufferPointer { values in
            let table = values.baseAddress!
            let padding = paddingCount(text)
            let groupCount = text.count / 4 - (padding > 0 ? 1 : 0)
            var to = output.baseAddress!.assumingMemoryBound(to: UInt8.self)
            var from = text.baseAddress!.assumingMemoryBound(to: UInt8.self)
            // The marks are checked once at the end, which saves a branch for each group.
            var marks: UInt8 = 0
            for _ in 0..<groupCount {
                let (a, b, c, d) = (
                    table[Int(from[0])], table[Int(from[1])], table[Int(from[2])], table[Int(from[3])]
                )
                marks |= a | b | c | d
                to[0] = a &<< 2 | b &>> 4
                to[1] = b &<< 4 | c &>> 2
                to[2] = c &<< 6 | d
                to += 3
                from += 4
            }
            if padding > 0 {
                let (a, b) = (table[Int(from[0])], table[Int(from[1])])
                let c = padding == 1 ? table[Int(from[2])] : 0
                marks |= a | b | c
                to[0] = a &<< 2 | b &>> 4
                to += 1
                if padding == 1 {
                    to[0] = b &<< 4 | c &>> 2
                    to += 1
                }
                let unusedBits = padding == 1 ? c & 3 : b & 15
                if unusedBits != 0 { return false }
            }
            assert(UnsafeMutableRawPointer(to) == end)
            return marks & 0x80 == 0
        }
    }
}
