import NIOCore

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

extension UnsafeRawBufferPointer {
    /// The index of the first LF at or after `start`.
    @inline(__always)
    func indexOfLineFeed(from start: Int) -> Int? {
        guard start < count, let base = baseAddress else { return nil }
        return memchr(base + start, 0x0A, count - start).map { UnsafeRawPointer($0) - base }
    }
}

extension ByteBuffer {
    /// Puts `bytes` behind what was not read yet, without a copy if there is nothing.
    mutating func takeOver(_ bytes: ByteBuffer) {
        if readableBytes == 0 {
            self = bytes
        } else {
            discardReadBytes()
            writeImmutableBuffer(bytes)
        }
    }
}
