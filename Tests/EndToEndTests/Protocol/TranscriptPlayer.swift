import Foundation

/// Plays a transcript's client against a daemon, and compares what the daemon says.
///
/// How the client's bytes are cut must not matter, so it is a parameter: the same conversation is held in lines,
/// in single bytes, and
/// with everything that a connection has to say sent before its first reply is read.
final class TranscriptPlayer {
    enum Pace: String, CaseIterable, Sendable, CustomStringConvertible {
        /// A client that waits for each reply.
        case lines
        /// Every byte in a packet of its own.
        case bytes
        /// All that a connection says up to the next turn of another one, or up to the next `!`, at once.
        case whole
        /// The same over the Unix-domain socket.
        case wholeOverUnixSocket

        var description: String { rawValue }
        var sendsAhead: Bool { self == .whole || self == .wholeOverUnixSocket }
    }

    private let transcript: Transcript
    private let pace: Pace
    private let directory: TemporaryDirectory
    private var daemon: DaemonProcess
    private var sockets: [Int: LineSocket] = [:]
    /// Rows of the reply that is being read, by connection.
    private var rowsLeft: [Int: Int] = [:]
    private var hasExited = false

    init(_ transcript: Transcript, pace: Pace) throws {
        self.transcript = transcript
        self.pace = pace
        directory = try TemporaryDirectory()
        daemon = try DaemonProcess(
            directory: directory,
            options: .init(flags: transcript.flags, fileKiBMax: transcript.fileKiBMax)
        )
    }

    /// Plays to the end, then looks that no connection has anything more to say and that the daemon stops cleanly.
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
        for (connection, socket) in sockets.sorted(by: { $0.key < $1.key }) {
            guard rowsLeft[connection, default: 0] == 0 else {
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

    /// The same statements with each connection's sends moved ahead of the replies that are expected before its
    /// next turn.
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
            try daemon.kill()
            try start(flags: transcript.flags)
        case .restart(let flags):
            sockets = [:]
            if !hasExited { try daemon.stop() }
            try start(flags: flags)
        case .terminate:
            daemon.send(signal: SIGTERM)
        case .expectExit(let code):
            let status = try daemon.waitForExit()
            guard status == .exited(code) else { throw HarnessError("got \(status), expected exit code \(code)") }
            hasExited = true
            sockets = [:]
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

    private func send(_ bytes: [UInt8], on connection: Int) throws {
        let socket = try socket(connection)
        guard pace == .bytes else {
            try socket.send(bytes)
            return
        }
        // Of something very long the middle goes in larger pieces of an odd size: it says nothing new, and takes
        // its time.
        let endCount = 2_000
        var sent = 0
        while sent < bytes.count {
            let isInMiddle = sent >= endCount && bytes.count - sent > 2 * endCount
            let count = min(isInMiddle ? 997 : 1, bytes.count - sent)
            try socket.send(bytes[sent..<(sent + count)])
            sent += count
        }
    }

    /// Reads a line, and keeps account of whether it is a header or a row.
    private func nextLine(on connection: Int) throws -> [UInt8] {
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

    /// Whether `pattern`, in which `*` stands for any bytes, matches all of `bytes`.
    static func matches(_ bytes: ArraySlice<UInt8>, _ pattern: ArraySlice<UInt8>) -> Bool {
        let pieces = pattern.split(separator: UInt8(ascii: "*"), omittingEmptySubsequences: false)
        guard pieces.count > 1, let first = pieces.first, let last = pieces.last else {
            return bytes.elementsEqual(pattern)
        }
        guard bytes.count >= first.count + last.count, bytes.starts(with: first),
            bytes.suffix(last.count).elementsEqual(last)
        else { return false }
        // Between the ends each piece is found at the first place where it fits.
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
