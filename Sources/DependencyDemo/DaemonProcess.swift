/// A real `logqd` on a temporary directory, as a child process.
///
/// Nothing of it may stay behind. In the ordinary course `stop()` ends it in good order. If this process dies in any
/// other way, even by SIGKILL, the *janitor* does it: a small shell that waits for the end of a pipe whose other end
/// only this process holds, and then stops the daemon and removes the directory.
internal import Foundation

#if canImport(Glibc)
internal import Glibc
#endif

final class DaemonProcess {
    let unixSocketPath: String
    /// Where it listens for TCP on 127.0.0.1.
    private(set) var port = 0

    var processIdentifier: Int32 { process.processIdentifier }

    private let directory: String
    private let logPath: String
    private let process: Process
    private let janitor: Process
    private let lifeline = Pipe()

    /// Starts the executable and waits until it says that it is ready.
    static func start(executable: String) async throws -> DaemonProcess {
        let daemon = try DaemonProcess(executable: executable)
        do {
            try await daemon.waitUntilReady()
        } catch {
            await daemon.stop()
            throw error
        }
        return daemon
    }

    /// The `logqd` that was built together with the running program.
    static func executableBesideThis() throws(DemoError) -> String {
        let directory = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent().path ?? "."
        let path = directory + "/logqd"
        guard access(path, X_OK) == 0 else {
            throw DemoError("there is no logqd in \(directory): build it as well (swift build -c release)")
        }
        return path
    }

    private init(executable: String) throws {
        directory = try Self.makeDirectory()
        logPath = directory + "/log"
        unixSocketPath = directory + "/socket"
        _ = FileManager.default.createFile(atPath: logPath, contents: nil)
        guard let log = FileHandle(forWritingAtPath: logPath) else {
            throw DemoError("could not write to \(logPath)")
        }
        process = Process()
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = [
            "--data", directory + "/data", "--unix", unixSocketPath, "--listen", "127.0.0.1:0", "--log-level", "info",
        ]
        // Settings of a daemon that this user runs in earnest are not for this one.
        process.environment = ProcessInfo.processInfo.environment.filter {
            !$0.key.hasPrefix("LOGQD_") || $0.key == "LOGQD_KERNEL"
        }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = log
        process.standardError = log
        janitor = Process()
        do {
            try process.run()
            try startJanitor()
        } catch {
            if process.isRunning { process.terminate() }
            try? FileManager.default.removeItem(atPath: directory)
            throw DemoError("could not start \(executable): \(error.localizedDescription)")
        }
    }

    private func startJanitor() throws {
        // It ignores what a terminal sends to the whole group. After "done" it leaves the daemon alone.
        let script = """
            trap '' INT TERM HUP
            read -r word
            if [ "$word" != done ]; then
                kill -TERM "$1" 2>/dev/null
                tries=100
                while kill -0 "$1" 2>/dev/null && [ $tries -gt 0 ]; do sleep 0.1; tries=$((tries - 1)); done
                kill -KILL "$1" 2>/dev/null
            fi
            rm -rf "$2"
            """
        janitor.executableURL = URL(fileURLWithPath: "/bin/sh")
        janitor.arguments = ["-c", script, "sh", String(process.processIdentifier), directory]
        janitor.standardInput = lifeline.fileHandleForReading
        janitor.standardOutput = FileHandle.nullDevice
        janitor.standardError = FileHandle.nullDevice
        try janitor.run()
    }

    /// The daemon logs one line that says "ready" and where it listens.
    private func waitUntilReady() async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < deadline {
            let log = (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? ""
            if let line = log.split(separator: "\n").first(where: { $0.contains("ready") }),
                let match = line.firstMatch(of: /127\.0\.0\.1:([0-9]+)/), let port = Int(match.1)
            {
                self.port = port
                return
            }
            guard process.isRunning else { break }
            try await Task.sleep(for: .milliseconds(5))
        }
        let log = (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? ""
        throw DemoError("logqd did not get ready. Its log ends so:\n\(log.suffix(2_000))")
    }

    /// Ends the daemon in good order (SIGTERM, then SIGKILL after ten seconds) and removes the directory.
    func stop() async {
        process.terminate()
        let deadline = ContinuousClock.now + .seconds(10)
        // Not cut short by cancellation: this is what is done after it.
        while process.isRunning, ContinuousClock.now < deadline { usleep(5_000) }
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
        try? lifeline.fileHandleForWriting.write(contentsOf: Data("done\n".utf8))
        try? lifeline.fileHandleForWriting.close()
        janitor.waitUntilExit()
    }

    /// A new directory whose name is short enough for a socket in it (108 bytes on Linux, 104 elsewhere).
    private static func makeDirectory() throws(DemoError) -> String {
        var parent = NSTemporaryDirectory()
        while parent.count > 1, parent.hasSuffix("/") { parent.removeLast() }
        if parent.utf8.count > 70 { parent = "/tmp" }
        var template = Array((parent + "/logq-demo-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw DemoError("could not make a directory in \(parent): \(String(cString: strerror(errno)))")
        }
        return template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }
}
