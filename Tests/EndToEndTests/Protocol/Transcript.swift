import Foundation
import TestSupport

/// A conversation with the daemon, read from a file of `protocol/transcripts/` (its README describes the format).
struct Transcript: Sendable, CustomStringConvertible {
    struct Statement: Sendable {
        var line: Int
        /// 1 to 9.
        var connection: Int
        var action: Action
    }

    enum Action: Sendable {
        case send([UInt8])
        /// The next `count` lines are these bytes.
        case expect(line: [UInt8], count: Int)
        /// The next line matches; `*` stands for any bytes.
        case match(pattern: [UInt8])
        case expectOtherRows
        case shutDownSending
        case expectEnd
        case kill
        case restart(flags: [String])
        case terminate
        case expectExit(code: Int32)
    }

    var name: String
    var flags: [String] = []
    var fileKiBMax: Int?
    var statements: [Statement] = []

    var description: String { name }

    /// Whether another transcript can follow on the same connection.
    var canBeGlued: Bool {
        flags.isEmpty && fileKiBMax == nil
            && statements.allSatisfy { statement in
                guard statement.connection == 1 else { return false }
                switch statement.action {
                case .send, .expect, .match, .expectOtherRows: return true
                default: return false
                }
            }
    }

    /// All lines that the client sends.
    var requests: [String] {
        var bytes: [UInt8] = []
        for statement in statements {
            if case .send(let part) = statement.action { bytes += part }
        }
        return bytes.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
    }

    /// All lines that are expected, exact ones and patterns.
    var expectedLines: [String] {
        statements.compactMap { statement in
            switch statement.action {
            case .expect(let line, _): String(decoding: line, as: UTF8.self)
            case .match(let pattern): String(decoding: pattern, as: UTF8.self)
            default: nil
            }
        }
    }
}

// MARK: - Loading

extension Transcript {
    static let protocolDirectory = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("protocol")

    /// The transcripts of `protocol/transcripts/`, by name.
    static let files: [Transcript] = {
        let directory = protocolDirectory.appendingPathComponent("transcripts")
        do {
            return try FileManager.default.contentsOfDirectory(atPath: directory.path)
                .filter { $0.hasSuffix(".txt") }
                .sorted()
                .map { name in
                    let bytes = try Data(contentsOf: directory.appendingPathComponent(name))
                    return try Transcript(name: name, parsing: Array(bytes))
                }
        } catch {
            fatalError("cannot read the transcripts: \(error)")
        }
    }()

    /// The blocks of PROTOCOL.md marked `transcript`, as one conversation.
    static let document: Transcript = {
        do {
            let text = try String(
                contentsOf: protocolDirectory.appendingPathComponent("PROTOCOL.md"),
                encoding: .utf8
            )
            // Make the lines outside the blocks empty, so that line numbers are those of the page.
            var isInside = false
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line -> Substring in
                if line.hasPrefix("```") {
                    isInside = line == "```transcript"
                    return ""
                }
                return isInside ? line : ""
            }
            return try Transcript(name: "PROTOCOL.md", parsing: Array(lines.joined(separator: "\n").utf8))
        } catch {
            fatalError("cannot read PROTOCOL.md: \(error)")
        }
    }()

    static let all = files + [document]
}

// MARK: - Reading the format

extension Transcript {
    init(name: String, parsing bytes: [UInt8]) throws {
        self.name = name
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() where !line.isEmpty && line.first != UInt8(ascii: "#") {
            do {
                try parse(line: Array(line), number: index + 1)
            } catch {
                throw HarnessError("\(name):\(index + 1): \(error)")
            }
        }
    }

    private mutating func parse(line: [UInt8], number: Int) throws {
        let text = String(decoding: line, as: UTF8.self)
        if statements.isEmpty {
            if text.hasPrefix("daemon: ") {
                flags = text.dropFirst(8).split(separator: " ").map(String.init)
                return
            }
            if text.hasPrefix("size-limit: "), let count = Int(text.dropFirst(12)) {
                fileKiBMax = count
                return
            }
        }
        guard let kind = line.first else { return }
        var rest = line.dropFirst()
        var connection = 1
        if let digit = rest.first, (UInt8(ascii: "1")...UInt8(ascii: "9")).contains(digit) {
            connection = Int(digit - UInt8(ascii: "0"))
            rest = rest.dropFirst()
        }
        let action: Action
        switch kind {
        case UInt8(ascii: "C"):
            action = .send(try Self.text(of: rest, after: ": ") + [UInt8(ascii: "\n")])
        case UInt8(ascii: "B"):
            action = .send(try Self.unescape(Self.text(of: rest, after: ": ")))
        case UInt8(ascii: "S") where rest.elementsEqual("...".utf8):
            action = .expectOtherRows
        case UInt8(ascii: "S") where rest.first == UInt8(ascii: "~"):
            action = .match(pattern: try Self.text(of: rest, after: "~ "))
        case UInt8(ascii: "S") where rest.first == UInt8(ascii: "{"):
            guard let end = rest.firstIndex(of: UInt8(ascii: "}")),
                let count = Int(String(decoding: rest[rest.startIndex..<end].dropFirst(), as: UTF8.self))
            else { throw HarnessError("expected S{N}: ") }
            action = .expect(line: try Self.text(of: rest[(end + 1)...], after: ": "), count: count)
        case UInt8(ascii: "S"):
            action = .expect(line: try Self.text(of: rest, after: ": "), count: 1)
        case UInt8(ascii: "!"):
            action = try Self.command(String(decoding: rest.drop { $0 == UInt8(ascii: " ") }, as: UTF8.self))
        default:
            throw HarnessError("got \(text), expected a statement")
        }
        statements.append(Statement(line: number, connection: connection, action: action))
    }

    private static func command(_ text: String) throws -> Action {
        let words = text.split(separator: " ").map(String.init)
        switch words.first {
        case "shut" where words.count == 1: return .shutDownSending
        case "closed" where words.count == 1: return .expectEnd
        case "kill" where words.count == 1: return .kill
        case "restart": return .restart(flags: Array(words.dropFirst()))
        case "sigterm" where words.count == 1: return .terminate
        case "exit" where words.count == 2:
            if let code = Int32(words[1]) { return .expectExit(code: code) }
        default: break
        }
        throw HarnessError("got ! \(text), expected shut, closed, kill, restart, sigterm or exit N")
    }

    private static func text(of bytes: ArraySlice<UInt8>, after prefix: String) throws -> [UInt8] {
        guard bytes.starts(with: prefix.utf8) else { throw HarnessError("expected \"\(prefix)\" after the letter") }
        return Array(bytes.dropFirst(prefix.utf8.count))
    }

    /// Decodes `\n`, `\r`, `\\`, `\xNN`, and `\{N:text}`, in which `#` counts from 0.
    private static func unescape(_ bytes: [UInt8]) throws -> [UInt8] {
        var result: [UInt8] = []
        var rest = bytes[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                result.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "n"): result.append(0x0A)
            case UInt8(ascii: "r"): result.append(0x0D)
            case UInt8(ascii: "t"): result.append(0x09)
            case UInt8(ascii: "\\"): result.append(UInt8(ascii: "\\"))
            case UInt8(ascii: "x"):
                guard let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                    throw HarnessError("expected two hexadecimal digits after \\x")
                }
                result.append(value)
                rest = rest.dropFirst(2)
            case UInt8(ascii: "{"):
                guard let colon = rest.firstIndex(of: UInt8(ascii: ":")),
                    let count = Int(String(decoding: rest[rest.startIndex..<colon], as: UTF8.self)),
                    let end = rest.firstIndex(of: UInt8(ascii: "}"))
                else { throw HarnessError("expected \\{N:text}") }
                let text = try unescape(Array(rest[(colon + 1)..<end]))
                for index in 0..<count {
                    for byte in text {
                        if byte == UInt8(ascii: "#") {
                            result += Array(String(index).utf8)
                        } else {
                            result.append(byte)
                        }
                    }
                }
                rest = rest[(end + 1)...]
            default: throw HarnessError("unknown escape")
            }
        }
        return result
    }
}
