package import NIOCore

/// Splits the bytes that a client sends into lines.
///
/// It remembers how far it has searched for a line's end, so that a line in a thousand pieces is scanned once.
///
/// After a line that is too long, or a TLS hello or an empty line at the start, the framing is lost. Then it returns no
/// more lines.
package struct LineFramer {
    private var buffer = ByteBuffer()
    /// The number of bytes after the reader index that are known to have no LF.
    private var scannedCount = 0
    private var isFirstLine = true
    private var isLost = false
    private let lineBytesMax: Int

    package init(lineBytesMax: Int) {
        self.lineBytesMax = lineBytesMax
    }

    /// The number of received bytes that were not consumed.
    package var pendingByteCount: Int { buffer.readableBytes }

    /// Whether `next()` has returned nil for the bytes so far, or always will because the framing is lost.
    package var isWaitingForBytes: Bool { isLost || scannedCount == buffer.readableBytes }

    package mutating func append(_ bytes: ByteBuffer) {
        buffer.takeOver(bytes)
    }

    /// The next line, or the loss of the framing. Nil if the line is not complete or the framing was lost before.
    package mutating func next() -> RequestFrame? {
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
            // HTTP allows an empty line before a request, so what follows may be chosen by a web page.
            if textByteCount(upTo: lineFeed) == 0 {
                let got = "got an empty line as the first one"
                return lose(WireError(.badRequest, "\(got), expected a verb: this port speaks no HTTP"))
            }
        }
        return .request(byteCount: lineFeed + 1)
    }

    /// Calls `body` with the line of `byteCount` bytes that `next()` returned, without its LF and a CR before it.
    package func withLine<R, E: Error>(
        byteCount: Int,
        _ body: (UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        try buffer.withUnsafeReadableBytes { bytes throws(E) in
            let hasCR = byteCount >= 2 && bytes[byteCount - 2] == UInt8(ascii: "\r")
            return try body(UnsafeRawBufferPointer(rebasing: bytes[..<(byteCount - (hasCR ? 2 : 1))]))
        }
    }

    package mutating func consume(byteCount: Int) {
        buffer.moveReaderIndex(forwardBy: byteCount)
        scannedCount = 0
        // Release the memory of a long burst.
        if buffer.readableBytes == 0 { buffer = ByteBuffer() }
    }

    /// The length of the line so far. A CR at the end does not count, because the LF may follow it.
    private func textByteCount(upTo lineFeed: Int?) -> Int {
        let byteCount = lineFeed ?? buffer.readableBytes
        let last: UInt8? = byteCount > 0 ? buffer.getInteger(at: buffer.readerIndex + byteCount - 1) : nil
        return last == UInt8(ascii: "\r") ? byteCount - 1 : byteCount
    }

    private mutating func lose(_ error: WireError) -> RequestFrame {
        isLost = true
        buffer = ByteBuffer()
        return .lost(error)
    }
}
