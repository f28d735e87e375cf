import Foundation
import LogQClient

/// A `logqd` as a child process: the one that was built beside this program.
struct Daemon {
    private let process: ChildProcess
    let socket: String

    init(directory: String, options: [String] = []) throws {
        socket = directory + "/socket"
        let beside = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        process = try ChildProcess(
            beside.appendingPathComponent("logqd").path,
            ["--data", directory + "/data", "--listen", "127.0.0.1:0", "--unix", socket] + options,
            errors: .nullDevice
        )
    }

    /// Connects as soon as the daemon listens, which it does when it has recovered.
    func client() async throws -> LogQClient {
        let deadline = ContinuousClock().now + .seconds(60)
        while true {
            do {
                return try await LogQClient.connect(unixSocketPath: socket)
            } catch {
                guard process.isRunning, ContinuousClock().now < deadline else { throw error }
                try await Task.sleep(for: .milliseconds(2))
            }
        }
    }

    func kill() {
        process.kill()
    }
}
