import Foundation
import TestSupport
import Testing

/// A short `logq demo` prints its table. However it ends, it leaves no files and no daemon.
@Suite("Demo", .timeLimit(.minutes(10)))
struct DemoTests {
    /// Starts the demo with `directory` as the only place for temporary files.
    private func start(in directory: TemporaryDirectory, _ flags: [String]) throws -> ChildProcess {
        var environment = ProcessInfo.processInfo.environment
        environment["TMPDIR"] = directory.path
        // The address of a production daemon, which the demo must ignore.
        environment["LOGQD_LISTEN"] = "127.0.0.1:1"
        let daemon = try DaemonProcess.executable()
        let demo = try DaemonProcess.executable("logq")
        return try ChildProcess([demo, "demo", "--daemon", daemon] + flags, environment: environment)
    }

    private func contents(_ directory: TemporaryDirectory) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory.path)
    }

    @Test("prints its table at the end")
    func runsToItsTable() throws {
        let directory = try TemporaryDirectory()
        let negatives = ["--negatives", "in-batch,mixed", "--negatives", "hard"]
        let demo = try start(in: directory, ["--steps", "2", "--questions", "20"] + negatives)
        #expect(try demo.waitForExit(within: 300) == .exited(0), "\(demo.errorOutput)")
        let lines = demo.output.split(separator: "\n").map(String.init)
        let runs = ["without log q", "in-batch, log q", "mixed, log q", "hard, log q"]
        for run in runs {
            // Rows of recalls first, then of speeds. After them an answer for each package.
            let rows = lines.filter { $0.hasPrefix(run) }
            try #require(rows.count == 2, "\(demo.output)")
            #expect(rows[0].contains(/[01]\.[0-9]{3} +[01]\.[0-9]{3} +[01]\.[0-9]{3} +[0-9.]+ %$/), "\(rows[0])")
            #expect(rows[1].contains(/[0-9,]+ +[0-9.]+ \/ [0-9.]+$/), "\(rows[1])")
            #expect(lines.contains { $0.hasPrefix("  " + run) })
        }
        let needs = try #require(lines.firstIndex(of: "gimp needs"))
        #expect(lines[needs + 1].split(separator: ",").count == 6)
        #expect(lines.contains { $0.contains("█") })
        #expect(demo.errorOutput.contains("hard, log q: train: 2 steps"))
        #expect(!demo.errorOutput.contains("\u{1B}"), "a bar was drawn without a terminal")
        #expect(try contents(directory) == [])
    }

    @Test("leaves nothing behind", arguments: [SIGINT, SIGTERM, SIGHUP, SIGKILL])
    func leavesNothingBehind(signal: Int32) throws {
        let directory = try TemporaryDirectory()
        let demo = try start(in: directory, ["--questions", "20"])
        let ready = try demo.waitForErrorLine(within: 120, for: "the daemon") { $0.contains("logqd is ready on") }
        let port = try #require(ready.firstMatch(of: /127\.0\.0\.1:([0-9]+)/).flatMap { UInt16($0.1) })
        #expect(try contents(directory).count == 1)
        _ = try demo.waitForErrorLine(within: 120, for: "training") { $0.contains("load: 37,056 embeddings") }
        demo.send(signal: signal)
        #expect(try demo.waitForExit(within: TestScale.patienceSeconds) == .signalled(signal), "\(demo.errorOutput)")
        // All must be gone now, except that after SIGKILL the janitor needs a moment.
        let deadline = Deadline(seconds: signal == SIGKILL ? TestScale.patienceSeconds : 0)
        while try !contents(directory).isEmpty, !deadline.hasPassed { usleep(10_000) }
        #expect(try contents(directory) == [])
        #expect(throws: (any Error).self, "the daemon still listens") {
            try LineSocket(to: .tcp(port: port), secondsMax: 5)
        }
    }

    @Test("says that the daemon is missing")
    func saysThatTheDaemonIsMissing() throws {
        let directory = try TemporaryDirectory()
        let demo = try start(in: directory, ["--daemon", directory.path + "/nothing"])
        #expect(try demo.waitForExit(within: TestScale.patienceSeconds) != .exited(0))
        #expect(demo.errorOutput.contains("could not start"))
        #expect(try contents(directory) == [])
    }
}
