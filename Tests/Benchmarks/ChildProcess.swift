import Dispatch
import Foundation
import Synchronization

/// A child process that is told to end when this one is interrupted.
///
/// Foundation starts a child in a process group of its own, so Ctrl-C does not reach it; and it inherits a signal mask
/// that blocks nearly everything, so it is ended by SIGKILL, with whatever it has started.
final class ChildProcess: Sendable {
    private static let running = Mutex<Set<pid_t>>([])
    // Installed with the first child, never changed.
    nonisolated(unsafe) private static let interruptions: [any DispatchSourceSignal] = [SIGINT, SIGTERM].map { number in
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler {
            for identifier in running.withLock({ $0 }) { Foundation.kill(-identifier, SIGKILL) }
            exit(128 + number)
        }
        source.activate()
        return source
    }

    private let process = Process()

    /// Standard input is empty; the outputs are ours unless given.
    init(
        _ executable: String,
        _ arguments: [String],
        environment: [String: String] = [:],
        output: FileHandle? = nil,
        errors: FileHandle? = nil
    ) throws {
        _ = Self.interruptions
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        if let output { process.standardOutput = output }
        if let errors { process.standardError = errors }
        try process.run()
        let identifier = process.processIdentifier
        Self.running.withLock { _ = $0.insert(identifier) }
    }

    var isRunning: Bool { process.isRunning }

    /// Ends it, and what it has started, at once.
    func kill() {
        if process.isRunning { Foundation.kill(-process.processIdentifier, SIGKILL) }
        forget()
    }

    /// The exit status, or nil if it had to be killed because it took too long.
    func waitUntilEnded(within patience: Duration) async throws -> Int32? {
        let deadline = ContinuousClock.now + patience
        while process.isRunning {
            guard ContinuousClock.now < deadline else {
                kill()
                return nil
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        forget()
        return process.terminationStatus
    }

    private func forget() {
        process.waitUntilExit()
        Self.running.withLock { _ = $0.remove(process.processIdentifier) }
    }
}
