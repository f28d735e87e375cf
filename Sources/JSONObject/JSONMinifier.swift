/// Checks the grammar of a JSON object in one pass, copies everything except white space, and remembers the keys of the
/// open objects. The size of the output buffer bounds the output, and `JSONLimits.levelsMax` bounds the nesting.
struct JSONMinifier {
    private let text: UnsafeRawBufferPointer
    private let output: UnsafeMutableBufferPointer<UInt8>
    private(set) var outputCount = 0
    private var at = 0
    private var depth = 0
    /// The keys of the open objects. Those of the innermost object come last.
    private var keys: [Key] = []
    /// For each remainder of a hash, the index in `keys` of the last such key; -1 if there is none. The keys of a chain
    /// are linked by `Key.previous`. Comparing each key with all others would take milliseconds in a long object.
    private let chains: UnsafeMutableBufferPointer<Int32>
    /// The unescaped bytes of the keys that have escapes.
    private var unescaped: [UInt8] = []

    /// A key. Its bytes are in `unescaped` if it has escapes, otherwise in the output.
    private struct Key {
        let hash: UInt32
        let previous: Int32
        let isUnescaped: Bool
        let start: Int
        let count: Int
    }

    /// `chains` must have `chainCount(forOutputOf:)` elements, in any state.
    init(
        text: UnsafeRawBufferPointer,
        output: UnsafeMutableBufferPointer<UInt8>,
        chains: UnsafeMutableBufferPointer<Int32>
    ) {
        self.text = text
        self.output = output
        self.chains = chains
        chains.initialize(repeating: -1)
    }

    /// A power of two, so that a chain has a few keys at most: a member has five bytes or more.
    static func chainCount(forOutputOf byteCount: Int) -> Int {
        1 << (Int.bitWidth - (byteCount >> 5).leadingZeroBitCount)
    }

    mutating func document() throws(JSONError) {
        skipSpace()
        guard next == UInt8(ascii: "{") else { throw malformed("a JSON object, {...}") }
        try object()
        skipSpace()
        guard at == text.count else { throw malformed("the end of the line") }
    }

    // MARK: Values

    private mutating func value() throws(JSONError) {
        switch next {
        case UInt8(ascii: "{"): try object()
        case UInt8(ascii: "["): try array()
        case UInt8(ascii: "\""): _ = try string()
        case UInt8(ascii: "t"): try literal("true")
        case UInt8(ascii: "f"): try literal("false")
        case UInt8(ascii: "n"): try literal("null")
        default: try number()
        }
    }

    private mutating func object() throws(JSONError) {
        try enter()
        let keysBefore = keys.count
        let unescapedBefore = unescaped.count
        skipSpace()
        if next == UInt8(ascii: "}") {
            try copy()
        } else {
            repeat {
                skipSpace()
                guard next == UInt8(ascii: "\"") else { throw malformed("a key in double quotes") }
                try key(objectKeysFrom: keysBefore)
                skipSpace()
                guard next == UInt8(ascii: ":") else { throw malformed("a colon") }
                try copy()
                skipSpace()
                try value()
                skipSpace()
            } while try goesOn(until: UInt8(ascii: "}"), "a comma or }")
        }
        for key in keys[keysBefore...].reversed() { chains[chain(of: key.hash)] = key.previous }
        keys.removeSubrange(keysBefore...)
        unescaped.removeSubrange(unescapedBefore...)
        depth -= 1
    }

    private mutating func array() throws(JSONError) {
        try enter()
        skipSpace()
        if next == UInt8(ascii: "]") {
            try copy()
        } else {
            repeat {
                skipSpace()
                try value()
                skipSpace()
            } while try goesOn(until: UInt8(ascii: "]"), "a comma or ]")
        }
        depth -= 1
    }

    private mutating func enter() throws(JSONError) {
        depth += 1
        guard depth <= JSONLimits.levelsMax else {
            throw .tooDeep(levelsMax: JSONLimits.levelsMax)
        }
        try copy()
    }

    /// Copies a comma and returns true, or copies the closing bracket `end` and returns false.
    private mutating func goesOn(until end: UInt8, _ expected: String) throws(JSONError) -> Bool {
        guard next == UInt8(ascii: ",") || next == end else { throw malformed(expected) }
        let isComma = next == UInt8(ascii: ",")
        try copy()
        return isComma
    }

    private mutating func literal(_ word: StaticString) throws(JSONError) {
        for index in 0..<word.utf8CodeUnitCount {
            guard next == word.utf8Start[index] else { throw malformed("a JSON value") }
            try copy()
        }
    }

    private mutating func number() throws(JSONError) {
        if next == UInt8(ascii: "-") { try copy() }
        if next == UInt8(ascii: "0") {
            try copy()
        } else {
            try digits("a JSON value")
        }
        if next == UInt8(ascii: ".") {
            try copy()
            try digits("a digit")
        }
        if let byte = next, byte | 0x20 == UInt8(ascii: "e") {
            try copy()
            if next == UInt8(ascii: "-") || next == UInt8(ascii: "+") { try copy() }
            try digits("a digit")
        }
    }

    private mutating func digits(_ expected: String) throws(JSONError) {
        guard let first = next, first &- 0x30 < 10 else { throw malformed(expected) }
        while let byte = next, byte &- 0x30 < 10 { try copy() }
    }

    // MARK: Strings and keys

    /// Copies a string. Returns whether it has escapes.
    private mutating func string() throws(JSONError) -> Bool {
        var hasEscapes = false
        try copy()
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                try copy()
                return hasEscapes
            case UInt8(ascii: "\\"):
                hasEscapes = true
                try escape()
            case 0..<0x20:
                throw malformed("no raw control byte in a string")
            case 0x80...:
                try multibyteScalar()
            default:
                try copy()
            }
        }
        throw malformed("a double quote")
    }

    private mutating func escape() throws(JSONError) {
        try copy()
        switch next {
        case UInt8(ascii: "u"):
            try copy()
            for _ in 0..<4 {
                guard let byte = next, hexValue(byte) != nil else { throw malformed("four hex digits after \\u") }
                try copy()
            }
        case .some(let byte) where "\"\\/bfnrt".utf8.contains(byte):
            try copy()
        default:
            throw malformed("an escape that JSON has")
        }
    }

    /// Copies a scalar above ASCII. Throws unless it is well-formed UTF-8: shortest form, no surrogate, not above
    /// U+10FFFF.
    private mutating func multibyteScalar() throws(JSONError) {
        let lead = text[at]
        let (count, second): (Int, ClosedRange<UInt8>) =
            switch lead {
            case 0xC2...0xDF: (2, 0x80...0xBF)
            case 0xE0: (3, 0xA0...0xBF)
            case 0xED: (3, 0x80...0x9F)
            case 0xE1...0xEF: (3, 0x80...0xBF)
            case 0xF0: (4, 0x90...0xBF)
            case 0xF1...0xF3: (4, 0x80...0xBF)
            case 0xF4: (4, 0x80...0x8F)
            default: (0, 0x80...0xBF)
            }
        guard count > 0, at + count <= text.count, second.contains(text[at + 1]),
            (2..<count).allSatisfy({ text[at + $0] & 0xC0 == 0x80 })
        else { throw malformed("UTF-8") }
        for _ in 0..<count { try copy() }
    }

    private mutating func key(objectKeysFrom first: Int) throws(JSONError) {
        let start = outputCount + 1
        let hasEscapes = try string()
        let end = outputCount - 1
        let raw = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: output[start..<end]))
        let key: Key
        if hasEscapes {
            let unescapedStart = unescaped.count
            Self.unescape(raw, into: &unescaped)
            let bytes = unescaped[unescapedStart...]
            key = newKey(Self.hash(bytes), isUnescaped: true, start: unescapedStart, count: bytes.count)
        } else {
            key = newKey(Self.hash(raw), isUnescaped: false, start: start, count: raw.count)
        }
        // The keys of the objects around this one have lower indices.
        var index = Int(key.previous)
        while index >= first {
            let other = keys[index]
            if other.hash == key.hash, other.count == key.count, bytes(of: other) == bytes(of: key) {
                throw .repeatedKey(Array(raw))
            }
            index = Int(other.previous)
        }
        chains[chain(of: key.hash)] = Int32(keys.count)
        keys.append(key)
    }

    private func newKey(_ hash: UInt32, isUnescaped: Bool, start: Int, count: Int) -> Key {
        Key(hash: hash, previous: chains[chain(of: hash)], isUnescaped: isUnescaped, start: start, count: count)
    }

    private func chain(of hash: UInt32) -> Int {
        Int(hash) & (chains.count - 1)
    }

    private func bytes(of key: Key) -> [UInt8] {
        let range = key.start..<(key.start + key.count)
        return key.isUnescaped ? Array(unescaped[range]) : Array(output[range])
    }

    /// FNV-1a. Only keys with equal hashes need a comparison of their bytes.
    private static func hash(_ bytes: some Sequence<UInt8>) -> UInt32 {
        var hash: UInt32 = 0x811C_9DC5
        for byte in bytes { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
        return hash
    }

    /// Appends the unescaped content of a string, which must be well-formed. A lone surrogate, which UTF-8 cannot
    /// encode, becomes three bytes that no valid UTF-8 contains.
    static func unescape(_ text: UnsafeRawBufferPointer, into bytes: inout [UInt8]) {
        var at = 0
        while at < text.count {
            guard text[at] == UInt8(ascii: "\\") else {
                bytes.append(text[at])
                at += 1
                continue
            }
            let letter = text[at + 1]
            at += 2
            switch letter {
            case UInt8(ascii: "b"): bytes.append(0x08)
            case UInt8(ascii: "f"): bytes.append(0x0C)
            case UInt8(ascii: "n"): bytes.append(0x0A)
            case UInt8(ascii: "r"): bytes.append(0x0D)
            case UInt8(ascii: "t"): bytes.append(0x09)
            case UInt8(ascii: "u"):
                var scalar = codeUnit(text, at)
                at += 4
                if scalar & 0xFC00 == 0xD800, at + 6 <= text.count, text[at] == UInt8(ascii: "\\"),
                    text[at + 1] == UInt8(ascii: "u"), codeUnit(text, at + 2) & 0xFC00 == 0xDC00
                {
                    scalar = 0x10000 + (scalar & 0x3FF) << 10 + codeUnit(text, at + 2) & 0x3FF
                    at += 6
                }
                appendUTF8(scalar, to: &bytes)
            default: bytes.append(letter)
            }
        }
    }

    private static func codeUnit(_ text: UnsafeRawBufferPointer, _ start: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 << 4 | UInt32(hexValue(text[start + $1]) ?? 0) }
    }

    private static func appendUTF8(_ scalar: UInt32, to bytes: inout [UInt8]) {
        func continuation(_ shift: UInt32) -> UInt8 { UInt8(0x80 | (scalar >> shift) & 0x3F) }
        switch scalar {
        case ..<0x80: bytes.append(UInt8(scalar))
        case ..<0x800: bytes += [UInt8(0xC0 | scalar >> 6), continuation(0)]
        case ..<0x10000: bytes += [UInt8(0xE0 | scalar >> 12), continuation(6), continuation(0)]
        default: bytes += [UInt8(0xF0 | scalar >> 18), continuation(12), continuation(6), continuation(0)]
        }
    }

    // MARK: Bytes

    @inline(__always)
    private var next: UInt8? { at < text.count ? text[at] : nil }

    @inline(__always)
    private mutating func copy() throws(JSONError) {
        guard outputCount < output.count else {
            throw .tooLong(bytesMax: JSONLimits.bytesMax)
        }
        output[outputCount] = text[at]
        outputCount += 1
        at += 1
    }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || (0x09...0x0D).contains(byte) && byte != 0x0B && byte != 0x0C { at += 1 }
    }

    private func malformed(_ expected: String) -> JSONError {
        .malformed(got: Array(text[at..<min(at + 8, text.count)]), byte: at + 1, expected: expected)
    }
}

/// The value of a hex digit in either case. Nil for any other byte.
@inlinable
package func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
