import Foundation
import TestSupport
import Testing

/// What signals do to the real daemon while it serves and while it reads its data.
@Suite("Signals of logqd", .timeLimit(.minutes(5)))
struct SignalTests {
    @Test("SIGHUP drains like SIGTERM", arguments: [SIGHUP, SIGTERM, SIGINT])
    func drains(signal: Int32) throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        let socket = try daemon.connect()
        #expect(try socket.ask("CREATE c dim=1").header == "OK 0")
        daemon.send(signal: signal)
        #expect(try daemon.waitForExit(within: TestScale.patienceSeconds) == .exited(0))
        #expect(daemon.log.contains("stopped"), "\(daemon.log)")
    }

    @Test("a daemon under nohup outlives its terminal")
    func survivesUnderNohup() throws {
        let directory = try TemporaryDirectory()
        let script = "trap '' HUP; exec \"$0\" --data \"$1\" --listen 127.0.0.1:0"
        let child = try ChildProcess(
            ["/bin/sh", "-c", script, try DaemonProcess.executable(), directory.path + "/data"],
            environment: DaemonProcess.testEnvironment
        )
        let ready = try child.waitForErrorLine(within: TestScale.patienceSeconds, for: "ready") { $0.contains("ready") }
        let port = try #require(ready.firstMatch(of: /127\.0\.0\.1:([0-9]+)/).flatMap { UInt16($0.1) })
        child.send(signal: SIGHUP)
        #expect(try LineSocket(to: .tcp(port: port)).ask("PING").header == "OK 0")
        child.send(signal: SIGTERM)
        #expect(try child.waitForExit(within: TestScale.patienceSeconds) == .exited(0))
    }

    @Test("a daemon that still reads its data stops at once", arguments: [SIGHUP, SIGTERM, SIGINT])
    func stopsWhileItReads(signal: Int32) throws {
        let directory = try TemporaryDirectory()
        let data = directory.path + "/data"
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: false)
        // Opening a pipe for reading takes until something opens it for writing, which nothing does.
        try #require(mkfifo(data + "/LOCK", 0o600) == 0)
        let child = try ChildProcess(
            [try DaemonProcess.executable(), "--read-only", "--data", data, "--listen", "127.0.0.1:0"],
            environment: DaemonProcess.testEnvironment
        )
        _ = try child.waitForErrorLine(within: TestScale.patienceSeconds, for: "opening") { $0.contains("opening") }
        child.send(signal: signal)
        #expect(try child.waitForExit(within: TestScale.patienceSeconds) == .exited(0))
        #expect(child.errorOutput.contains("stopped while reading the data"), "\(child.errorOutput)")
    }
}
