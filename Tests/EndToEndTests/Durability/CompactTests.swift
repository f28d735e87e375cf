import Foundation
import SystemSupport
import TestSupport
import Testing

/// `logqd compact`: what it leaves, what it refuses, and what a kill at any moment leaves.
@Suite struct CompactTests {
    private static let questions = [
        "COLLECTIONS", "SCAN items limit=16384", "GET items id-0 id-7 id-299 nothing", "FGET items id-0 id-299",
        "FREQ items id-0 id-1 seen", "CLOCK items", "TOPK items 20 with=features,logq [1,2]", "GET dropped id-0",
    ]

    private static func dataFile(_ directory: TemporaryDirectory) -> String { directory.path + "/data/data.mdb" }

    private static func byteCount(_ directory: TemporaryDirectory) throws -> Int {
        let values = try URL(fileURLWithPath: dataFile(directory)).resourceValues(forKeys: [.fileSizeKey])
        return try #require(values.fileSize)
    }

    private static func start(_ arguments: [String]) throws -> ChildProcess {
        try ChildProcess([try DaemonProcess.executable()] + arguments, environment: DaemonProcess.testEnvironment)
    }

    private static func compact(_ path: String) throws -> (status: ChildProcess.ExitStatus, text: String) {
        let child = try start(["compact", path])
        let status = try child.waitForExit(within: TestScale.patienceSeconds)
        return (status, child.output + child.errorOutput)
    }

    private static func answers(_ daemon: DaemonProcess) throws -> [[String]] {
        let socket = try daemon.connect()
        return try questions.map { question in
            let reply = try socket.ask(question)
            return [reply.header] + reply.rows
        }
    }

    /// A daemon with a small collection, and the rests of a large one that was dropped.
    private static func filled(_ directory: TemporaryDirectory) throws -> DaemonProcess {
        let daemon = try DaemonProcess(directory: directory, options: .init(flags: ["--checkpoint-bytes", "65536"]))
        let socket = try daemon.connect()
        for name in ["items", "dropped"] { #expect(try socket.ask("CREATE \(name) dim=2").header == "OK 0") }
        func fill(_ name: String, _ count: Int, _ text: String) throws {
            let puts = (0..<count).map { "PUT \(name) id-\($0) [1,\($0)] {\"k\":\"\(text)\",\"n\":\($0)}\n" }
            try socket.send(Array(puts.joined().utf8))
            for _ in puts { #expect(try socket.readReply().header == "OK 0") }
        }
        try fill("dropped", 2_000, String(repeating: "x", count: 1_000))
        try fill("items", 300, "y")
        for step in 1...20 { #expect(try socket.ask("OBSERVE items \(step) seq=w:\(step) id-0 seen").header == "OK 0") }
        #expect(try socket.ask("DROP dropped").header == "OK 0")
        return daemon
    }

    @Test func theFileShrinksAndTheAnswersStay() throws {
        let directory = try TemporaryDirectory()
        let data = directory.path + "/data"
        let daemon = try Self.filled(directory)
        let expected = try Self.answers(daemon)
        let busy = try Self.compact(data)
        #expect(busy.status == .exited(73), "\(busy.text)")
        try daemon.stop()

        let before = try Self.byteCount(directory)
        #expect(chmod(Self.dataFile(directory), 0o640) == 0)
        let result = try Self.compact(data)
        #expect(result.status == .exited(0), "\(result.text)")
        let after = try Self.byteCount(directory)
        #expect(after < before / 4, "\(before) \(after)")
        #expect(result.text.contains("'\(data)/data.mdb' had \(before) bytes and has \(after) now"), "\(result.text)")
        let attributes = try FileManager.default.attributesOfItem(atPath: Self.dataFile(directory))
        #expect(attributes[.posixPermissions] as? Int == 0o640)
        let names = try FileManager.default.contentsOfDirectory(atPath: data).sorted()
        #expect(names == ["HEAD", "LOCK", "data.mdb", "lock.mdb"])
        // Nothing more to gain.
        #expect(try Self.compact(data).status == .exited(0))
        #expect(try Self.byteCount(directory) <= after)

        let again = try DaemonProcess(directory: directory)
        #expect(try Self.answers(again) == expected)
        let storage = try again.connect().ask("INFO storage").rows
        #expect(storage.contains("replayed-groups 0") && storage.contains("writes served"))
        try again.stop()
    }

    /// `HEAD` goes on to tell an older copy and the file of another directory from the right one.
    @Test func theFilesBelongTogetherAfterwards() throws {
        let directory = try TemporaryDirectory()
        try Self.filled(directory).stop()
        #expect(try Self.compact(directory.path + "/data").status == .exited(0))
        let files = FileManager.default
        let (file, copy) = (Self.dataFile(directory), directory.path + "/copy")
        try files.copyItem(atPath: file, toPath: copy)
        let daemon = try DaemonProcess(directory: directory)
        #expect(try daemon.connect().ask("PUT items new [1,2]").header == "OK 0")
        try daemon.stop()

        func start(with path: String) throws -> (status: ChildProcess.ExitStatus, text: String) {
            try files.removeItem(atPath: file)
            try files.copyItem(atPath: path, toPath: file)
            let child = try Self.start(["--data", directory.path + "/data", "--listen", "127.0.0.1:0"])
            return (try child.waitForExit(within: TestScale.patienceSeconds), child.errorOutput)
        }
        let older = try start(with: copy)
        #expect(older.status == .exited(74) && older.text.contains("older copy"), "\(older.text)")
        #expect(try Self.compact(directory.path + "/data").status == .exited(74))
        let other = try TemporaryDirectory()
        try Self.filled(other).stop()
        let foreign = try start(with: Self.dataFile(other))
        #expect(foreign.status == .exited(74) && foreign.text.contains("does not belong"), "\(foreign.text)")
    }

    @Test func aJournalThatWasNotCheckpointedIsCheckpointedFirst() throws {
        let directory = try TemporaryDirectory()
        let daemon = try Self.filled(directory)
        let expected = try Self.answers(daemon)
        try daemon.kill()
        #expect(try Self.compact(directory.path + "/data").status == .exited(0))
        let again = try DaemonProcess(directory: directory)
        #expect(try Self.answers(again) == expected)
        #expect(try again.connect().ask("INFO storage").rows.contains("replayed-groups 0"))
        try again.stop()
    }

    @Test func whatIsNoDirectoryIsLeftAlone() throws {
        let directory = try TemporaryDirectory()
        let missing = try Self.compact(directory.path + "/nothing")
        #expect(missing.status == .exited(74) && missing.text.contains("there is no data file"), "\(missing.text)")
        #expect(!fileExists(directory.path + "/nothing"))
        #expect(try Self.compact(directory.path).status == .exited(74))
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == [])
    }

    /// Without room for the copy, the old file stays.
    @Test func withoutRoomNothingChanges() throws {
        let directory = try TemporaryDirectory()
        let data = directory.path + "/data"
        let daemon = try Self.filled(directory)
        let expected = try Self.answers(daemon)
        try daemon.stop()
        #expect(try Self.compact(data).status == .exited(0))
        let byteCount = try Self.byteCount(directory)
        let script = "ulimit -f \((byteCount - 8_192) / 512) && exec \"$0\" compact \"$1\""
        let child = try ChildProcess(
            ["/bin/sh", "-c", script, try DaemonProcess.executable(), data],
            environment: DaemonProcess.testEnvironment
        )
        #expect(try child.waitForExit(within: TestScale.patienceSeconds) == .exited(74))
        #expect(child.errorOutput.contains("could not copy the data file"), "\(child.errorOutput)")
        #expect(try Self.byteCount(directory) == byteCount)
        #expect(!fileExists(data + "/compact"))
        let again = try DaemonProcess(directory: directory)
        #expect(try Self.answers(again) == expected)
        try again.stop()
    }

    /// Kills it as soon as each of its files is there, and then at later and later moments.
    @Test func aKillAtAnyMomentLosesNothing() throws {
        let directory = try TemporaryDirectory()
        let data = directory.path + "/data"
        let daemon = try Self.filled(directory)
        let expected = try Self.answers(daemon)
        try daemon.kill()
        var endCount = 0
        for trial in 0..<12 {
            let child = try Self.start(["compact", data])
            let name = ["/compact", "/compact/data.mdb", "/compact/LOCK"][trial % 3]
            let deadline = Deadline(seconds: TestScale.patienceSeconds)
            while !fileExists(data + name), !child.output.contains("bytes"), !deadline.hasPassed { sched_yield() }
            if trial >= 3 { try wait(until: .now + .milliseconds(2 * trial)) }
            child.send(signal: SIGKILL)
            if try child.waitForExit(within: TestScale.patienceSeconds) == .exited(0) { endCount += 1 }
            let again = try DaemonProcess(directory: directory)
            #expect(try Self.answers(again) == expected, "trial \(trial)")
            #expect(!fileExists(data + "/compact"))
            try again.kill()
        }
        #expect(endCount < 12)
    }
}
