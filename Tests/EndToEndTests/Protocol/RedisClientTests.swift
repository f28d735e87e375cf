import Foundation
import TestSupport
import Testing

/// Clients of Redis that exist run every verb with the daemon.
@Suite("Redis clients", .timeLimit(.minutes(5)))
struct RedisClientTests {
    /// The Python that has redis-py. `LOGQD_TEST_PYTHON` names another one than `python3`.
    private static let python = ProcessInfo.processInfo.environment["LOGQD_TEST_PYTHON"] ?? "python3"

    private static func runs(_ command: String...) -> Bool {
        guard let child = try? ChildProcess(["/usr/bin/env"] + command) else { return false }
        return (try? child.waitForExit(within: 60)) == .exited(0)
    }

    private func output(of command: [String]) throws -> String {
        let child = try ChildProcess(["/usr/bin/env"] + command)
        let status = try child.waitForExit(within: 120)
        try #require(status == .exited(0), "\(command) said:\n\(child.output)\n\(child.errorOutput)")
        return child.output
    }

    @Test(
        "redis-py gets the right replies",
        .enabled(if: runs(python, "-c", "import redis"), "redis-py is not installed")
    )
    func redisPy() throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("RedisClients/redis_py.py").path
        let lines = try output(of: [Self.python, script, "\(daemon.port)"]).split(separator: "\n")
        #expect(lines.count >= 2 && lines.allSatisfy { $0.hasSuffix("all replies are right") }, "\(lines)")
        try daemon.stop()
    }

    @Test(
        "redis-cli gets the right replies",
        .enabled(if: runs("redis-cli", "--version"), "redis-cli is not installed"),
        arguments: [[], ["-3"]]
    )
    func redisCLI(flags: [String]) throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        func answer(_ words: String...) throws -> String {
            try output(of: ["redis-cli", "--no-raw", "-p", "\(daemon.port)"] + flags + words)
        }
        #expect(try answer("PING") == "PONG\n")
        #expect(try answer("CREATE", "c", "dim=2") == "OK\n")
        #expect(try answer("PUT", "c", "a b", "[1,0.5]", "{\"x\": 1}") == "OK\n")
        #expect(try answer("GET", "c", "a b", "no") == "1) 1) \"a b\"\n   2) \"[1,0.5]\"\n2) 1) \"no\"\n   2) (nil)\n")
        #expect(try answer("TOPK", "c", "1", "[1,1]").hasPrefix("1) 1) \"a b\"\n   2) "))
        #expect(try answer("NOPE") == "(error) UNKNOWN got 'NOPE', expected a verb (HELP lists them)\n")
        #expect(try answer("INFO", "storage").contains("writes:served"))
        #expect(try answer("COMMAND", "COUNT") == "(integer) 30\n")
        try daemon.stop()
    }

    @Test("redis-benchmark measures", .enabled(if: runs("redis-benchmark", "--version"), "redis-benchmark is missing"))
    func redisBenchmark() throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        let socket = try daemon.connect()
        #expect(try socket.ask("CREATE c dim=1").header == "OK 0")
        let options = ["-p", "\(daemon.port)", "-n", "10000", "-P", "16", "-c", "20", "--csv", "-e"]
        for request in [["PUT", "c", "key:__rand_int__", "[1]"], ["GET", "c", "a"], ["PING"]] {
            let lines = try output(of: ["redis-benchmark"] + options + ["-r", "1000"] + request).split(separator: "\n")
            #expect(lines.last?.contains(request[0]) == true && !lines.contains { $0.contains("rror") }, "\(lines)")
        }
        #expect(try socket.ask("SCAN c limit=1").rows.count == 1)
        try daemon.stop()
    }
}
