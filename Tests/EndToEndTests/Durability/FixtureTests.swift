import Foundation
import SystemSupport
import TestSupport
import Testing

/// This version opens the data directories that released versions wrote, and gives the answers that they gave.
@Suite("Fixtures", .timeLimit(.minutes(20)))
struct FixtureTests {
    enum Ending: String, CaseIterable, Sendable, CustomStringConvertible {
        case stop
        case kill

        var description: String { rawValue }

        fileprivate var action: Transcript.Action {
            switch self {
            case .stop: .restart(flags: [])
            case .kill: .kill
            }
        }
    }

    @Test("there are directories of each kind")
    func thereAreDirectoriesOfEachKind() {
        for kind in ["checkpointed", "journal"] {
            #expect(Fixture.all.contains { $0.description.hasSuffix("/\(kind)") })
        }
    }

    /// Plays each conversation, ends the daemon, starts it again on the same copy, and plays the conversation again.
    /// The repeated writes change nothing, so the answers are the same after them.
    @Test("the answers are the same before and after the daemon ends", arguments: Fixture.all, Ending.allCases)
    func answersAreTheSame(_ fixture: Fixture, ending: Ending) throws {
        let directory = try fixture.copy()
        for file in ["answers.txt", "repeats.txt", "answers.txt"] {
            var conversation = try fixture.conversation(file)
            let end = Transcript.Statement(line: 0, connection: 1, action: ending.action)
            conversation.statements += [end] + conversation.statements
            try TranscriptPlayer(conversation, pace: .lines, directory: directory).play()
        }
    }

    /// The writes of this conversation change the data, so it is played once.
    @Test("later writes continue from the stored data", arguments: Fixture.all)
    func laterWritesContinue(_ fixture: Fixture) throws {
        let conversation = try fixture.conversation("continuation.txt")
        try TranscriptPlayer(conversation, pace: .lines, directory: fixture.copy()).play()
    }

    /// Old versions had features of one record only.
    @Test("an old directory takes long features", arguments: Fixture.all)
    func takesLongFeatures(_ fixture: Fixture) throws {
        let directory = try fixture.copy()
        let json = "{\"text\":\"\(String(repeating: "x", count: 65_524))\"}"
        var daemon = try DaemonProcess(directory: directory)
        #expect(try daemon.connect().ask("FSET dot long \(json)").header == "OK 0")
        try daemon.kill()
        for _ in 0..<2 {
            daemon = try DaemonProcess(directory: directory)
            #expect(try daemon.connect().ask("FGET dot long").rows == ["long \(json)"])
            try daemon.stop()
        }
        daemon = try DaemonProcess(directory: directory)
        #expect(try daemon.connect().ask("DEL dot long").rows == ["long 1"])
        try daemon.stop()
    }

    /// Each time, the daemon is killed at a different moment of its start: before, during and after the migration. In
    /// each case the next daemon gives the answers of the released version.
    @Test("a kill in the middle of the migration loses nothing", arguments: Fixture.all)
    func killedWhileMigrating(_ fixture: Fixture) throws {
        let killCount = TestScale.isFull ? 200 : 24
        let answers = try fixture.conversation("answers.txt")
        let startMicroseconds = try Self.microsecondsToStart(fixture)
        var migratedCount = 0
        for kill in 0..<killCount {
            let directory = try fixture.copy()
            let daemon = try ChildProcess(
                [try DaemonProcess.executable(), "--data", directory.path + "/data", "--listen", "127.0.0.1:0"],
                environment: DaemonProcess.testEnvironment
            )
            usleep(UInt32(startMicroseconds * kill / (killCount - 1)))
            daemon.send(signal: SIGKILL)
            _ = try daemon.waitForExit(within: TestScale.patienceSeconds)
            if !fixture.isUnchanged(in: directory) { migratedCount += 1 }
            try TranscriptPlayer(answers, pace: .lines, directory: directory).play()
        }
        #expect(migratedCount > 0 && migratedCount < killCount, "every kill came before or after the migration")
    }

    /// The time from the start of a daemon on a copy of the fixture until it is ready.
    private static func microsecondsToStart(_ fixture: Fixture) throws -> Int {
        let directory = try fixture.copy()
        let start = ContinuousClock.now
        let daemon = try DaemonProcess(directory: directory)
        let duration = ContinuousClock.now - start
        daemon.send(signal: SIGKILL)
        _ = try daemon.waitForExit()
        return Int(duration / .microseconds(1))
    }

    @Test("a read-only daemon answers the same and writes nothing", arguments: Fixture.all)
    func readOnly(_ fixture: Fixture) throws {
        let directory = try fixture.copy()
        // A read-only daemon locks this file, but does not make it.
        try Data().write(to: URL(fileURLWithPath: directory.path + "/data/LOCK"))
        var answers = try fixture.conversation("answers.txt")
        answers.flags = ["--read-only"]
        try TranscriptPlayer(answers, pace: .lines, directory: directory).play()
        #expect(fixture.isUnchanged(in: directory))
    }
}

/// A directory below `Fixtures/VERSION/`; the README there says what is in it.
struct Fixture: Sendable, CustomStringConvertible {
    let url: URL

    /// `VERSION/NAME`.
    var description: String { url.pathComponents.suffix(2).joined(separator: "/") }

    static let all: [Fixture] = {
        let root = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fixtures")
        do {
            return try FileManager.default.subpathsOfDirectory(atPath: root.path)
                .filter { $0.hasSuffix("/data.mdb") }
                .sorted()
                .map { Fixture(url: root.appendingPathComponent($0).deletingLastPathComponent()) }
        } catch {
            fatalError("cannot read the fixtures: \(error)")
        }
    }()

    /// A temporary directory with a copy of the data where a `DaemonProcess` expects it.
    func copy() throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        let data = URL(fileURLWithPath: directory.path).appendingPathComponent("data")
        try FileManager.default.createDirectory(at: data, withIntermediateDirectories: false)
        try FileManager.default.copyItem(
            at: url.appendingPathComponent("data.mdb"),
            to: data.appendingPathComponent("data.mdb")
        )
        return directory
    }

    /// Whether the copy in the directory still has the bytes of the fixture.
    func isUnchanged(in directory: TemporaryDirectory) -> Bool {
        FileManager.default.contentsEqual(
            atPath: directory.path + "/data/data.mdb",
            andPath: url.appendingPathComponent("data.mdb").path
        )
    }

    func conversation(_ file: String) throws -> Transcript {
        let bytes = try Data(contentsOf: url.appendingPathComponent(file))
        return try Transcript(name: "\(self)/\(file)", parsing: Array(bytes))
    }
}
