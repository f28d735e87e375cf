package import NIOCore

/// Cuts the bytes that a client sends into lines.
///
/// It remembers how far it has looked for a line's end, so a line that comes in a thousand pieces is scanned once. It
/// holds a line's bound, and sees on the first bytes whether the client speaks HTTP or TLS by mistake. In both cases the
/// framing is lost, and it returns nothing more.
package struct LineFramer {
    private var buffer = ByteBuffer()
    /// Bytes behind the reader index in which there is no LF.
    private var scannedCount = 0
    private var isFirstLine = true
    private var isLost = false
    private let lineBytesMax: Int

    package init(lineBytesMax: Int) {
        self.lineBytesMax = lineBytesMax
    }

    package enum Frame: Equatable {
        /// The next so many bytes are a line, LF included: read it with `withLine`, then `consume` it.
        case line(byteCount: Int)
        case lost(WireError)
    }

    /// Bytes that were received and belong to no consumed line.
    package var pendingByteCount: Int { buffer.readableBytes }

    /// Whether `next()` has returned all there is until more bytes arrive.
    package var isWaitingForBytes: Bool { isLost || scannedCount == buffer.readableBytes }

    /// Takes over the bytes of `bytes`.
    package mutating func append(_ bytes: ByteBuffer) {
        buffer.takeOver(bytes)
    }

    /// The next line; nil if it is not complete.
    package mutating func next() -> Frame? {
        guard !isLost else { return nil }
        var lineFeed: Int?
        var isTLS = false
        buffer.withUnsafeReadableBytes { bytes in
            lineFeed = bytes.indexOfLineFeed(from: scannedCount)
            isTLS = isFirstLine && bytes.count >= 2 && bytes[0] == 0x16 && bytes[1] == 0x03
        }
        if isTLS {
            return lose(WireError(.badRequest, "got a TLS hello, expected a line of text: this port speaks no TLS"))
        }
        guard textByteCount(upTo: lineFeed) <= lineBytesMax else {
            return lose(WireError(.limit, "got a line of more than \(lineBytesMax) bytes, expected at most that"))
        }
        guard let lineFeed else {
            scannedCount = buffer.readableBytes
            return nil
        }
        if isFirstLine {
            isFirstLine = false
            if withLine(byteCount: lineFeed + 1, Self.isHTTP) {
                return lose(WireError(.badRequest, "got an HTTP request, expected a verb: this port speaks no HTTP"))
            }
        }
        return .line(byteCount: lineFeed + 1)
    }

    /// Calls `body` with the line that `next()` returned, without its LF and the CR before it.
    package func withLine<R>(byteCount: Int, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        buffer.withUnsafeReadableBytes { bytes in
            let hasCR = byteCount >= 2 && bytes[byteCount - 2] == UInt8(ascii: "\r")
            return body(UnsafeRawBufferPointer(rebasing: bytes[..<(byteCount - (hasCR ? 2 : 1))]))
        }
    }

    package mutating func consume(byteCount: Int) {
        buffer.moveReaderIndex(forwardBy: byteCount)
        scannedCount = 0
        // Give the memory of a long burst back.
        if buffer.readableBytes == 0 { buffer = ByteBuffer() }
    }

    /// The length of the line so far. A CR at its end may be the one before the LF, which does not count.
    private func textByteCount(upTo lineFeed: Int?) -> Int {
        let byteCount = lineFeed ?? buffer.readableBytes
        let last: UInt8? = byteCount > 0 ? buffer.getInteger(at: buffer.readerIndex + byteCount - 1) : nil
        return last == UInt8(ascii: "\r") ? byteCount - 1 : byteCount
    }

    private mutating func lose(_ error: WireError) -> Frame {
        isLost = true
        buffer = ByteBuffer()
        return .lost(error)
    }

    /// Whether the second word begins with `/` and the last with `HTTP/`.
    private static func isHTTP(_ line: UnsafeRawBufferPointer) -> Bool {
        guard let firstSpace = line.firstIndex(of: UInt8(ascii: " ")),
            let lastSpace = line.lastIndex(of: UInt8(ascii: " ")), lastSpace > firstSpace
        else { return false }
        return line[firstSpace + 1] == UInt8(ascii: "/") && line[(lastSpace + 1)...].starts(with: "HTTP/".utf8)
    }
}
