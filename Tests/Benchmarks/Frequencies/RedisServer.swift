import Foundation
import TestSupport

/// The machine's `redis-server`, if it is installed, on an empty directory. Each write is synced before its reply, as
/// in logqd.
struct RedisServer {
    let socket: String
    private let process: ChildProcess

    /// Nil if Redis is not installed.
    init?(directory: String) throws {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let places = path.split(separator: ":").map { "\($0)/redis-server" }
        guard let executable = places.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else {
            return nil
        }
        let home = directory + "/redis"
        try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
        socket = home + "/socket"
        process = try ChildProcess(
            [
                executable, "--port", "0", "--unixsocket", socket, "--dir", home, "--save", "", "--appendonly", "yes",
                "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0", "--io-threads", "1",
            ]
        )
    }

    func kill() {
        try? process.kill()
    }
}
