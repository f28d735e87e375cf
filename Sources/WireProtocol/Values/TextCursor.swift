import NIOCore

/// Writes text into reserved memory, without a check for each byte.
///
/// The longest possible text of a reply row is known in advance. So room for it is reserved once, and writing only
/// stores bytes. The caller must not write more than it has reserved.
struct TextCursor {
    var next: UnsafeMutablePointer<UInt8>

    @inline(__always)
    mutating func byte(_ byte: UInt8) {
        next.pointee = byte
        next += 1
    }

    @inline(__always)
    mutating func bytes(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        UnsafeMutableRawPointer(next).copyMemory(from: source, byteCount: bytes.count)
        next += bytes.count
    }

    @inline(__always)
    mutating func text(_ text: StaticString) {
        UnsafeMutableRawPointer(next).copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
        next += text.utf8CodeUnitCount
    }

    /// At most 20 bytes.
    mutating func unsigned(_ value: UInt64) {
        if value < 10 { return byte(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value)) }
        put(value, digitCount: Self.digitCount(value))
    }

    /// Writes `value`, which has `digitCount` digits. Stores two digits at a time, from the end.
    @inline(__always)
    mutating func put(_ value: UInt64, digitCount: Int) {
        var rest = value
        var end = digitCount
        while end >= 2 {
            let (quotient, pair) = rest.quotientAndRemainder(dividingBy: 100)
            let digits = Self.digitPairs.utf8Start + 2 * Int(pair)
            next[end - 2] = digits[0]
            next[end - 1] = digits[1]
            rest = quotient
            end -= 2
        }
        if end == 1 { next[0] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest) }
        next += digitCount
    }

    @inline(__always)
    static func digitCount(_ value: UInt64) -> Int {
        // 1233 / 4096 is slightly less than log10 2, so the estimate is right or one too small.
        let bitCount = 64 - (value | 1).leadingZeroBitCount
        let estimate = (bitCount * 1_233) >> 12
        return estimate + (value >= powers[estimate] ? 1 : 0)
    }

    /// 10^n, which is the smallest number of n + 1 digits.
    private static let powers: [UInt64] = [
        1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000,
        100_000_000_000, 1_000_000_000_000, 10_000_000_000_000, 100_000_000_000_000, 1_000_000_000_000_000,
        10_000_000_000_000_000, 100_000_000_000_000_000, 1_000_000_000_000_000_000, 10_000_000_000_000_000_000,
    ]

    private static let digitPairs: StaticString = """
        00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051\
        525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899
        """

    /// At most 20 bytes.
    mutating func integer(_ value: Int64) {
        if value < 0 { byte(UInt8(ascii: "-")) }
        unsigned(value.magnitude)
    }
}

extension ByteBuffer {
    /// Reserves `bytesMax` bytes, and appends the bytes that `body` writes. It must not write more.
    @inline(__always)
    mutating func writeText(atMost bytesMax: Int, _ body: (inout TextCursor) -> Void) {
        writeWithUnsafeMutableBytes(minimumWritableBytes: bytesMax) { room in
            let start = room.baseAddress!.assumingMemoryBound(to: UInt8.self)
            var cursor = TextCursor(next: start)
            body(&cursor)
            let count = cursor.next - start
            assert(count <= bytesMax, "wrote \(count) bytes, reserved \(bytesMax)")
            return count
        }
    }
}
