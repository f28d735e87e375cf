import Foundation
import TestSupport

/// Plays a transcript's client against a daemon, and compares the daemon's replies.
///
/// The result must not depend on how the client's bytes are split, so the split is a parameter. The same conversation
/// is sent in lines, in single bytes, or with all sends of a connection before its first reply is read.
final class TranscriptPlayer {
    enum Pace: String, CaseIterable, Sendable, CustomStringConvertible {
        /// A client that waits for each reply.
        case lines
        /// Every byte in its own packet.
        case bytes
        /// All sends of a connection up to the next statement of another connection, or up to the next `!`, at once.
        case whole
        /// The same as `whole`, over the Unix-domain socket.
        case wholeOverUnixSocket
        /// Each line translated to RESP2, and its reply translated back.
        case resp2
        /// The same with RESP3.
        case resp3

        var description: String { rawValue }
        var sendsAhead: Bool { self == .whole || self == .wholeOverUnixSocket }
        var isRESP: Bool { self == .resp2 || self == .resp3 }
        static let ofLines = allCases.filter { !$0.isRESP }
    }

    private let transcript: Transcript
    private let pace: Pace
    private let directory: TemporaryDirectory
    private var daemon: DaemonProcess
    private var sockets: [Int: LineSocket] = [:]
    private var translators: [Int: RESPSocket] = [:]
    /// For each connection, the lines of a translated reply that have not been compared.
    private var translatedLines: [Int: [[UInt8]]] = [:]
    private var translatedCount = 0
    /// For each connection, the rows left in the reply that is being read.
    private var rowsLeft: [Int: Int] = [:]
    private var hasExited = false

    /// Starts a daemon on `directory`, by default an empty one.
    init(_ transcript: Transcript, pace: Pace, directory: TemporaryDirectory? = nil) throws {
        self.transcript = transcript
        self.pace = pace
        self.directory = try directory ?? TemporaryDirectory()
        daemon = try DaemonProcess(
            directory: self.directory,
            options: .init(flags: transcript.flags, fileKiBMax: transcript.fileKiBMax)
        )
    }

    /// Plays the whole transcript. Then checks that no connection receives anything more and that the daemon stops
    /// cleanly.
    func play() throws {
        for statement in pace.sendsAhead ? Self.sendingAhead(transcript.statements) : transcript.statements {
            do {
                try perform(statement)
            } catch {
                let log = daemon.log.suffix(2_000)
                throw HarnessError(
                    "\(transcript.name):\(statement.line) (\(pace)): \(error)\nThe daemon's log:\n\(log)"
                )
            }
        }
        for (connection, lines) in translatedLines where !lines.isEmpty {
            throw HarnessError("\(transcript.name) ends before the rows of connection \(connection)")
        }
        if pace.isRESP, translatedCount < 5 { throw HarnessError("\(transcript.name): few requests are translated") }
        translators = [:]
        for (connection, socket) in sockets.sorted(by: { $0.key < $1.key }) {
            guard rowsLeft[connection, default: 0] == 0 || pace.isRESP else {
                throw HarnessError("\(transcript.name) ends before the rows of connection \(connection)")
            }
            let reply = try socket.ask("PING")
            guard reply == .init(header: "OK 0", rows: []) else {
                throw HarnessError("\(transcript.name): expected the connection to have said all, got \(reply)")
            }
        }
        sockets = [:]
        if !hasExited { try daemon.stop() }
    }

    /// The same statements, in which each connection's sends come before the replies expected until the next statement
    /// of another connection.
    static func sendingAhead(_ statements: [Transcript.Statement]) -> [Transcript.Statement] {
        var result: [Transcript.Statement] = []
        var sends: [Transcript.Statement] = []
        var expectations: [Transcript.Statement] = []
        func flush() {
            if let first = sends.first {
                var all: [UInt8] = []
                for case .send(let bytes) in sends.map(\.action) { all += bytes }
                result.append(.init(line: first.line, connection: first.connection, action: .send(all)))
            }
            result += expectations
            sends = []
            expectations = []
        }
        for statement in statements {
            if let current = sends.first ?? expectations.first, current.connection != statement.connection { flush() }
            switch statement.action {
            case .send: sends.append(statement)
            case .expect, .match, .expectOtherRows: expectations.append(statement)
            default:
                flush()
                result.append(statement)
            }
        }
        flush()
        return result
    }

    private func perform(_ statement: Transcript.Statement) throws {
        let connection = statement.connection
        switch statement.action {
        case .send(let bytes):
            try send(bytes, on: connection)
        case .expect(let line, let count):
            for _ in 0..<count {
                let got = try nextLine(on: connection)
                guard got == line else { throw mismatch(got: got, expected: line) }
            }
        case .match(let pattern):
            let got = try nextLine(on: connection)
            guard Self.matches(got[...], pattern[...]) else { throw mismatch(got: got, expected: pattern) }
        case .expectOtherRows:
            while rowsLeft[connection, default: 0] > 0 { _ = try nextLine(on: connection) }
        case .shutDownSending:
            try socket(connection).shutDownSending()
        case .expectEnd:
            try socket(connection).expectEnd()
            sockets[connection] = nil
        case .kill:
            sockets = [:]
            translators = [:]
            try daemon.kill()
            try start(flags: transcript.flags)
        case .restart(let flags):
            sockets = [:]
            translators = [:]
            if !hasExited { try daemon.stop() }
            try start(flags: flags)
        case .terminate:
            daemon.send(signal: SIGTERM)
        case .expectExit(let code):
            let status = try daemon.waitForExit()
            guard status == .exited(code) else { throw HarnessError("got \(status), expected exit code \(code)") }
            hasExited = true
            sockets = [:]
            translators = [:]
        }
    }

    private func start(flags: [String]) throws {
        daemon = try DaemonProcess(
            directory: directory,
            options: .init(flags: flags, fileKiBMax: transcript.fileKiBMax)
        )
        hasExited = false
        rowsLeft = [:]
    }

    private func socket(_ connection: Int) throws -> LineSocket {
        if let socket = sockets[connection] { return socket }
        let socket = try LineSocket(to: pace == .wholeOverUnixSocket ? daemon.unix : daemon.tcp)
        sockets[connection] = socket
        return socket
    }

    private func translator(_ connection: Int) throws -> RESPSocket {
        if let translator = translators[connection] { return translator }
        let translator = try RESPSocket(to: daemon.tcp, version: pace == .resp2 ? 2 : 3)
        translators[connection] = translator
        return translator
    }

    /// Sends lines as RESP. What only lines can say goes as it is to a second connection, and its reply is read there.
    private func translate(_ bytes: [UInt8], on connection: Int) throws {
        for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast() {
            if RESPSocket.canTranslate(line: Array(line)) {
                try translator(connection).send(line: Array(line))
                translatedLines[connection, default: []] += try translator(connection).readLines().map(Self.withoutRaw)
                translatedCount += 1
            } else {
                let reply = try socket(connection).ask(String(decoding: line, as: UTF8.self))
                translatedLines[connection, default: []] += ([reply.header] + reply.rows).map { Array($0.utf8) }
            }
        }
    }

    /// A message without its hint to raw vectors, which lines do not have.
    private static func withoutRaw(_ line: [UInt8]) -> [UInt8] {
        let hint = Array(", or 4 raw bytes for each number".utf8)
        return line.suffix(hint.count) == hint[...] ? Array(line.dropLast(hint.count)) : line
    }

    private func send(_ bytes: [UInt8], on connection: Int) throws {
        if pace.isRESP { return try translate(bytes, on: connection) }
        let socket = try socket(connection)
        guard pace == .bytes else {
            try socket.send(bytes)
            return
        }
        // Send the middle of a very long text in larger pieces of an odd size, because byte by byte it would only take
        // longer.
        let endCount = 2_000
        var sent = 0
        while sent < bytes.count {
            let isInMiddle = sent >= endCount && bytes.count - sent > 2 * endCount
            let count = min(isInMiddle ? 997 : 1, bytes.count - sent)
            try socket.send(bytes[sent..<(sent + count)])
            sent += count
        }
    }

    /// Reads a line, and tracks whether the next one is a header or a row.
    private func nextLine(on connection: Int) throws -> [UInt8] {
        if pace.isRESP {
            guard let line = translatedLines[connection]?.first else { throw HarnessError("there is no further line") }
            translatedLines[connection]!.removeFirst()
            rowsLeft[connection] = translatedLines[connection]!.count
            return line
        }
        let line = try socket(connection).readLine()
        if let left = rowsLeft[connection], left > 0 {
            rowsLeft[connection] = left - 1
        } else {
            rowsLeft[connection] = LineSocket.rowCount(of: String(decoding: line.prefix(40), as: UTF8.self)) ?? 0
        }
        return line
    }

    private func mismatch(got: [UInt8], expected: [UInt8]) -> HarnessError {
        func shown(_ bytes: [UInt8]) -> String {
            String(decoding: bytes.prefix(600), as: UTF8.self) + (bytes.count > 600 ? "... (\(bytes.count) bytes)" : "")
        }
        return HarnessError("\ngot:      \(shown(got))\nexpected: \(shown(expected))")
    }

    /// Whether `pattern` matches all of `bytes`. A `*` stands for any bytes.
    static func matches(_ bytes: ArraySlice<UInt8>, _ pattern: ArraySlice<UInt8>) -> Bool {
        let pieces = pattern.split(separator: UInt8(ascii: "*"), omittingEmptySubsequences: false)
        guard pieces.count > 1, let first = pieces.first, let last = pieces.last else {
            return bytes.elementsEqual(pattern)
        }
        guard bytes.count >= first.count + last.count, bytes.starts(with: first),
            bytes.suffix(last.count).elementsEqual(last)
        else { return false }
        // Find each piece between the first and the last at the first place where it fits.
        var rest = bytes.dropFirst(first.count).dropLast(last.count)
        for piece in pieces.dropFirst().dropLast() {
            guard
                let found = rest.indices.first(where: { rest[$0...].starts(with: piece) })
                    ?? (piece.isEmpty ? rest.startIndex : nil)
            else { return false }
            rest = rest[(found + piece.count)...]
        }
        return true
    }
}
