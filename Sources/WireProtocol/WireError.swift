/// The one upper-case word of an `ERR` line that machines read.
///
/// The last five are reserved: a client should know them, this server does not send them yet.
package enum WireErrorCode: String, Sendable, CaseIterable {
    case badRequest = "BADREQUEST"
    case unknown = "UNKNOWN"
    case noCollection = "NOCOLLECTION"
    case noItem = "NOITEM"
    case exists = "EXISTS"
    case dimension = "DIM"
    case badVector = "BADVECTOR"
    case badID = "BADID"
    case limit = "LIMIT"
    case busy = "BUSY"
    case full = "FULL"
    case readOnly = "READONLY"
    case draining = "DRAINING"
    case timeout = "TIMEOUT"
    case corrupt = "CORRUPT"
    case noAuth = "NOAUTH"
    case denied = "DENIED"
    case internalError = "INTERNAL"
}

/// What an `ERR` line says: a code for machines, then words for people, "got 3 numbers, expected 64".
package struct WireError: Error, Sendable, Equatable, CustomStringConvertible {
    package var code: WireErrorCode
    package var message: String

    package init(_ code: WireErrorCode, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { "\(code.rawValue) \(message)" }
}

/// Quotes bytes that a client sent, for a message: cut short, and percent-encoded as replies encode ids, so that no byte
/// of a request can break the line of its reply.
package func quoted(_ bytes: UnsafeRawBufferPointer) -> String {
    let shownBytesMax = 40
    let shown = UnsafeRawBufferPointer(rebasing: bytes.prefix(shownBytesMax))
    let text = String(unsafeUninitializedCapacity: IDText.textBytesMax(shown.count)) { room in
        guard let start = room.baseAddress else { return 0 }
        var cursor = TextCursor(next: start)
        cursor.id(shown)
        return cursor.next - start
    }
    return "'\(text)'" + (bytes.count > shownBytesMax ? "..." : "")
}

/// `quoted(_:)` for a text.
package func quoted(_ text: String) -> String {
    var text = text
    return text.withUTF8 { quoted(UnsafeRawBufferPointer($0)) }
}
