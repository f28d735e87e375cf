import Foundation
import SystemSupport

/// The real `logqd` on a directory. It listens on a free TCP port of the loopback interface, and on a Unix socket in
/// the directory.
package final class DaemonProcess: Sendable {
    package struct Options {
        /// Flags besides `--data`, `--listen` and `--unix`.
        package var flags: [String]
        /// The largest size of each of the daemon's files, in KiB. It simulates a full disk.
        package var fileKiBMax: Int?
        /// The complete environment of the daemon.
        package var environment: [String: String]
        /// The arguments of a `ulimit` command that the shell runs before the daemon starts.
        package var ulimit: String?

        package init(
            flags: [String] = [],
            fileKiBMax: Int? = nil,
            environment: [String: String] = DaemonProcess.testEnvironment,
            ulimit: String? = nil
        ) {
            self.flags = flags
            self.fileKiBMax = fileKiBMax
            self.environment = environment
            self.ulimit = ulimit
        }
    }

    /// The environment of this process, without settings for other daemons.
    package static var testEnvironment: [String: String] {
        var environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("LOGQD_") }
        // Tests must not depend on the speed of the machine or of a sanitizer. A flag overrides this setting.
        environment["LOGQD_QUERY_TIMEOUT_MS"] = "60000"
        return environment
    }

    private let child: ChildProcess
    package let port: UInt16
    package let socketPath: String

    package convenience init(directory: TemporaryDirectory, options: Options = Options()) throws {
        try self.init(directory: directory.path, options: options)
    }

    /// Starts the daemon, and returns once it reports that it is ready.
    package init(directory: String, options: Options = Options()) throws {
        socketPath = directory + "/socket"
        let executable = try Self.executable()
        var arguments = [executable, "--data", directory + "/data"]
        arguments += ["--listen", "127.0.0.1:0", "--unix", socketPath] + options.flags
        if let ulimit = options.ulimit {
            arguments = ["/bin/sh", "-c", "ulimit \(ulimit) && exec \"$@\"", "sh"] + arguments
        }
        #if !os(Linux)
        if let fileKiBMax = options.fileKiBMax {
            // `ulimit -f` counts in blocks of 512 bytes.
            let script = "ulimit -f \"$0\" && exec \"$@\""
            arguments = ["/bin/sh", "-c", script, String(fileKiBMax * 2)] + arguments
        }
        #endif
        child = try ChildProcess(arguments, environment: options.environment)
        let line = try child.waitForErrorLine(within: TestScale.patienceSeconds, for: "the log line \"ready\"") {
            $0.contains("ready") && $0.contains("127.0.0.1:")
        }
        guard let port = line.firstMatch(of: /127\.0\.0\.1:([0-9]+)/).flatMap({ UInt16($0.1) }), port > 0 else {
            throw HarnessError("no port in \"\(line)\"")
        }
        self.port = port
        #if os(Linux)
        // Set the limit after the start, because ThreadSanitizer creates its own files at the start.
        if let fileKiBMax = options.fileKiBMax {
            try setLimit("--fsize=\(fileKiBMax << 10)")
        }
        #endif
    }

    #if os(Linux)
    private func setLimit(_ limit: String) throws {
        let prlimit = try ChildProcess(["/usr/bin/prlimit", "--pid", "\(processID)", limit])
        guard try prlimit.waitForExit(within: TestScale.patienceSeconds) == .exited(0) else {
            throw HarnessError("prlimit: \(prlimit.errorOutput)")
        }
    }

    /// Sets the number below which new descriptors of the running daemon must stay.
    package func setDescriptorLimit(_ limit: Int) throws {
        try setLimit("--nofile=\(limit):")
    }

    /// The number of descriptors that the daemon has open.
    package func descriptorCount() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/\(processID)/fd").count
    }
    #endif

    package var processID: Int32 { child.processID }
    package var tcp: LineSocket.Address { .tcp(port: port) }
    package var unix: LineSocket.Address { .unix(path: socketPath) }
    /// The whole log so far.
    package var log: String { child.errorOutput }

    package func connect(secondsMax: Double = TestScale.patienceSeconds) throws -> LineSocket {
        try LineSocket(to: tcp, secondsMax: secondsMax)
    }

    /// Kills the daemon with SIGKILL, so that it writes and sends nothing more. Returns when it has ended.
    package func kill() throws {
        try child.kill()
    }

    package func send(signal: Int32) {
        child.send(signal: signal)
    }

    /// Sends SIGTERM, and expects a clean exit.
    package func stop(within seconds: Double = TestScale.patienceSeconds) throws {
        child.send(signal: SIGTERM)
        let status = try waitForExit(within: seconds)
        guard status == .exited(0) else { throw HarnessError("the daemon stopped with \(status):\n\(log)") }
    }

    package func waitForExit(within seconds: Double = TestScale.patienceSeconds) throws -> ChildProcess.ExitStatus {
        try child.waitForExit(within: seconds)
    }

    // MARK: Finding the executable

    /// The path of an executable: that in `NAME_EXECUTABLE`, or the one that was built together with this program.
    package static func executable(_ name: String = "logqd") throws -> String {
        if let path = ProcessInfo.processInfo.environment["\(name.uppercased())_EXECUTABLE"] { return path }
        // The test bundle is the running program or, on macOS, one of its arguments.
        var candidates = CommandLine.arguments.filter { $0.contains(".xctest") } + CommandLine.arguments.prefix(1)
        if let running = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") {
            candidates.append(running)
        }
        for candidate in candidates {
            var url = URL(fileURLWithPath: candidate)
            if url.pathComponents.contains(where: { $0.hasSuffix(".xctest") }) {
                while !url.lastPathComponent.hasSuffix(".xctest") { url.deleteLastPathComponent() }
            }
            let path = url.deletingLastPathComponent().appendingPathComponent(name).path
            if FileManager.default.isExecutableFile(atPath: path) { return path }
        }
        throw HarnessError("found no executable \(name) beside this program; set \(name.uppercased())_EXECUTABLE")
    }
}
