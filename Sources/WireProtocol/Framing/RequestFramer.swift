package import NIOCore

/// A request that a framer has found, or the end of all requests.
package enum RequestFrame: Equatable {
    /// The next `byteCount` bytes are a request. Parse it, then `consume` it.
    case request(byteCount: Int)
    case lost(WireError)
}

/// Splits the bytes of a connection into requests. The first byte decides the framing for good: `*` begins RESP,
/// anything else lines.
package struct RequestFramer {
    package enum Framing: Sendable {
        case lines, resp
    }

    private var lines: LineFramer
    private var arrays: RESPFramer
    /// Nil before the first byte.
    package private(set) var framing: Framing?

    package init(lineBytesMax: Int) {
        lines = LineFramer(lineBytesMax: lineBytesMax)
        arrays = RESPFramer(lineBytesMax: lineBytesMax)
    }

    private var isRESP: Bool { framing == .resp }

    /// The number of received bytes that were not consumed.
    package var pendingByteCount: Int { isRESP ? arrays.pendingByteCount : lines.pendingByteCount }

    /// Whether `next()` has returned nil for the bytes so far, or always will because the framing is lost.
    package var isWaitingForBytes: Bool { isRESP ? arrays.isWaitingForBytes : lines.isWaitingForBytes }

    package mutating func append(_ bytes: ByteBuffer) {
        if framing == nil, let first = bytes.getInteger(at: bytes.readerIndex, as: UInt8.self) {
            framing = first == UInt8(ascii: "*") ? .resp : .lines
        }
        if isRESP { arrays.append(bytes) } else { lines.append(bytes) }
    }

    /// The next request, or the loss of the framing. Nil if the request is not complete or the framing was lost before.
    package mutating func next() -> RequestFrame? {
        isRESP ? arrays.next() : lines.next()
    }

    /// Parses the request of `byteCount` bytes that `next()` returned, in place of what `request` was.
    package mutating func parse(
        byteCount: Int,
        with parser: RequestParser,
        into request: inout Request
    ) throws(RefusedRequest) {
        if isRESP {
            return try arrays.withWords { words throws(RefusedRequest) in try parser.parse(&words, into: &request) }
        }
        try lines.withLine(byteCount: byteCount) { line throws(RefusedRequest) in
            try parser.parse(line, into: &request)
        }
    }

    package mutating func consume(byteCount: Int) {
        if isRESP { arrays.consume(byteCount: byteCount) } else { lines.consume(byteCount: byteCount) }
    }
}
