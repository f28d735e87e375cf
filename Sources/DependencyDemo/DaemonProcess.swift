internal import Foundation
import SystemSupport

/// A real `logqd` on a temporary directory, as a child process.
///
/// It must leave no process and no file. Normally `stop()` ends it. If this process ends in any other way, even by
/// SIGKILL, the *janitor* cleans up. The janitor is a shell that reads from a pipe. Only this process holds the other
/// end, so the pipe ends with this process. Then the janitor stops the daemon and removes the directory.
final class DaemonProcess {
    let unixSocketPath: String
    /// The TCP port on 127.0.0.1.
    private(set) var port = 0
    var processIdentifier: Int32 { daemon.identifier }

    private let logPath: String
    private let daemon: ChildProcess
    private let janitor: ChildProcess
    /// The write end of the janitor's pipe. No other process may hold it.
    private let janitorPipe: Int32

    /// Starts the executable, and waits until it reports that it is ready.
    static func start(executable: String) async throws -> DaemonProcess {
        let daemon = try DaemonProcess(executable: executable)
        do {
            try await daemon.waitUntilReady()
        } catch {
            daemon.stop()
            throw error
        }
        return daemon
    }

    /// The path of the `logqd` that was built together with the running program.
    static func executableBesideThis() throws(DemoError) -> String {
        let directory = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent().path ?? "."
        let path = directory + "/logqd"
        guard access(path, X_OK) == 0 else {
            throw DemoError("there is no logqd in \(directory): build it as well (swift build -c release)")
        }
        return path
    }

    private init(executable: String) throws(DemoError) {
        let directory = try Self.makeDirectory()
        logPath = directory + "/log"
        unixSocketPath = directory + "/socket"
        do throws(DemoError) {
            daemon = try Self.startDaemon(executable, directory, log: logPath, socket: unixSocketPath)
        } catch {
            try? FileManager.default.removeItem(atPath: directory)
            throw error
        }
        do throws(DemoError) {
            (janitor, janitorPipe) = try Self.startJanitor(daemon.identifier, directory)
        } catch {
            daemon.send(SIGKILL)
            try? FileManager.default.removeItem(atPath: directory)
            throw error
        }
    }

    private static func startDaemon(
        _ executable: String,
        _ directory: String,
        log: String,
        socket: String
    ) throws(DemoError) -> ChildProcess {
        let descriptor = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw DemoError("could not write to \(log): \(lastSystemError)") }
        defer { close(descriptor) }
        let arguments = [
            executable, "--data", directory + "/data", "--unix", socket, "--listen", "127.0.0.1:0", "--log-level",
            "info",
        ]
        // The user's settings for another daemon must not apply to this one.
        let environment = ProcessInfo.processInfo.environment.filter {
            !$0.key.hasPrefix("LOGQD_") || $0.key == "LOGQD_KERNEL"
        }
        return try ChildProcess(arguments, environment: environment, output: descriptor)
    }

    private static func startJanitor(_ daemon: pid_t, _ directory: String) throws(DemoError) -> (ChildProcess, Int32) {
        // `read` returns when a line arrives or the pipe ends. After "done" there is no daemon to stop.
        let script = """
            read -r word
            if [ "$word" != done ]; then
                kill -TERM "$1"
                tries=100
                while kill -0 "$1" && [ $tries -gt 0 ]; do sleep 0.1; tries=$((tries - 1)); done
                kill -KILL "$1"
            fi
            rm -rf "$2"
            """
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw DemoError("could not make a pipe: \(lastSystemError)") }
        defer { close(ends[0]) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        do throws(DemoError) {
            let arguments = ["/bin/sh", "-c", script, "sh", String(daemon), directory]
            let environment = ProcessInfo.processInfo.environment
            return (try ChildProcess(arguments, environment: environment, input: ends[0]), ends[1])
        } catch {
            close(ends[1])
            throw error
        }
    }

    /// Waits for the log line "ready", which has the daemon's addresses.
    private func waitUntilReady() async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < deadline {
            // Read whole lines only, because the last one may be incomplete.
            let log = (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? ""
            let lines = log.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            if let line = lines.first(where: { $0.contains("ready") }),
                let match = line.firstMatch(of: /127\.0\.0\.1:([0-9]+)/), let port = Int(match.1)
            {
                self.port = port
                return
            }
            guard daemon.isRunning else { break }
            try await Task.sleep(for: .milliseconds(5))
        }
        let log = (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? ""
        throw DemoError("logqd did not become ready. Its log ends with:\n\(log.suffix(2_000))")
    }

    /// Stops the daemon (SIGTERM, then SIGKILL after ten seconds) and removes the directory.
    func stop() {
        daemon.send(SIGTERM)
        if !daemon.waitUntilEnded(.seconds(10)) {
            daemon.send(SIGKILL)
            _ = daemon.waitUntilEnded(.seconds(5))
        }
        _ = write(janitorPipe, "done\n", 5)
        close(janitorPipe)
        _ = janitor.waitUntilEnded(.seconds(5))
    }

    /// Creates a directory whose path is short enough for a socket in it (108 bytes on Linux, 104 elsewhere).
    private static func makeDirectory() throws(DemoError) -> String {
        var parent = NSTemporaryDirectory()
        while parent.count > 1, parent.hasSuffix("/") { parent.removeLast() }
        if parent.utf8.count > 70 { parent = "/tmp" }
        var template = Array((parent + "/logq-demo-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw DemoError("could not make a directory in \(parent): \(lastSystemError)")
        }
        return template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }
}

private var lastSystemError: String { String(cString: strerror(errno)) }
