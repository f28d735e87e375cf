import NIOCore

/// Writes text to memory that its user has reserved, without a check per byte.
///
/// A reply row is an id, some numbers, perhaps a vector: its longest possible length is known beforehand. So the buffer
/// is asked for room once, and then bytes are only stored and counted.
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
        var rest = value
        var count = 1
        while rest >= 10 {
            rest /= 10
            count += 1
        }
        rest = value
        for index in stride(from: count - 1, through: 0, by: -1) {
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            next[index] = UInt8(truncatingIfNeeded: 0x30 + digit)
            rest = quotient
        }
        next += count
    }

    /// At most 20 bytes.
    mutating func integer(_ value: Int64) {
        if value < 0 { byte(UInt8(ascii: "-")) }
        unsigned(value.magnitude)
    }
}

extension ByteBuffer {
    /// Reserves `bytesMax` bytes and lets `body` write at most as many.
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
