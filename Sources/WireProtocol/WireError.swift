/// The one upper-case word of an `ERR` line that machines read.
///
/// The last four are reserved: a client should know them, this server does not send them yet.
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

    package static func replyTooLong(bytesMax: Int) -> WireError {
        WireError(.limit, "got a reply of more than \(bytesMax) bytes, expected at most that: ask for less")
    }
}

/// Quotes bytes that a client sent, for a message: cut short, and printable, so that no byte of a request can break the
/// line of its reply. Text stands as it was typed; controls, and all bytes of what is no UTF-8, become `%XX`.
package func quoted(_ bytes: UnsafeRawBufferPointer) -> String {
    let shownBytesMax = 40
    var shownCount = min(bytes.count, shownBytesMax)
    // Not through the middle of a character.
    while shownCount < bytes.count, shownCount > shownBytesMax - 4, bytes[shownCount] & 0xC0 == 0x80 { shownCount -= 1 }
    let shown = bytes[..<shownCount]
    var text = ""
    if let characters = String(validating: shown, as: UTF8.self) {
        for scalar in characters.unicodeScalars {
            if scalar.value < 0x20 || scalar.value == 0x7F {
                text += percentEncoded(UInt8(scalar.value))
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
    } else {
        for byte in shown {
            text += (0x20..<0x7F).contains(byte) ? String(UnicodeScalar(byte)) : percentEncoded(byte)
        }
    }
    return "'\(text)'" + (bytes.count > shownCount ? "..." : "")
}

private func percentEncoded(_ byte: UInt8) -> String {
    (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
}

/// `quoted(_:)` for a text.
package func quoted(_ text: String) -> String {
    var text = text
    return text.withUTF8 { quoted(UnsafeRawBufferPointer($0)) }
}
