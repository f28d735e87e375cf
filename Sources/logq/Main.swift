import ArgumentParser
import Foundation
import LogQClient
import WireProtocol

/// The entry point. Every failure ends the program with one line on stderr and an exit code for scripts.
@main
enum Main {
    static func main() async {
        do {
            var command = try LogQCommand.parseAsRoot(arguments)
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
            // A request for help is not a failure. The argument parser prints the text.
            guard LogQCommand.exitCode(for: error).rawValue == ExitStatus.usage.rawValue else {
                LogQCommand.exit(withError: error)
            }
            complain(usageMessage(error))
            exit(ExitStatus.usage.rawValue)
        }
    }

    /// The arguments of the process, in which `-V` and `version` stand for `--version`.
    private static var arguments: [String] {
        let arguments = Array(CommandLine.arguments.dropFirst())
        return ["-V", "version"].contains(arguments.first) ? ["--version"] + arguments.dropFirst() : arguments
    }

    /// "Did you mean ping?" for a mistyped command, as the argument parser says it for options.
    static func commandHint(for arguments: [String]) -> String {
        let names = LogQCommand.configuration.groupedSubcommands.flatMap { $0.subcommands }
            .compactMap { $0.configuration.commandName }
        guard let typed = arguments.first(where: { !$0.hasPrefix("-") }), !names.contains(typed),
            let name = closestSpelling(to: typed, among: names)
        else { return "" }
        return ". Did you mean '\(name)'?"
    }

    /// The error in one line, with the command that prints the help.
    static func usageMessage(_ error: any Error, arguments: [String] = arguments) -> String {
        let hint = commandHint(for: arguments)
        let lines = LogQCommand.message(for: error).split(whereSeparator: \.isNewline)
        // The full text names the command with the wrong arguments: "See 'logq put --help' for more information."
        let advice = LogQCommand.fullMessage(for: error).split(whereSeparator: \.isNewline).last.flatMap { last in
            last.split(separator: "'").first { $0.hasSuffix("--help") }
        }
        return lines.joined(separator: " ") + hint + " (see \(advice ?? "logq --help"))"
    }

    static func complain(_ message: String) {
        fflush(nil)
        FileHandle.standardError.write(Data("logq: \(message)\n".utf8))
    }
}

/// A failure other than an error reply of the daemon.
struct Failure: Error, Equatable {
    let exitCode: ExitStatus
    let message: String

    init(_ exitCode: ExitStatus, _ message: String) {
        self.exitCode = exitCode
        self.message = message
    }
}

/// Exit codes, from sysexits(3) where a suitable one exists.
enum ExitStatus: Int32, CaseIterable {
    case success = 0
    /// The daemon replied ERR.
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
        case .refused: "the daemon refused the request (its code and message are on stderr)"
        case .usage: "bad arguments"
        case .badData: "bad input data (load names the line)"
        case .noInput: "an input file cannot be read"
        case .unreachable: "no connection to the daemon, or the connection was lost"
        case .failed: "the demo could not run"
        case .badReply: "the daemon's answer does not follow the protocol"
        case .interrupted: "interrupted"
        }
    }

    /// The exit codes as a table for `--help`.
    static var table: String {
        allCases.sorted { $0.rawValue < $1.rawValue }
            .map { status in
                let code = String(status.rawValue)
                return "  " + String(repeating: " ", count: 3 - code.count) + code + "  " + status.summary
            }
            .joined(separator: "\n")
    }
}
