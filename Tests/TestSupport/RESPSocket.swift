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
        try send(try Self.words(of: line))
    }

    package static func request(_ words: [[UInt8]]) -> [UInt8] {
        Array("*\(words.count)\r\n".utf8) + words.flatMap { Array("$\($0.count)\r\n".utf8) + $0 + Array("\r\n".utf8) }
    }

    /// The words of a line, with ids unescaped and JSON as one word.
    static func words(of line: [UInt8]) throws -> [[UInt8]] {
        var words = line.split(separator: 0x20, omittingEmptySubsequences: false).map { Array($0) }
        guard !words.contains([]), let name = words.first.map({ String(decoding: $0, as: UTF8.self).uppercased() })
        else {
            throw HarnessError("cannot translate the line '\(String(decoding: line, as: UTF8.self))'")
        }
        if let first = words.firstIndex(where: { $0.first == UInt8(ascii: "{") }), ["PUT", "FSET"].contains(name) {
            words[first...] = [Array(words[first...].joined(separator: [0x20]))]
        }
        func isOption(_ word: [UInt8]) -> Bool { word.contains(UInt8(ascii: "=")) }
        let firstList = words.indices.dropFirst(2).first { !isOption(words[$0]) } ?? words.count
        switch name {
        case "PUT", "FSET":
            if words.count > 2 { words[2] = try unescaped(words[2]) }
        case "GET", "DEL", "FGET", "LOGQ", "FREQ":
            try unescape(&words, from: firstList, step: 1)
        case "OBSERVE", "SCORE":
            // A step or a vector comes before the ids, and options may follow a step.
            let first = words.indices.dropFirst(3).first { !isOption(words[$0]) } ?? words.count
            try unescape(&words, from: first, step: 1)
        case "FREQSET":
            let first = words.indices.dropFirst(3).first { !isOption(words[$0]) } ?? words.count
            try unescape(&words, from: first, step: 3)
        default:
            break
        }
        return words
    }

    private static func unescape(_ words: inout [[UInt8]], from first: Int, step: Int) throws {
        for index in stride(from: first, to: words.count, by: step) { words[index] = try unescaped(words[index]) }
    }

    private static func unescaped(_ word: [UInt8]) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var at = 0
        while at < word.count {
            if word[at] == UInt8(ascii: "%") {
                guard at + 2 < word.count,
                    let byte = UInt8(String(decoding: word[at + 1...at + 2], as: UTF8.self), radix: 16)
                else { throw HarnessError("cannot translate the id '\(String(decoding: word, as: UTF8.self))'") }
                bytes.append(byte)
                at += 3
            } else {
                bytes.append(word[at])
                at += 1
            }
        }
        return bytes
    }

    // MARK: Replies

    /// The next reply in lines: a header and its rows.
    package func readLines() throws -> [[UInt8]] {
        switch try readValue() {
        case .error(let message): return [Array("ERR \(message)".utf8)]
        case .word, .bytes, .null: return [Array("OK 0".utf8)]
        case .list(let rows): return [Array("OK \(rows.count)".utf8)] + rows.map(Self.row)
        case .map(let entries):
            return [Array("OK \(entries.count / 2)".utf8)] + Self.pairs(entries).map { $0 + [0x20] + $1 }
        }
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
