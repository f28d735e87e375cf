import PackedStrings

extension IDText {
    /// Reads all words that are left as ids, at most `countMax` of them.
    ///
    /// Requests name thousands of ids, so this is the parser's hottest loop: one pass over the text, straight into the
    /// memory of the list. It knows well-formed ids only. Whatever else it meets, it leaves to the slow path, which
    /// reads word by word and says what is wrong.
    static func decodeList(
        _ reader: inout WordReader,
        countMax: Int,
        limit: Int
    ) throws(WireError) -> PackedStrings {
        var ids = PackedStrings()
        guard !reader.isAtEnd else { return ids }
        let text = UnsafeRawBufferPointer(rebasing: reader.line[reader.position...])
        var spaceCount = 0
        for byte in text where byte == UInt8(ascii: " ") { spaceCount += 1 }
        guard spaceCount < countMax else {
            throw WireError(.limit, "got \(limit - countMax + spaceCount + 1) ids, expected at most \(limit)")
        }
        var isWellFormed = false
        ids.ends = [Int32](unsafeUninitializedCapacity: spaceCount + 1) { ends, endCount in
            ids.bytes = [UInt8](unsafeUninitializedCapacity: text.count) { bytes, byteCount in
                guard let decodedCount = decodeWellFormed(text, into: bytes.baseAddress!, ends.baseAddress!) else {
                    return
                }
                isWellFormed = true
                byteCount = decodedCount
                endCount = spaceCount + 1
            }
        }
        if isWellFormed {
            _ = try reader.rest()
            return ids
        }
        ids = PackedStrings()
        while let word = try reader.next() { try decode(word, into: &ids) }
        return ids
    }

    /// Returns how many bytes were decoded; nil if anything is wrong.
    private static func decodeWellFormed(
        _ text: UnsafeRawBufferPointer,
        into bytes: UnsafeMutablePointer<UInt8>,
        _ ends: UnsafeMutablePointer<Int32>
    ) -> Int? {
        var from = 0
        var to = 0
        var idStart = 0
        var idCount = 0
        while from < text.count {
            let byte = text[from]
            from += 1
            if !isReserved(byte) {
                bytes[to] = byte
                to += 1
            } else if byte == UInt8(ascii: " ") {
                guard to > idStart, to - idStart <= Limits.idBytesMax else { return nil }
                ends[idCount] = Int32(to)
                idCount += 1
                idStart = to
            } else if byte == UInt8(ascii: "%") {
                guard from + 1 < text.count, let high = hexValue(text[from]), let low = hexValue(text[from + 1]) else {
                    return nil
                }
                bytes[to] = high << 4 | low
                to += 1
                from += 2
            } else {
                return nil
            }
        }
        guard to > idStart, to - idStart <= Limits.idBytesMax else { return nil }
        ends[idCount] = Int32(to)
        return to
    }
}
