/// The code and the comments of a Swift or C text, separately.
///
/// Both keep their bytes at the same offsets as in the text, with spaces elsewhere and all newlines. So an offset is on
/// the same line in all three.
struct SourceLayers {
    /// The text without comments. A string keeps only its quotes and the code in its interpolations.
    private(set) var code: [UInt8]
    private(set) var comments: [UInt8]

    private let text: [UInt8]
    private let isC: Bool
    private var position = 0
    /// The last byte of code that is not a space.
    private var previous: UInt8 = 0

    private static let isSpecial: [Bool] = (0..<256).map { "/\"'#()".utf8.contains(UInt8($0)) }

    init(of text: String, isC: Bool) {
        self.text = Array(text.utf8)
        self.isC = isC
        code = self.text.map { $0 == UInt8(ascii: "\n") ? $0 : UInt8(ascii: " ") }
        comments = code
        while position < self.text.count { readCode(isInterpolation: false) }
    }

    private func byte(at offset: Int) -> UInt8 { offset < text.count ? text[offset] : 0 }

    private func isNext(_ expected: StaticString) -> Bool {
        (0..<expected.utf8CodeUnitCount).allSatisfy { byte(at: position + $0) == expected.utf8Start[$0] }
    }

    private mutating func takeCode(_ count: Int = 1) {
        for _ in 0..<count where position < text.count {
            code[position] = text[position]
            if text[position] > UInt8(ascii: " ") { previous = text[position] }
            position += 1
        }
    }

    private mutating func takeComment() {
        comments[position] = text[position]
        position += 1
    }

    /// Reads to the end of the text, or to the end of an interpolation, including its closing parenthesis.
    private mutating func readCode(isInterpolation: Bool) {
        var depth = 0
        while position < text.count {
            // Most bytes begin nothing special. Calling `isNext` for each would take seconds.
            guard Self.isSpecial[Int(text[position])] else {
                takeCode()
                continue
            }
            if isNext("//") {
                while position < text.count, text[position] != UInt8(ascii: "\n") { takeComment() }
            } else if isNext("/*") {
                readBlockComment()
            } else if isNext("\"") || isNext("#\"") || isNext("##") || isNext("#/") {
                readDelimited()
            } else if isC && isNext("'") {
                readString(hashes: 0, delimiter: [UInt8(ascii: "'")])
            } else if !isC && isNext("/") && isRegex {
                readString(hashes: 0, delimiter: [UInt8(ascii: "/")])
            } else {
                if isNext("(") { depth += 1 }
                if isNext(")") { depth -= 1 }
                takeCode()
                if isInterpolation && depth < 0 { return }
            }
        }
    }

    /// Block comments nest in Swift, but not in C.
    private mutating func readBlockComment() {
        var depth = 0
        repeat {
            if isNext("/*") && (depth == 0 || !isC) {
                depth += 1
                position += 2
            } else if isNext("*/") {
                depth -= 1
                position += 2
            } else {
                takeComment()
            }
        } while depth > 0 && position < text.count
    }

    /// Reads a string or a regular expression, which is raw if hash signs come first. Other hash signs are code.
    private mutating func readDelimited() {
        var hashes = 0
        while byte(at: position + hashes) == UInt8(ascii: "#") { hashes += 1 }
        let first = byte(at: position + hashes)
        guard first == UInt8(ascii: "\"") || first == UInt8(ascii: "/") else { return takeCode(hashes) }
        takeCode(hashes)
        readString(hashes: hashes, delimiter: isNext("\"\"\"") ? Array("\"\"\"".utf8) : [first])
    }

    private mutating func readString(hashes: Int, delimiter: [UInt8]) {
        let end = delimiter + [UInt8](repeating: UInt8(ascii: "#"), count: hashes)
        let escape = [UInt8(ascii: "\\")] + end.dropFirst(delimiter.count)
        takeCode(delimiter.count)
        while position < text.count {
            let byte = text[position]
            if byte == end[0], text[position...].starts(with: end) { return takeCode(end.count) }
            if byte == escape[0], text[position...].starts(with: escape) {
                position += escape.count
                if isNext("("), !isC, delimiter[0] == UInt8(ascii: "\"") {
                    takeCode()
                    readCode(isInterpolation: true)
                } else {
                    position += 1
                }
            } else if byte == UInt8(ascii: "\n") && delimiter.count == 1 {
                return
            } else {
                position += 1
            }
        }
    }

    /// Whether the next slash begins a regular expression. It does if a value can begin there, and another slash
    /// follows on the line.
    private var isRegex: Bool {
        guard "=(,[:{&|".utf8.contains(previous), byte(at: position + 1) > UInt8(ascii: " ") else { return false }
        let rest = text[(position + 1)...].prefix { $0 != UInt8(ascii: "\n") }
        return rest.first != UInt8(ascii: ")") && rest.contains(UInt8(ascii: "/"))
    }
}
