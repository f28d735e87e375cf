import LogQClient
import WireProtocol

/// The reason why a line of input is not an item: "got the key 'vec', expected id, vector or features".
struct BadLine: Error, Equatable {
    let message: String

    init(_ message: String) { self.message = message }
}

/// One line of `load`: `{"id": "sku-1", "vector": [0.1, -2], "features": {"price": 3}}`.
///
/// The keys may come in any order. `id` is a string, or an integer whose digits become the id. `vector` is an array of
/// numbers, or a string with `f32:` and base64. One of `vector` and `features` may be missing or null.
///
/// A general JSON decoder would spend ten times as long on the numbers, which are nearly all of the input. So this
/// parser handles only this form, in one pass over the bytes. It passes the whole vector to `VectorText`, and the
/// features as text to the daemon, which checks them anyway.
struct ItemLine: Equatable {
    var id: ItemID
    /// Nil if the line sets only features.
    var vector: [Float]?
    var features: String?

    init(parsing line: UnsafeRawBufferPointer) throws(BadLine) {
        var scanner = JSONScanner(line)
        var id: ItemID?
        var vector: [Float]?
        var features: String?
        var hasVector = false
        var hasFeatures = false
        try scanner.expect(UInt8(ascii: "{"), "an object, '{' (--help shows how to convert other formats)")
        if !scanner.skip(UInt8(ascii: "}")) {
            repeat {
                let key = String(decoding: try scanner.string(), as: UTF8.self)
                try scanner.expect(UInt8(ascii: ":"), "':' after the key \(quoted(key))")
                switch key {
                case "id" where id == nil:
                    id = try scanner.id()
                case "vector" where !hasVector:
                    vector = try scanner.vector()
                    hasVector = true
                case "features" where !hasFeatures:
                    features = try scanner.features()
                    hasFeatures = true
                case "id", "vector", "features":
                    throw BadLine("got the key '\(key)' twice")
                default:
                    throw BadLine("got the key \(quoted(key)), expected id, vector or features")
                }
            } while scanner.skip(UInt8(ascii: ","))
            try scanner.expect(UInt8(ascii: "}"), "',' or '}'")
        }
        try scanner.expectEnd()
        guard let id else { throw BadLine("got no id") }
        guard vector != nil || features != nil else { throw BadLine("got neither a vector nor features") }
        self.id = id
        self.vector = vector
        self.features = features
    }
}

/// Removes white space from a vector. Vectors in JSON or typed by hand may have some, as `[0.1, -2]`; those of the
/// protocol have none.
enum VectorSpacing {
    static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A
    }

    /// Returns nil if only white space separates two numbers, because removing it would make them one number.
    static func removed(from word: UnsafeRawBufferPointer) -> [UInt8]? {
        var compact: [UInt8] = []
        compact.reserveCapacity(word.count)
        var isAfterSpace = false
        for byte in word {
            if isSpace(byte) {
                isAfterSpace = true
                continue
            }
            if isAfterSpace, let last = compact.last, !isSeparator(last), !isSeparator(byte) { return nil }
            compact.append(byte)
            isAfterSpace = false
        }
        return compact
    }

    private static func isSeparator(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "[") || byte == UInt8(ascii: "]") || byte == UInt8(ascii: ",")
    }
}

/// Reads the parts of one JSON object in order.
private struct JSONScanner {
    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    private mutating func skipSpace() {
        while position < bytes.count, JSONScanner.isSpace(bytes[position]) { position += 1 }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { VectorSpacing.isSpace(byte) }

    /// Skips white space, and returns the next byte without consuming it.
    private mutating func peek() -> UInt8? {
        skipSpace()
        return position < bytes.count ? bytes[position] : nil
    }

    mutating func skip(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        position += 1
        return true
    }

    mutating func expect(_ byte: UInt8, _ what: String) throws(BadLine) {
        guard skip(byte) else { throw unexpected(what) }
    }

    mutating func expectEnd() throws(BadLine) {
        if peek() != nil { throw unexpected("the end of the line") }
    }

    private func unexpected(_ what: String) -> BadLine {
        guard position < bytes.count else { return BadLine("got the end of the line, expected \(what)") }
        // Do not cut a character in half, because its bytes would be shown one by one.
        var end = min(position + 20, bytes.count)
        while end < bytes.count, bytes[end] & 0xC0 == 0x80 { end += 1 }
        return BadLine("got \(quoted(slice(position..<end))) at column \(position + 1), expected \(what)")
    }

    private func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[range])
    }

    /// The bytes between the quotes, with escapes decoded.
    mutating func string() throws(BadLine) -> [UInt8] {
        try expect(UInt8(ascii: "\""), "a string")
        let start = position
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                defer { position += 1 }
                return Array(bytes[start..<position])
            case UInt8(ascii: "\\"):
                return try escapedString(from: start)
            default:
                position += 1
            }
        }
        throw unexpected("the end of a string")
    }

    /// The slow path, for a string with an escape.
    private mutating func escapedString(from start: Int) throws(BadLine) -> [UInt8] {
        var result = Array(bytes[start..<position])
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            if byte == UInt8(ascii: "\"") { return result }
            guard byte == UInt8(ascii: "\\") else {
                result.append(byte)
                continue
            }
            guard position < bytes.count else { break }
            let escape = bytes[position]
            position += 1
            switch escape {
            case UInt8(ascii: "n"): result.append(0x0A)
            case UInt8(ascii: "t"): result.append(0x09)
            case UInt8(ascii: "r"): result.append(0x0D)
            case UInt8(ascii: "b"): result.append(0x08)
            case UInt8(ascii: "f"): result.append(0x0C)
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(escape)
            case UInt8(ascii: "u"): result += try unicodeEscape()
            default:
                position -= 2
                throw unexpected("an escape of JSON")
            }
        }
        throw unexpected("the end of a string")
    }

    /// Reads the four hex digits after `\u`, and a second escape if they are the first half of a surrogate pair.
    private mutating func unicodeEscape() throws(BadLine) -> [UInt8] {
        var units = [try hexUnit()]
        if UTF16.isLeadSurrogate(units[0]), position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
            bytes[position + 1] == UInt8(ascii: "u")
        {
            position += 2
            units.append(try hexUnit())
        }
        guard let text = String(validating: units, as: UTF16.self) else { throw unexpected("a surrogate pair before") }
        return Array(text.utf8)
    }

    private mutating func hexUnit() throws(BadLine) -> UInt16 {
        let digits = slice(position..<min(position + 4, bytes.count))
        guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw unexpected("four hex digits") }
        position += 4
        return unit
    }

    private mutating func skipNull() -> Bool {
        guard peek() == UInt8(ascii: "n"), position + 4 <= bytes.count,
            slice(position..<position + 4).elementsEqual("null".utf8)
        else { return false }
        position += 4
        return true
    }

    mutating func id() throws(BadLine) -> ItemID {
        if peek() == UInt8(ascii: "\"") { return ItemID(try string()) }
        let start = position
        if position < bytes.count, bytes[position] == UInt8(ascii: "-") { position += 1 }
        let firstDigit = position
        while position < bytes.count, (0x30...0x39).contains(bytes[position]) { position += 1 }
        let isInteger = position == bytes.count || ![0x2E, 0x45, 0x65].contains(bytes[position])
        guard position > firstDigit, isInteger else {
            position = start
            throw unexpected("an id: a string or an integer")
        }
        return ItemID(Array(bytes[start..<position]))
    }

    /// Nil for `null`.
    mutating func vector() throws(BadLine) -> [Float]? {
        if skipNull() { return nil }
        guard let first = peek(), first == UInt8(ascii: "[") || first == UInt8(ascii: "\"") else {
            throw unexpected("a vector: an array of numbers, or a string f32:…")
        }
        if first == UInt8(ascii: "\"") {
            let text = try string()
            return try text.withUnsafeBytes { JSONScanner.vector($0) }.get()
        }
        let start = position
        var hasSpace = false
        while position < bytes.count, bytes[position] != UInt8(ascii: "]") {
            hasSpace = hasSpace || JSONScanner.isSpace(bytes[position])
            position += 1
        }
        guard position < bytes.count else { throw unexpected("']' at the end of the vector") }
        position += 1
        let word = slice(start..<position)
        guard hasSpace else { return try JSONScanner.vector(word).get() }
        guard let compact = VectorSpacing.removed(from: word) else {
            throw BadLine("vector: got two numbers without ','")
        }
        return try compact.withUnsafeBytes { JSONScanner.vector($0) }.get()
    }

    private static func vector(_ word: UnsafeRawBufferPointer) -> Result<[Float], BadLine> {
        do throws(WireError) {
            return .success(try VectorText.read(word))
        } catch {
            return .failure(BadLine("vector: \(error.message)"))
        }
    }

    /// Returns an object unchanged, or nil for `null`. The daemon checks the content.
    mutating func features() throws(BadLine) -> String? {
        if skipNull() { return nil }
        guard peek() == UInt8(ascii: "{") else { throw unexpected("features: an object or null") }
        let start = position
        var depth = 0
        var isInString = false
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            if isInString {
                if byte == UInt8(ascii: "\\") { position += 1 }
                if byte == UInt8(ascii: "\"") { isInString = false }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isInString = true
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            default: continue
            }
            if depth == 0, !isInString {
                guard let text = String(validating: slice(start..<position), as: UTF8.self) else {
                    throw BadLine("got features that are not UTF-8")
                }
                return text
            }
        }
        position = bytes.count
        throw unexpected("'}' at the end of the features")
    }
}
