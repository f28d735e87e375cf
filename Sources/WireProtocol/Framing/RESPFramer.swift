package import NIOCore

/// Splits the bytes that a client sends into requests of RESP: arrays of bulk strings, such as
/// `*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n`.
///
/// It remembers where each word is, so that a request in a thousand pieces is scanned once and is parsed where it
/// stands. After a byte that is none of RESP's, or a request that is too long, the framing is lost. Then it returns no
/// more requests.
///
/// The source of the format is https://redis.io/docs/latest/develop/reference/protocol-spec/.
package struct RESPFramer {
    private var buffer = ByteBuffer()
    /// The words found so far of the request that begins at the reader index. The memory is used again.
    private var words: [RESPWords.Place] = []
    /// The number of words of that request. Nil before its header.
    private var wordCount: Int?
    /// The first byte that was not scanned, counted from the reader index.
    private var position = 0
    /// What the words so far would take in a line, with a space or a line end after each.
    private var lineByteCount = 0
    private var isLost = false
    private let lineBytesMax: Int

    package private(set) var isWaitingForBytes = true

    /// A header is `*` or `$`, the digits of a number and CR LF.
    private static let headerBytesMax = 32

    package init(lineBytesMax: Int) {
        self.lineBytesMax = lineBytesMax
    }

    package var pendingByteCount: Int { buffer.readableBytes }

    package mutating func append(_ bytes: ByteBuffer) {
        guard !isLost else { return }
        buffer.takeOver(bytes)
        isWaitingForBytes = false
    }

    /// The next request, or the loss of the framing. Nil if the request is not complete or the framing was lost before.
    package mutating func next() -> RequestFrame? {
        guard !isLost else { return nil }
        // A second reference to the buffer, because its bytes may not be read through `self` while the scan changes it.
        let bytes = buffer
        do throws(WireError) {
            let isComplete = try bytes.withUnsafeReadableBytes { bytes throws(WireError) in try scan(bytes) }
            guard isComplete else {
                isWaitingForBytes = true
                return nil
            }
            return .request(byteCount: position)
        } catch {
            isLost = true
            isWaitingForBytes = true
            buffer = ByteBuffer()
            words = []
            return .lost(error)
        }
    }

    /// Calls `body` with the words of the request that `next()` returned.
    package func withWords<R, E: Error>(_ body: (inout RESPWords) throws(E) -> R) throws(E) -> R {
        try buffer.withUnsafeReadableBytes { bytes throws(E) in
            try words.withUnsafeBufferPointer { places throws(E) in
                var words = RESPWords(bytes, places)
                return try body(&words)
            }
        }
    }

    package mutating func consume(byteCount: Int) {
        buffer.moveReaderIndex(forwardBy: byteCount)
        // Give back the memory of a long request.
        words.removeAll(keepingCapacity: words.count <= 1_024)
        wordCount = nil
        lineByteCount = 0
        position = 0
        if buffer.readableBytes == 0 {
            buffer = ByteBuffer()
            isWaitingForBytes = true
        }
    }

    // MARK: Scanning

    /// Finds further words. Returns whether the request is complete.
    private mutating func scan(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> Bool {
        if wordCount == nil { wordCount = try scanWordCount(bytes) }
        guard let wordCount else { return false }
        while words.count < wordCount {
            guard try scanWord(bytes) else { return false }
        }
        return true
    }

    /// The number of words of the request that begins; nil if its header is not complete. A null has none.
    private mutating func scanWordCount(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> Int? {
        guard let header = try header(bytes, mark: UInt8(ascii: "*"), of: "a request") else { return nil }
        position = header.end
        // A line has a byte and a space or a line end for each word.
        let wordsMax = (lineBytesMax + 1) / 2
        guard header.number <= wordsMax else {
            throw WireError(.limit, "got a request of \(header.number) words, expected at most \(wordsMax)")
        }
        return max(0, header.number)
    }

    private mutating func scanWord(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> Bool {
        guard let header = try header(bytes, mark: UInt8(ascii: "$"), of: "a word") else { return false }
        guard header.number >= 0 else {
            throw WireError(.badRequest, "got a null as word \(words.count + 1), expected a bulk string")
        }
        // Checked before the bytes arrive, so that they never take more memory than allowed.
        guard lineByteCount + header.number <= lineBytesMax else {
            throw WireError(.limit, "got a request of more than \(lineBytesMax) bytes, expected at most that")
        }
        let end = header.end + header.number
        guard bytes.count >= end + 2 else { return false }
        guard bytes[end] == UInt8(ascii: "\r"), bytes[end + 1] == UInt8(ascii: "\n") else {
            let got = "got a word longer than the \(header.number) bytes of its header"
            throw WireError(.badRequest, "\(got), expected CR LF after them")
        }
        words.append(RESPWords.Place(start: Int32(header.end), end: Int32(end)))
        lineByteCount += header.number + 1
        position = end + 2
        return true
    }

    private struct Header {
        /// −1 for a null.
        let number: Int
        /// The index after the header's LF.
        let end: Int
    }

    /// The header at `position`. Nil if it is not complete.
    private func header(_ bytes: UnsafeRawBufferPointer, mark: UInt8, of noun: String) throws(WireError) -> Header? {
        guard position < bytes.count else { return nil }
        guard bytes[position] == mark else {
            let byte = UnsafeRawBufferPointer(rebasing: bytes[position..<position + 1])
            let expected = String(decoding: [mark], as: UTF8.self)
            throw WireError(.badRequest, "got \(quoted(byte)) as the first byte of \(noun), expected '\(expected)'")
        }
        var at = position + 1
        var number = 0
        while at < bytes.count, bytes[at] &- 0x30 < 10, at - position <= 10 {
            number = number * 10 + Int(bytes[at] &- 0x30)
            at += 1
        }
        // Most headers end here.
        if at > position + 1, at + 1 < bytes.count, bytes[at] == UInt8(ascii: "\r"),
            bytes[at + 1] == UInt8(ascii: "\n")
        {
            return Header(number: number, end: at + 2)
        }
        return try unusualHeader(UnsafeRawBufferPointer(rebasing: bytes[position...]), of: noun)
    }

    /// A header that is incomplete, a null or wrong. `bytes` begin with its mark.
    private func unusualHeader(_ bytes: UnsafeRawBufferPointer, of noun: String) throws(WireError) -> Header? {
        let line = bytes.dropFirst().prefix(Self.headerBytesMax)
        let text = line.prefix { $0 != UInt8(ascii: "\n") }
        if text.count == line.count, line.count < Self.headerBytesMax { return nil }
        if text.elementsEqual("-1\r".utf8) { return Header(number: -1, end: position + 5) }
        let got = quoted(UnsafeRawBufferPointer(rebasing: text.last == UInt8(ascii: "\r") ? text.dropLast() : text))
        throw WireError(.badRequest, "got \(got) as the length of \(noun), expected digits and CR LF")
    }
}
