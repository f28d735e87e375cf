#if os(Linux)
import Foundation
import TestSupport
import Testing

/// `--read-only` by a user that may read the files of a directory and change nothing in it, such as a backup.
@Suite("A user with read permission only", .timeLimit(.minutes(5)))
struct ReadOnlyUserTests {
    private let directory: TemporaryDirectory
    private var data: String { directory.path + "/data" }

    /// A directory with one item.
    init() throws {
        directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        let socket = try daemon.connect()
        #expect(try socket.ask("CREATE c dim=1").header == "OK 0")
        #expect(try socket.ask("PUT c a [7]").header == "OK 0")
        // The journal is left, so that a reader has to replay it.
        try daemon.kill()
    }

    /// Nobody may write to the files or to the directory any more.
    private func protect() throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: data) {
            try #require(chmod(data + "/" + name, 0o444) == 0)
        }
        try #require(chmod(data, 0o555) == 0 && chmod(directory.path, 0o755) == 0)
    }

    /// Starts the daemon as a user that owns nothing. Only root can become another user.
    private func start(_ flags: [String]) throws -> ChildProcess {
        let arguments = [try DaemonProcess.executable(), "--data", data, "--listen", "127.0.0.1:0"] + flags
        let user = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
        return try ChildProcess(
            (geteuid() == 0 ? user : []) + arguments,
            environment: DaemonProcess.testEnvironment
        )
    }

    private func connect(to child: ChildProcess) throws -> LineSocket {
        let ready = try child.waitForErrorLine(within: TestScale.patienceSeconds, for: "ready") { $0.contains("ready") }
        let port = try #require(ready.firstMatch(of: /127\.0\.0\.1:([0-9]+)/).flatMap { UInt16($0.1) })
        return try LineSocket(to: .tcp(port: port))
    }

    private func files() throws -> [String: Data] {
        let names = try FileManager.default.contentsOfDirectory(atPath: data)
        let contents = try names.map { try Data(contentsOf: URL(fileURLWithPath: data + "/" + $0)) }
        return Dictionary(uniqueKeysWithValues: zip(names, contents))
    }

    @Test("several readers serve the directory, and change nothing in it", arguments: [true, false])
    func isServed(hasLockFiles: Bool) throws {
        if !hasLockFiles {
            for name in ["LOCK", "lock.mdb", "HEAD"] { try FileManager.default.removeItem(atPath: data + "/" + name) }
        }
        try protect()
        let before = try files()
        let readers = [try start(["--read-only"]), try start(["--read-only"])]
        for reader in readers {
            let socket = try connect(to: reader)
            #expect(try socket.ask("GET c a").rows == ["a [7]"])
            #expect(try socket.ask("PUT c a [8]").header.hasPrefix("ERR READONLY the daemon was started read-only"))
        }
        #expect(try files() == before)
        for reader in readers {
            reader.send(signal: SIGTERM)
            #expect(try reader.waitForExit(within: TestScale.patienceSeconds) == .exited(0))
        }
        #expect(try files() == before)
    }

    @Test("readers and a writer exclude each other")
    func excludesWriters() throws {
        try protect()
        let reader = try start(["--read-only"])
        _ = try connect(to: reader)
        try #require(chmod(data, 0o755) == 0 && chmod(data + "/LOCK", 0o644) == 0)
        let refused = try ChildProcess([try DaemonProcess.executable(), "--data", data, "--listen", "127.0.0.1:0"])
        #expect(try refused.waitForExit(within: TestScale.patienceSeconds) == .exited(73), "\(refused.errorOutput)")
        try reader.kill()

        for name in ["data.mdb", "HEAD", "lock.mdb"] { try #require(chmod(data + "/" + name, 0o644) == 0) }
        let writer = try DaemonProcess(directory: directory)
        let excluded = try start(["--read-only"])
        #expect(try excluded.waitForExit(within: TestScale.patienceSeconds) == .exited(73), "\(excluded.errorOutput)")
        #expect(excluded.errorOutput.contains("is in use by process \(writer.processID)"), "\(excluded.errorOutput)")
        try writer.stop()
    }

    @Test("without --read-only, and without permission to read, the file is named", arguments: ["data.mdb", "LOCK"])
    func isRefusedByName(name: String) throws {
        try protect()
        let writer = try start([])
        #expect(try writer.waitForExit(within: TestScale.patienceSeconds) == .exited(74))
        #expect(writer.errorOutput.contains("could not open '\(data)/LOCK': Permission denied"))
        try #require(chmod(data + "/" + name, 0) == 0)
        let reader = try start(["--read-only"])
        #expect(try reader.waitForExit(within: TestScale.patienceSeconds) == .exited(74))
        #expect(reader.errorOutput.contains("\(data)/\(name)"), "\(reader.errorOutput)")
        #expect(reader.errorOutput.contains("Permission denied"), "\(reader.errorOutput)")
        #expect(!reader.errorOutput.contains("damaged"), "\(reader.errorOutput)")
    }
}
#endif
