import Foundation
import TestSupport
import Testing

/// The settings of the real daemon: which ones it refuses, what it says, and what it leaves untouched.
@Suite("Settings of logqd", .timeLimit(.minutes(5)))
struct SettingsTests {
    private struct Run {
        let status: ChildProcess.ExitStatus
        let log: String
    }

    /// Runs the daemon until it ends by itself.
    private func run(_ arguments: [String], environment: [String: String] = [:]) throws -> Run {
        let child = try start(arguments, environment: environment)
        let status = try child.waitForExit(within: TestScale.patienceSeconds)
        return Run(status: status, log: child.errorOutput)
    }

    private func start(_ arguments: [String], environment: [String: String] = [:]) throws -> ChildProcess {
        let all = DaemonProcess.testEnvironment.merging(environment) { $1 }
        return try ChildProcess([try DaemonProcess.executable()] + arguments, environment: all)
    }

    /// Runs the daemon until it is ready, and stops it. Returns its log.
    private func serve(
        _ arguments: [String],
        environment: [String: String] = [:],
        _ body: (String) throws -> Void = { _ in }
    ) throws -> String {
        let child = try start(arguments, environment: environment)
        let ready = try child.waitForErrorLine(within: TestScale.patienceSeconds, for: "ready") { $0.contains("ready") }
        try body(ready)
        child.send(signal: SIGTERM)
        #expect(try child.waitForExit(within: TestScale.patienceSeconds) == .exited(0))
        return child.errorOutput
    }

    // MARK: Addresses

    @Test(
        "an address that other machines can reach is refused before anything is written",
        arguments: ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[2001:db8::1]:0", "[::ffff:192.0.2.1]:0"]
    )
    func openAddressesAreRefused(address: String) throws {
        let directory = try TemporaryDirectory()
        let data = directory.path + "/data"
        for listens in [["--listen", address], ["--listen", "127.0.0.1:0", "--listen", address]] {
            let refused = try run(["--data", data] + listens)
            #expect(refused.status == .exited(64), "\(refused.log)")
            #expect(refused.log.contains("got --listen \(address)"), "\(refused.log)")
            #expect(refused.log.contains("--insecure"), "\(refused.log)")
        }
        let fromEnvironment = try run(["--data", data], environment: ["LOGQD_LISTEN": "127.0.0.1:0,\(address)"])
        #expect(fromEnvironment.status == .exited(64))
        #expect(!FileManager.default.fileExists(atPath: data))
    }

    @Test("--insecure allows it, and the log warns")
    func insecureIsSpelledOut() throws {
        let directory = try TemporaryDirectory()
        let arguments = ["--data", directory.path + "/data", "--listen", "0.0.0.0:0"]
        let log = try serve(arguments + ["--insecure"])
        #expect(log.contains("every machine that can connect"))
        #expect(try serve(arguments, environment: ["LOGQD_INSECURE": "true"]).contains("ready"))
        #expect(try run(arguments, environment: ["LOGQD_INSECURE": "false"]).status == .exited(64))
    }

    @Test("several addresses are served, and loopback addresses need nothing else")
    func severalAddressesAreServed() throws {
        let directory = try TemporaryDirectory()
        let data = ["--data", directory.path + "/data"]
        let separate = ["--listen", "127.0.0.1:0", "--listen", "127.0.0.2:0"]
        #if os(Linux)
        _ = try serve(data + separate) { ready in
            #expect(ready.firstMatch(of: /127\.0\.0\.1:[1-9][0-9]* 127\.0\.0\.2:[1-9]/) != nil, "\(ready)")
        }
        #endif
        _ = try serve(data, environment: ["LOGQD_LISTEN": "127.0.0.1:0,127.0.0.1:0"]) { ready in
            #expect(ready.matches(of: /127\.0\.0\.1:[1-9][0-9]*/).count == 2, "\(ready)")
        }
        // localhost is both families, on one port. A machine without IPv6 serves the other.
        _ = try serve(data + ["--listen", "localhost:0"]) { ready in
            let first = try #require(ready.firstMatch(of: /127\.0\.0\.1:([1-9][0-9]*)/))
            if let second = ready.firstMatch(of: /\[::1\]:([0-9]+)/) { #expect(second.1 == first.1) }
            #expect(ready.contains("[::1]:") || Self.hasNoIPv6)
        }
    }

    private static var hasNoIPv6: Bool { !FileManager.default.fileExists(atPath: "/proc/net/if_inet6") }

    @Test("TCP can be turned off, but not every address")
    func tcpCanBeTurnedOff() throws {
        let directory = try TemporaryDirectory()
        let data = ["--data", directory.path + "/data"]
        _ = try serve(data + ["--listen", "none", "--unix", directory.path + "/s"]) { ready in
            #expect(ready.contains("addresses=unix:\(directory.path)/s "), "\(ready)")
        }
        let nothing = try run(data + ["--listen", "none"])
        #expect(nothing.status == .exited(64))
        #expect(nothing.log.contains("got --listen none without --unix"))
        #expect(try run(data + ["--listen", "none", "--listen", "127.0.0.1:0"]).status == .exited(64))
        for wrong in ["", "127.0.0.1", ":5647", "127.0.0.1:65536", "::1:5647"] {
            #expect(try run(data + ["--listen", wrong]).status == .exited(64), "\(wrong)")
        }
    }

    // MARK: The Unix socket

    @Test("the Unix socket has the mode and the group that were asked for")
    func unixSocketHasModeAndGroup() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/socket"
        let group = "\(getgid())"
        let arguments = ["--data", directory.path + "/data", "--listen", "none", "--unix", path]
        _ = try serve(arguments + ["--unix-mode", "0660", "--unix-group", group]) { _ in
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o660)
            #expect((attributes[.groupOwnerAccountID] as? NSNumber)?.uint32Value == getgid())
            let socket = try LineSocket(to: .unix(path: path))
            #expect(try socket.ask("PING").header == "OK 0")
        }
        for wrong in [["--unix-mode", "888"], ["--unix-mode", "1777"], ["--unix-group", "no-such-group"]] {
            let refused = try run(arguments + wrong)
            #expect(refused.status == .exited(64) && refused.log.contains("got \(wrong[0]) '\(wrong[1])'"))
        }
        let alone = try run(["--data", directory.path + "/data", "--unix-mode", "660"])
        #expect(alone.status == .exited(64) && alone.log.contains("without --unix"))
    }

    @Test("a path that cannot be a socket is named, with the reason")
    func unixPathsAreExplained() throws {
        let directory = try TemporaryDirectory()
        let data = ["--data", directory.path + "/data", "--listen", "none", "--unix"]
        let file = directory.path + "/file"
        try Data("precious".utf8).write(to: URL(fileURLWithPath: file))
        let onFile = try run(data + [file])
        #expect(onFile.status == .exited(1))
        #expect(onFile.log.contains("could not listen on \(file): got a file that is no socket, expected a free path"))
        #expect(try String(contentsOfFile: file, encoding: .utf8) == "precious")
        #expect(try run(data + [directory.path]).log.contains("got a directory, expected a free path"))
        let long = try run(data + ["/tmp/" + String(repeating: "x", count: 200)])
        #expect(long.status == .exited(64))
        #if os(Linux)
        #expect(long.log.contains("got --unix with a path of 205 bytes, expected at most 107"), "\(long.log)")
        #endif
        #expect(try run(data + [""]).log.contains("got an empty --unix"))
    }

    // MARK: Values

    @Test("an empty --data is refused, and nothing is written")
    func emptyDataIsRefused() throws {
        for run in [
            try run(["--data", "", "--listen", "127.0.0.1:0"]),
            try run(["--listen", "127.0.0.1:0"], environment: ["LOGQD_DATA": ""]),
        ] {
            #expect(run.status == .exited(64))
            #expect(run.log.contains("got an empty --data"), "\(run.log)")
        }
        for file in ["/LOCK", "/data.mdb", "/lock.mdb"] { #expect(!FileManager.default.fileExists(atPath: file)) }
    }

    @Test("an empty variable is refused for every setting")
    func emptyVariablesAreRefused() throws {
        let directory = try TemporaryDirectory()
        for name in [
            "LISTEN", "UNIX", "THREADS", "READ_ONLY", "INSECURE", "LOG_LEVEL", "MAX_MEMORY_BYTES", "QUERY_QUEUE",
        ] {
            let refused = try run(["--data", directory.path + "/data"], environment: ["LOGQD_\(name)": ""])
            #expect(refused.status == .exited(64), "LOGQD_\(name): \(refused.log)")
        }
        #expect(!FileManager.default.fileExists(atPath: directory.path + "/data"))
    }

    @Test("an unknown variable is named in a warning, with the setting that was meant")
    func unknownVariablesAreNamed() throws {
        let directory = try TemporaryDirectory()
        let arguments = ["--data", directory.path + "/data", "--listen", "127.0.0.1:0"]
        let environment = ["LOGQD_MAX_ID": "5", "LOGQD_XYZ": "1", "LOGQD_MAX_K": "7", "LOGQD_KERNEL": "scalar"]
        let log = try serve(arguments, environment: environment)
        #expect(
            log.contains("got the environment variable LOGQD_MAX_ID, which is no setting, did you mean LOGQD_MAX_IDS?")
        )
        #expect(log.contains("got the environment variable LOGQD_XYZ, which is no setting\n"))
        #expect(!log.contains("LOGQD_MAX_K") && !log.contains("LOGQD_KERNEL"))
    }

    @Test("sizes have units, and a refused one shows the forms")
    func sizesHaveUnits() throws {
        let directory = try TemporaryDirectory()
        let arguments = ["--data", directory.path + "/data", "--listen", "127.0.0.1:0"]
        for (text, bytes) in [("4GB", 4_000_000_000), ("4GiB", 4 << 30), ("4g", 4 << 30), ("3 MiB", 3 << 20)] {
            _ = try serve(arguments, environment: ["LOGQD_MAX_MEMORY_BYTES": text]) { ready in
                let port = try #require(ready.firstMatch(of: /127\.0\.0\.1:([0-9]+)/).flatMap { UInt16($0.1) })
                let rows = try LineSocket(to: .tcp(port: port)).ask("INFO memory").rows
                #expect(rows.contains("max-memory-bytes \(bytes)"), "\(text): \(rows)")
            }
        }
        for text in ["4XB", "GiB", "-1", "1.5GiB", "99999999TiB"] {
            for refused in [
                try run(arguments + ["--max-memory-bytes=\(text)"]),
                try run(arguments, environment: ["LOGQD_MAX_MEMORY_BYTES": text]),
            ] {
                #expect(refused.status == .exited(64), "\(text)")
                #expect(refused.log.contains("'\(text)', expected bytes, or a number with KiB"), "\(refused.log)")
            }
        }
    }

    @Test("each line of a JSON log is an object, and debug tells of connections and refused requests")
    func logIsJSON() throws {
        let directory = try TemporaryDirectory()
        let arguments = ["--data", directory.path + "/a \"b\"", "--listen", "127.0.0.1:0", "--log-format", "json"]
        let log = try serve(arguments + ["--log-level", "debug"]) { ready in
            let port = try #require(ready.firstMatch(of: /127\.0\.0\.1:([0-9]+)/).flatMap { UInt16($0.1) })
            #expect(try LineSocket(to: .tcp(port: port)).ask("GET nowhere \u{1}").header.hasPrefix("ERR "))
        }
        let events = try log.split(separator: "\n").map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String], "\(line)")
        }
        #expect(events.allSatisfy { $0["time"]?.hasSuffix("Z") == true && $0["level"] != nil })
        func event(_ message: String) -> [String: String]? { events.first { $0["message"] == message } }
        #expect(event("opened")?["data"] == directory.path + "/a \"b\"")
        #expect(event("connection opened")?["peer"]?.hasPrefix("127.0.0.1:") == true)
        #expect(event("connection closed") != nil)
        let refused = event("request refused")
        #expect(refused?["verb"] == "GET" && refused?["code"] == "BADREQUEST")
        #expect(refused?["reason"]?.hasPrefix("got control byte 0x01") == true, "\(log)")
        let failed = try run(["--data", "/dev/null/x", "--listen", "127.0.0.1:0", "--log-format", "json"])
        #expect(failed.status == .exited(74) && failed.log.contains("\"level\":\"critical\""), "\(failed.log)")
        #expect(try run(["--log-format", "xml"]).status == .exited(64))
    }

    @Test("slow requests are logged, but few of them, and without an id or another value")
    func slowRequestsAreLogged() throws {
        let directory = try TemporaryDirectory()
        let arguments = ["--data", directory.path, "--listen", "127.0.0.1:0"]
        func log(slowMilliseconds: String) throws -> String {
            try serve(arguments + ["--log-slow-ms", slowMilliseconds]) { ready in
                let port = try #require(ready.firstMatch(of: /127\.0\.0\.1:([0-9]+)/).flatMap { UInt16($0.1) })
                let socket = try LineSocket(to: .tcp(port: port))
                _ = try socket.ask("CREATE c dim=1")
                #expect(try socket.ask("PUT c secret [1] {\"k\":\"secret\"}").header == "OK 0")
                for _ in 0..<30 {
                    #expect(try socket.ask("SAMPLE c 16384 seed=4711 with=vector,logq,features").header == "OK 16384")
                }
                let unknown = String(repeating: " x", count: 16_000)
                #expect(try socket.ask("SAMPLE c 9 except=secret insist=true").header.hasPrefix("ERR NOITEM "))
                #expect(try socket.ask("LOGQ c" + unknown).header == "OK 16000")
            }
        }
        let lines = try log(slowMilliseconds: "1").split(separator: "\n").filter { $0.contains("slow request") }
        #expect((1...20).contains(lines.count), "\(lines)")
        #expect(
            lines.contains { $0.contains(/notice "?slow request"? .*count=16384 .*outcome=OK .*verb=SAMPLE/) },
            "\(lines)"
        )
        #expect(lines.contains { $0.contains("collection=c") && $0.contains("peer=127.0.0.1:") })
        #expect(!lines.contains { $0.contains("secret") || $0.contains("4711") })
        #expect(try !log(slowMilliseconds: "0").contains("slow request"))
        let refused = try run(["--log-slow-ms", "3600001"])
        #expect(refused.status == .exited(64) && refused.log.contains("expected 0 to 3600000"), "\(refused.log)")
    }

    @Test("INFO storage has the absolute path of a relative directory")
    func directoryIsAbsolute() throws {
        let directory = try TemporaryDirectory()
        let script = "cd \"$0\" && exec \"$1\" --data ./a/../data --listen 127.0.0.1:0"
        let child = try ChildProcess(
            ["/bin/sh", "-c", script, directory.path, try DaemonProcess.executable()],
            environment: DaemonProcess.testEnvironment
        )
        let ready = try child.waitForErrorLine(within: TestScale.patienceSeconds, for: "ready") { $0.contains("ready") }
        let port = try #require(ready.firstMatch(of: /127\.0\.0\.1:([0-9]+)/).flatMap { UInt16($0.1) })
        let rows = try LineSocket(to: .tcp(port: port)).ask("INFO storage").rows
        let name = try #require(rows.first { $0.hasPrefix("directory ") })
        #expect(name.hasPrefix("directory /") && name.hasSuffix("/data"), "\(name)")
        child.send(signal: SIGTERM)
        #expect(try child.waitForExit(within: TestScale.patienceSeconds) == .exited(0))
    }
}
