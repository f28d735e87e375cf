package import NIOCore

/// Splits the bytes that a server sends into replies. A reply is a header line and the number of row lines that the
/// header announces.
///
/// Bytes arrive in pieces of any size. The decoder remembers how far it has searched for line ends, so that a reply of
/// many pieces is scanned once. It refuses an incomplete reply of more than `replyBytesMax` bytes.
package struct ReplyDecoder: Sendable {
    private var buffer = ByteBuffer()
    /// The number of bytes after the reader index that were scanned, and how many of those form whole lines.
    private var scannedCount = 0
    private var linesByteCount = 0
    /// The reply that has a complete header but still lacks rows.
    private var underWay: (headerByteCount: Int, rowCount: Int, rowsSeen: Int)?
    private let replyBytesMax: Int

    package init(replyBytesMax: Int) {
        self.replyBytesMax = replyBytesMax
    }

    package mutating func append(_ bytes: ByteBuffer) {
        buffer.takeOver(bytes)
    }

    /// The number of received bytes that belong to replies not yet returned.
    package var pendingByteCount: Int { buffer.readableBytes }

    /// The next complete reply. Nil if more bytes are needed.
    package mutating func next() throws(ReplyFormatError) -> DecodedReply? {
        if underWay == nil {
            guard scanLines(1) == 1 else {
                try checkBound()
                return nil
            }
            let header = linesByteCount
            switch try Self.parseHeader(buffer.getSlice(at: buffer.readerIndex, length: header - 1)!) {
            case .failure(let code, let message):
                _ = take(header)
                return .failure(code: code, message: message)
            case .rows(let count):
                guard count < replyBytesMax else {
                    throw ReplyFormatError("got \(count) rows, expected fewer than \(replyBytesMax)")
                }
                underWay = (header, count, 0)
            }
        }
        guard let reply = underWay else { return nil }
        let rowsSeen = reply.rowsSeen + scanLines(reply.rowCount - reply.rowsSeen)
        guard rowsSeen == reply.rowCount else {
            underWay!.rowsSeen = rowsSeen
            try checkBound()
            return nil
        }
        underWay = nil
        var rows = take(linesByteCount)
        rows.moveReaderIndex(forwardBy: reply.headerByteCount)
        return .rows(ReplyRows(count: rowsSeen, bytes: rows))
    }

    private func checkBound() throws(ReplyFormatError) {
        guard buffer.readableBytes <= replyBytesMax else {
            throw ReplyFormatError("got \(buffer.readableBytes) bytes of one reply, expected at most \(replyBytesMax)")
        }
    }

    private mutating func take(_ byteCount: Int) -> ByteBuffer {
        scannedCount = 0
        linesByteCount = 0
        return buffer.readSlice(length: byteCount)!
    }

    /// Searches for at most `count` further line ends. Returns how many it found.
    private mutating func scanLines(_ count: Int) -> Int {
        guard count > 0 else { return 0 }
        var found = 0
        var scanned = scannedCount
        var lines = linesByteCount
        buffer.withUnsafeReadableBytes { bytes in
            while found < count {
                guard let lineFeed = bytes.indexOfLineFeed(from: scanned) else {
                    scanned = bytes.count
                    return
                }
                found += 1
                scanned = lineFeed + 1
                lines = scanned
            }
        }
        scannedCount = scanned
        linesByteCount = lines
        return found
    }

    private enum Header {
        case rows(Int)
        case failure(code: String, message: String)
    }

    private static func parseHeader(_ line: ByteBuffer) throws(ReplyFormatError) -> Header {
        var header: Header?
        line.withUnsafeReadableBytes { bytes in
            var words = RowReader(bytes)
            guard let first = words.nextWord() else { return }
            if first.elementsEqual("OK".utf8) {
                if let count = NumberText.unsigned(words.rest()), count <= Int32.max { header = .rows(Int(count)) }
            } else if first.elementsEqual("ERR".utf8), let code = words.nextWord() {
                header = .failure(
                    code: String(decoding: code, as: UTF8.self),
                    message: String(decoding: words.rest(), as: UTF8.self)
                )
            }
        }
        guard let header else {
            let shown = line.withUnsafeReadableBytes { quoted($0) }
            throw ReplyFormatError("got \(shown), expected OK and a count, or ERR and a code")
        }
        return header
    }
}

/// One reply, with its rows as text.
package enum DecodedReply: Sendable, Equatable {
    case rows(ReplyRows)
    /// `code` is text, because a newer server may send a code that this version does not know.
    case failure(code: String, message: String)
}

/// The server broke the protocol. The connection cannot be used any more.
package struct ReplyFormatError: Error, Sendable, Equatable, CustomStringConvertible {
    package let message: String
    package init(_ message: String) { self.message = message }
    package var description: String { message }
}

/// The row lines of a reply: `bytes` holds all of them, each with its LF.
package struct ReplyRows: Sendable, Equatable {
    package let count: Int
    package let bytes: ByteBuffer

    /// Calls `body` once. Its argument returns a reader for each row: `while var row = rows.next()`.
    package func read<R, E: Error>(_ body: (inout RowsReader) throws(E) -> R) throws(E) -> R {
        var result: Result<R, E>?
        bytes.withUnsafeReadableBytes { all in
            var reader = RowsReader(all)
            do throws(E) {
                result = .success(try body(&reader))
            } catch {
                result = .failure(error)
            }
        }
        return try result!.get()
    }
}

/// Reads row lines one after another. Valid only inside `ReplyRows.read`.
package struct RowsReader {
    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    package mutating func next() -> RowReader? {
        guard let lineFeed = bytes.indexOfLineFeed(from: position) else { return nil }
        defer { position = lineFeed + 1 }
        return RowReader(UnsafeRawBufferPointer(rebasing: bytes[position..<lineFeed]))
    }
}

/// Reads the words of one row one after another, or the rest of the row as one text.
package struct RowReader {
    private let line: UnsafeRawBufferPointer
    private var position = 0

    package init(_ line: UnsafeRawBufferPointer) {
        self.line = line
    }

    package var isAtEnd: Bool { position > line.count || line.isEmpty }

    /// The bytes up to the next space or the end of the row. Nil at the end.
    package mutating func nextWord() -> UnsafeRawBufferPointer? {
        guard !isAtEnd else { return nil }
        var end = position
        while end < line.count, line[end] != UInt8(ascii: " ") { end += 1 }
        defer { position = end + 1 }
        return UnsafeRawBufferPointer(rebasing: line[position..<end])
    }

    /// The rest of the row, spaces included: JSON, or a text for people.
    package mutating func rest() -> UnsafeRawBufferPointer {
        guard !isAtEnd else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        defer { position = line.count + 1 }
        return UnsafeRawBufferPointer(rebasing: line[position...])
    }
}
