import JSONObject
import PackedStrings

extension IDText {
    /// Decodes the ids in `text`, which has `spaceCount` spaces. Nil unless all ids are well-formed and exactly one
    /// space separates two of them.
    static func decodeWellFormedList(_ text: UnsafeRawBufferPointer, spaceCount: Int) -> PackedStrings? {
        guard !text.isEmpty else { return nil }
        var ids = PackedStrings()
        var isWellFormed = false
        ids.ends = [Int32](unsafeUninitializedCapacity: spaceCount + 1) { ends, endCount in
            ids.bytes = [UInt8](unsafeUninitializedCapacity: text.count) { bytes, byteCount in
                guard let decodedCount = decode(text, into: bytes.baseAddress!, ends.baseAddress!) else { return }
                isWellFormed = true
                byteCount = decodedCount
                endCount = spaceCount + 1
            }
        }
        return isWellFormed ? ids : nil
    }

    /// Returns the number of decoded bytes, or nil if the list is not well-formed.
    private static func decode(
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
