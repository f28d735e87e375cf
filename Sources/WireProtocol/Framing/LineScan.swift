import NIOCore
import SystemSupport

extension UnsafeRawBufferPointer {
    /// The index of the first LF at or after `start`.
    @inline(__always)
    func indexOfLineFeed(from start: Int) -> Int? {
        guard start < count, let base = baseAddress else { return nil }
        return memchr(base + start, 0x0A, count - start).map { UnsafeRawPointer($0) - base }
    }
}

extension ByteBuffer {
    /// Appends `bytes` to the unread bytes. Copies nothing if there are no unread bytes.
    mutating func takeOver(_ bytes: ByteBuffer) {
        if readableBytes == 0 {
            self = bytes
        } else {
            discardReadBytes()
            writeImmutableBuffer(bytes)
        }
    }
}
