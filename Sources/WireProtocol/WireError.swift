/// The code of an `ERR` line: one upper-case word for programs.
///
/// `CORRUPT`, `NOAUTH` and `DENIED` are reserved: a client should know them, but this version of the server sends none
/// of them.
package enum WireErrorCode: String, Sendable, CaseIterable {
    case badRequest = "BADREQUEST"
    case unknown = "UNKNOWN"
    case noCollection = "NOCOLLECTION"
    case noItem = "NOITEM"
    case exists = "EXISTS"
    case dimension = "DIM"
    case badVector = "BADVECTOR"
    case badID = "BADID"
    case step = "STEP"
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

/// The contents of an `ERR` line: a code for programs and a message for people ("got 3 numbers, expected 64").
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

/// Quotes bytes that a client sent, for a message. The quotation is short and printable, so that no byte of a request
/// can break the line of its reply. Valid UTF-8 keeps its characters, with `%XX` for control characters. In other
/// bytes, `%XX` replaces every byte that is not printable ASCII.
///
/// The control characters above ASCII (U+0080 to U+009F) are replaced too, because some terminals obey them.
package func quoted(_ bytes: UnsafeRawBufferPointer) -> String {
    let shownBytesMax = 40
    var shownCount = min(bytes.count, shownBytesMax)
    // Do not cut a character in half.
    while shownCount < bytes.count, shownCount > shownBytesMax - 4, bytes[shownCount] & 0xC0 == 0x80 { shownCount -= 1 }
    let shown = bytes[..<shownCount]
    var text = ""
    if let characters = String(validating: shown, as: UTF8.self) {
        for scalar in characters.unicodeScalars {
            if scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) {
                for byte in String(scalar).utf8 { text += percentEncoded(byte) }
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

package func quoted(_ text: String) -> String {
    var text = text
    return text.withUTF8 { quoted(UnsafeRawBufferPointer($0)) }
}
