/// A client that asks in lines, and is answered in lines.
package protocol AskingSocket {
    func ask(_ request: String) throws -> LineSocket.Reply
}

extension LineSocket: AskingSocket {}

/// A simple blocking client that translates: it takes requests as lines, sends them as RESP, and returns the replies as
/// lines. So whatever is written for lines can be tried over RESP.
package final class RESPSocket: AskingSocket {
    /// A value of RESP2 or RESP3.
    package enum Value: Equatable {
        /// A simple string, a number or a flag, as it was sent.
        case word(String)
        case error(String)
        case bytes([UInt8])
        case list([Value])
        case map([Value])
        case null
    }

    private let socket: LineSocket
    /// Whether the last request is answered by a map, which RESP2 does not tell from an array.
    private var isMapExpected = false

    /// `version` is 2 or 3.
    package init(to address: LineSocket.Address, version: Int) throws {
        socket = try LineSocket(to: address)
        if version == 3 {
            try send([Array("HELLO".utf8), Array("3".utf8)])
            guard case .map = try readValue() else { throw HarnessError("HELLO 3 is not answered by a map") }
        }
    }

    package func ask(_ request: String) throws -> LineSocket.Reply {
        try send(line: Array(request.utf8))
        let lines = try readLines().map { String(decoding: $0, as: UTF8.self) }
        return LineSocket.Reply(header: lines[0], rows: Array(lines.dropFirst()))
    }

    // MARK: Requests

    package func send(_ words: [[UInt8]]) throws {
        try socket.send(Self.request(words))
    }

    package func send(line: [UInt8]) throws {
        let words = try Self.words(of: line)
        isMapExpected = String(decoding: words[0], as: UTF8.self).uppercased() == "CLOCK"
        try send(words)
    }

    package static func request(_ words: [[UInt8]]) -> [UInt8] {
        Array("*\(words.count)\r\n".utf8) + words.flatMap { Array("$\($0.count)\r\n".utf8) + $0 + Array("\r\n".utf8) }
    }

    /// Whether a line means the same as words of RESP, and is answered in the same rows. It must have single spaces,
    /// and no reserved byte may stand in an id. PING, HELLO, INFO and HELP are answered in another form.
    package static func canTranslate(line: [UInt8]) -> Bool {
        guard let words = try? words(of: line) else { return false }
        let name = String(decoding: words[0], as: UTF8.self).uppercased()
        return !["PING", "HELLO", "INFO", "HELP", "QUIT"].contains(name)
    }

    /// The words of a line, with ids unescaped and JSON as one word.
    static func words(of line: [UInt8]) throws -> [[UInt8]] {
        let name = String(decoding: line.prefix { $0 != 0x20 }, as: UTF8.self).uppercased()
        // The JSON of PUT and FSET takes the rest of the line, after the words that always come before it.
        let wordsBefore = ["PUT": 4, "FSET": 3][name] ?? .max
        var spaceCount = 0
        let brace = line.indices.dropFirst().first { at in
            if line[at - 1] == 0x20 { spaceCount += 1 }
            return spaceCount >= wordsBefore && line[at] == 0x7B && line[at - 1] == 0x20
        }
        var words = line[..<(brace.map { $0 - 1 } ?? line.count)]
            .split(separator: 0x20, omittingEmptySubsequences: false).map { Array($0) }
        guard !words.contains(where: { $0.isEmpty || $0.contains { $0 < 0x20 || $0 == 0x7F } }) else {
            throw HarnessError("cannot translate the line '\(String(decoding: line, as: UTF8.self))'")
        }
        if let brace { words.append(Array(line[brace...])) }
        // The place of the first id, after the words that always come before it, and the words from one to the next.
        let places = [
            "PUT": (2, .max), "FSET": (2, .max), "GET": (2, 1), "DEL": (2, 1), "FGET": (2, 1), "LOGQ": (2, 1),
            "FREQ": (2, 1), "OBSERVE": (3, 1), "SCORE": (3, 1), "FREQSET": (3, 3),
        ]
        guard let (minimum, step) = places[name] else { return words }
        let hasOptions = ["OBSERVE", "LOGQ", "FGET", "FREQSET"].contains(name)
        func isOption(_ word: [UInt8]) -> Bool { hasOptions && word.contains(UInt8(ascii: "=")) }
        let first = words.indices.dropFirst(minimum).first { !isOption(words[$0]) } ?? words.count
        var at = first
        while at < words.count {
            words[at] = try unescaped(words[at])
            guard step < words.count else { break }
            at += step
        }
        return words
    }

    private static func unescaped(_ word: [UInt8]) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var at = 0
        while at < word.count {
            if word[at] == UInt8(ascii: "%") {
                guard at + 2 < word.count, word[at + 1] != UInt8(ascii: "+"),
                    let byte = UInt8(String(decoding: word[at + 1...at + 2], as: UTF8.self), radix: 16)
                else { throw HarnessError("cannot translate the id '\(String(decoding: word, as: UTF8.self))'") }
                bytes.append(byte)
                at += 3
            } else {
                guard !"=,".utf8.contains(word[at]) else {
                    throw HarnessError("cannot translate the id '\(String(decoding: word, as: UTF8.self))'")
                }
                bytes.append(word[at])
                at += 1
            }
        }
        return bytes
    }

    // MARK: Replies

    /// The next reply in lines: a header and its rows.
    package func readLines() throws -> [[UInt8]] {
        let value = try readValue()
        if case .list(let entries) = value, isMapExpected { return Self.lines(ofMap: entries) }
        switch value {
        case .error(let message): return [Array("ERR \(message)".utf8)]
        case .word, .bytes, .null: return [Array("OK 0".utf8)]
        case .list(let rows): return [Array("OK \(rows.count)".utf8)] + rows.map(Self.row)
        case .map(let entries): return Self.lines(ofMap: entries)
        }
    }

    private static func lines(ofMap entries: [Value]) -> [[UInt8]] {
        [Array("OK \(entries.count / 2)".utf8)] + pairs(entries).map { $0 + [0x20] + $1 }
    }

    package func readValue() throws -> Value {
        var line = try socket.readLine()
        guard line.popLast() == UInt8(ascii: "\r"), let mark = line.first else {
            throw HarnessError("got the header '\(String(decoding: line, as: UTF8.self))', expected CR LF at its end")
        }
        let text = String(decoding: line.dropFirst(), as: UTF8.self)
        switch UnicodeScalar(mark) {
        case "+", ":", ",", "#": return .word(text)
        case "-": return .error(text)
        case "_" where text.isEmpty: return .null
        case "$" where text == "-1": return .null
        case "$":
            let bytes = try socket.readBytes(try Self.count(text) + 2)
            guard bytes.suffix(2) == [0x0D, 0x0A] else { throw HarnessError("no CR LF after a bulk string") }
            return .bytes(bytes.dropLast(2))
        case "*": return .list(try (0..<Self.count(text)).map { _ in try readValue() })
        case "%": return .map(try (0..<2 * Self.count(text)).map { _ in try readValue() })
        default:
            throw HarnessError("got the header '\(String(decoding: line, as: UTF8.self))', expected a value of RESP")
        }
    }

    private static func count(_ text: String) throws -> Int {
        guard let count = Int(text), count >= 0 else { throw HarnessError("got the length '\(text)'") }
        return count
    }

    private static func row(_ value: Value) -> [UInt8] {
        guard case .list(let columns) = value else { return text(value, isWholeRow: true) }
        return Array(columns.map { text($0) }.joined(separator: [0x20]))
    }

    private static func pairs(_ entries: [Value]) -> [([UInt8], [UInt8])] {
        stride(from: 0, to: entries.count, by: 2).map { at in
            (text(entries[at], isWholeRow: true), text(entries[at + 1], isWholeRow: true))
        }
    }

    private static func text(_ value: Value, isWholeRow: Bool = false) -> [UInt8] {
        switch value {
        case .word("t"): return [UInt8(ascii: "1")]
        case .word("f"): return [UInt8(ascii: "0")]
        case .word(let text), .error(let text): return Array(text.utf8)
        case .null: return [UInt8(ascii: "-")]
        case .bytes(let bytes): return isWholeRow ? bytes : escaped(bytes)
        case .list(let entries), .map(let entries):
            return Array(pairs(entries).map { $0 + [UInt8(ascii: "=")] + $1 }.joined(separator: [0x20]))
        }
    }

    /// Escapes the bytes of an id. JSON and vectors stay as they are.
    private static func escaped(_ bytes: [UInt8]) -> [UInt8] {
        if [UInt8(ascii: "{"), UInt8(ascii: "[")].contains(bytes.first) || bytes.starts(with: "f32:".utf8) {
            return bytes
        }
        return bytes.flatMap { byte -> [UInt8] in
            guard byte <= 0x20 || byte == 0x7F || "%=,".utf8.contains(byte) else { return [byte] }
            let hex = String(byte, radix: 16, uppercase: true)
            return Array("%\(hex.count < 2 ? "0" : "")\(hex)".utf8)
        }
    }
}
