import Foundation
import TestSupport
import Testing

/// Clients of Redis that exist run every verb with the daemon.
@Suite("Redis clients", .timeLimit(.minutes(5)))
struct RedisClientTests {
    /// The Python that has redis-py. `LOGQD_TEST_PYTHON` names another one than `python3`.
    private static let python = ProcessInfo.processInfo.environment["LOGQD_TEST_PYTHON"] ?? "python3"

    /// The sources of a newer hiredis than the system has. `.ci/run` sets it.
    private static let hiredisSources = ProcessInfo.processInfo.environment["LOGQD_TEST_HIREDIS"]
    private static let programs = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("RedisClients")

    @Test(
        "redis-py gets the right replies",
        .enabled(if: Program.runs(python, "-c", "import redis"), "redis-py is not installed")
    )
    func redisPy() throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        let script = Self.programs.appendingPathComponent("redis_py.py").path
        let lines = try Program.output(of: [Self.python, script, "\(daemon.port)"]).split(separator: "\n")
        #expect(lines.count >= 2 && lines.allSatisfy { $0.hasSuffix("all replies are right") }, "\(lines)")
        try daemon.stop()
    }

    @Test(
        "hiredis gets the right replies from C",
        .enabled(if: Program.runs("cc", "--version"), "cc is not installed"),
        .enabled(
            if: Program.runs("cc", "-include", "hiredis/hiredis.h", "-E", "-x", "c", "/dev/null", "-o", "/dev/null"),
            "libhiredis-dev is not installed"
        )
    )
    func hiredis() throws {
        let lines = try runHiredis(options: ["-Wall", "-Wextra", "-Werror"], library: ["-lhiredis"])
        #expect(lines.first?.hasPrefix("RESP2 with hiredis ") == true, "\(lines)")
        try #require(lines.count == 2, "\(lines)")
        // hiredis 0.14, which Debian 12 has, cannot read RESP3. The program says so.
        #expect(lines.last?.contains("RESP3") == true, "\(lines)")
    }

    @Test(
        "a newer hiredis gets the right replies in RESP3 too",
        .enabled(if: Program.runs("cc", "--version"), "cc is not installed"),
        .enabled(if: hiredisSources != nil, "LOGQD_TEST_HIREDIS names no sources of hiredis")
    )
    func hiredisOfSources() throws {
        let sources = URL(fileURLWithPath: try #require(Self.hiredisSources))
        let files = ["alloc", "async", "hiredis", "net", "read", "sds"]
            .map { sources.appendingPathComponent("\($0).c").path }
        let parent = sources.deletingLastPathComponent().path
        let lines = try runHiredis(options: ["-D_GNU_SOURCE", "-I", parent], library: files)
        try #require(lines.count == 2, "\(lines)")
        #expect(lines.allSatisfy { $0.hasSuffix("all replies are right") }, "\(lines)")
        #expect(lines[1].hasPrefix("RESP3 "), "\(lines)")
    }

    /// Compiles `hiredis.c` and runs it with a daemon. Returns the lines that it printed.
    private func runHiredis(options: [String], library: [String]) throws -> [String] {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        let executable = directory.path + "/hiredis-client"
        let source = Self.programs.appendingPathComponent("hiredis.c").path
        _ = try Program.output(of: ["cc", "-std=gnu11", "-o", executable] + options + [source] + library)
        let lines = try Program.output(of: [executable, "\(daemon.port)"]).split(separator: "\n").map(String.init)
        try daemon.stop()
        return lines
    }

    @Test(
        "redis-cli gets the right replies",
        .enabled(if: Program.runs("redis-cli", "--version"), "redis-cli is not installed"),
        arguments: [[], ["-3"]]
    )
    func redisCLI(flags: [String]) throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        func answer(_ words: String...) throws -> String {
            try Program.output(of: ["redis-cli", "--no-raw", "-p", "\(daemon.port)"] + flags + words)
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

    @Test(
        "redis-benchmark measures",
        .enabled(if: Program.runs("redis-benchmark", "--version"), "redis-benchmark is missing")
    )
    func redisBenchmark() throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        let socket = try daemon.connect()
        #expect(try socket.ask("CREATE c dim=1").header == "OK 0")
        let options = ["-p", "\(daemon.port)", "-n", "10000", "-P", "16", "-c", "20", "--csv", "-e"]
        for request in [["PUT", "c", "key:__rand_int__", "[1]"], ["GET", "c", "a"], ["PING"]] {
            let command = ["redis-benchmark"] + options + ["-r", "1000"] + request
            let lines = try Program.output(of: command).split(separator: "\n")
            #expect(lines.last?.contains(request[0]) == true && !lines.contains { $0.contains("rror") }, "\(lines)")
        }
        #expect(try socket.ask("SCAN c limit=1").rows.count == 1)
        try daemon.stop()
    }
}
