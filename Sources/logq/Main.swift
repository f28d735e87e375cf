import ArgumentParser
import Foundation
import LogQClient

/// Where the program starts and, whatever happens, ends: one line on stderr and an exit code that a script can rely on.
@main
enum Main {
    static func main() async {
        do {
            var command = try LogQCommand.parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let failure as Failure {
            complain(failure.message)
            exit(failure.exitCode.rawValue)
        } catch let error as LogQError {
            complain("\(error)")
            exit(ExitStatus(error).rawValue)
        } catch {
            // Help and the like are no errors; they print by themselves.
            guard LogQCommand.exitCode(for: error).rawValue == ExitStatus.usage.rawValue else {
                LogQCommand.exit(withError: error)
            }
            complain(usageMessage(error))
            exit(ExitStatus.usage.rawValue)
        }
    }

    /// One line, and where to read on.
    static func usageMessage(_ error: any Error) -> String {
        let lines = LogQCommand.message(for: error).split(whereSeparator: \.isNewline)
        // The full text names the command that was meant: "See 'logq put --help' for more information."
        let advice = LogQCommand.fullMessage(for: error).split(whereSeparator: \.isNewline).last.flatMap { last in
            last.split(separator: "'").first { $0.hasSuffix("--help") }
        }
        return lines.joined(separator: " ") + " (see \(advice ?? "logq --help"))"
    }

    static func complain(_ message: String) {
        fflush(nil)
        FileHandle.standardError.write(Data("logq: \(message)\n".utf8))
    }
}

/// A failure that is not an answer of the daemon.
struct Failure: Error, Equatable {
    let exitCode: ExitStatus
    let message: String

    init(_ exitCode: ExitStatus, _ message: String) {
        self.exitCode = exitCode
        self.message = message
    }
}

/// Exit codes, those of sysexits(3) where there is one.
enum ExitStatus: Int32, CaseIterable {
    case success = 0
    /// The daemon said ERR.
    case refused = 1
    case usage = 64
    case badData = 65
    case noInput = 66
    case unreachable = 69
    case failed = 70
    case badReply = 76
    case interrupted = 130

    init(_ error: LogQError) {
        switch error.code {
        case .connectFailed, .connectionLost, .closed: self = .unreachable
        case .badReply: self = .badReply
        case .cancelled: self = .interrupted
        default: self = .refused
        }
    }

    var summary: String {
        switch self {
        case .success: "done"
        case .refused: "the daemon refused (its code and message are on stderr)"
        case .usage: "bad arguments"
        case .badData: "bad input data (load names the line)"
        case .noInput: "an input file cannot be read"
        case .unreachable: "no connection to the daemon, or it was lost"
        case .failed: "the demo could not run"
        case .badReply: "the daemon's answer does not follow the protocol"
        case .interrupted: "interrupted"
        }
    }

    /// For --help.
    static var table: String {
        allCases.sorted { $0.rawValue < $1.rawValue }
            .map { status in
                let code = String(status.rawValue)
                return "  " + String(repeating: " ", count: 3 - code.count) + code + "  " + status.summary
            }
            .joined(separator: "\n")
    }
}
