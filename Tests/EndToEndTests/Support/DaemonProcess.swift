import Foundation
import TestSupport

/// The real `logqd`, started on a directory, listening on a free port of the loopback and on a socket in that
/// directory.
final class DaemonProcess {
    struct Options {
        /// Flags besides `--data`, `--listen` and `--unix`.
        var flags: [String] = []
        /// The most that a file of the daemon may grow to, in KiB: how a full disk is played.
        var fileKiBMax: Int?
        var environment: [String: String] = [:]
    }

    private let child: ChildProcess
    let port: UInt16
    let socketPath: String

    /// Returns when the daemon says that it is ready.
    init(
        directory: TemporaryDirectory,
        options: Options = Options(),
        startSecondsMax: Double = TestScale.patienceSeconds
    ) throws {
        socketPath = directory.path + "/socket"
        let executable = try Self.executable()
        var arguments = [executable, "--data", directory.path + "/data"]
        arguments += ["--listen", "127.0.0.1:0", "--unix", socketPath] + options.flags
        #if !os(Linux)
        if let fileKiBMax = options.fileKiBMax {
            // `ulimit -f` counts in blocks of 512 bytes.
            let script = "ulimit -f \"$0\" && exec \"$@\""
            arguments = ["/bin/sh", "-c", script, String(fileKiBMax * 2)] + arguments
        }
        #endif
        // What the machine sets for its own daemon must not reach this one.
        var environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("LOGQD_") }
        // How fast the machine is, or a sanitizer, is nothing that these tests are about. (A flag still wins.)
        environment["LOGQD_QUERY_TIMEOUT_MS"] = "60000"
        environment.merge(options.environment) { _, new in new }
        child = try ChildProcess(arguments, environment: environment)
        let line = try child.waitForErrorLine(within: startSecondsMax, for: "the log line \"ready\"") { line in
            line.contains("ready") && line.contains("127.0.0.1:")
        }
        guard let port = line.firstMatch(of: /127\.0\.0\.1:([0-9]+)/).flatMap({ UInt16($0.1) }), port > 0 else {
            throw HarnessError("no port in \"\(line)\"")
        }
        self.port = port
        #if os(Linux)
        // Only now, because ThreadSanitizer makes files of its own at the start.
        if let fileKiBMax = options.fileKiBMax {
            let limit = "--fsize=\(fileKiBMax << 10)"
            let prlimit = try ChildProcess(["/usr/bin/prlimit", "--pid", "\(child.processID)", limit])
            guard try prlimit.waitForExit(within: TestScale.patienceSeconds) == .exited(0) else {
                throw HarnessError("prlimit: \(prlimit.errorOutput)")
            }
        }
        #endif
    }

    var tcp: LineSocket.Address { .tcp(port: port) }
    var unix: LineSocket.Address { .unix(path: socketPath) }
    var processID: pid_t { child.processID }
    var isRunning: Bool { child.isRunning }
    /// Everything logged so far.
    var log: String { child.errorOutput }

    func connect(secondsMax: Double = TestScale.patienceSeconds) throws -> LineSocket {
        try LineSocket(to: tcp, secondsMax: secondsMax)
    }

    /// `kill -9`: nothing is written or said any more. Returns when the process is gone.
    func kill() throws {
        child.send(signal: SIGKILL)
        _ = try child.waitForExit(within: TestScale.patienceSeconds)
    }

    func send(signal: Int32) {
        child.send(signal: signal)
    }

    /// SIGTERM, and a clean exit.
    func stop(within seconds: Double = TestScale.patienceSeconds) throws {
        child.send(signal: SIGTERM)
        let status = try waitForExit(within: seconds)
        guard status == .exited(0) else { throw HarnessError("the daemon stopped with \(status):\n\(log)") }
    }

    func waitForExit(within seconds: Double = TestScale.patienceSeconds) throws -> ChildProcess.ExitStatus {
        try child.waitForExit(within: seconds)
    }

    func waitForLogLine(containing text: String, within seconds: Double = TestScale.patienceSeconds) throws {
        _ = try child.waitForErrorLine(within: seconds, for: "the log line \"\(text)\"") { $0.contains(text) }
    }

    // MARK: Where the executable is

    /// `LOGQD_EXECUTABLE`, or the `logqd` that was built beside the tests.
    static func executable(_ name: String = "logqd") throws -> String {
        if let path = ProcessInfo.processInfo.environment["\(name.uppercased())_EXECUTABLE"] { return path }
        // The bundle of the tests is the running program, or (on macOS) one of its arguments.
        var candidates = CommandLine.arguments
        if let running = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") {
            candidates.append(running)
        }
        for candidate in candidates {
            var url = URL(fileURLWithPath: candidate)
            guard url.pathComponents.contains(where: { $0.hasSuffix(".xctest") }) else { continue }
            while !url.lastPathComponent.hasSuffix(".xctest") { url.deleteLastPathComponent() }
            let path = url.deletingLastPathComponent().appendingPathComponent(name).path
            if FileManager.default.isExecutableFile(atPath: path) { return path }
        }
        throw HarnessError("found no executable \(name) beside the tests; set \(name.uppercased())_EXECUTABLE")
    }
}
