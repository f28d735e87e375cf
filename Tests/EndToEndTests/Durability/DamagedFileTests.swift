import Foundation
import SystemSupport
import TestSupport
import Testing

/// Damage as an operator meets it: the exit code, the last line of the log, and `logqd verify`.
@Suite struct DamagedFileTests {
    /// A directory with a collection of 500 items, for a daemon that has stopped.
    private static func filled() throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        try fill(daemon)
        try daemon.stop()
        return directory
    }

    private static func fill(_ daemon: DaemonProcess) throws {
        let socket = try daemon.connect()
        #expect(try socket.ask("CREATE items dim=2").header == "OK 0")
        for number in 0..<500 {
            #expect(try socket.ask("PUT items id-\(number) [1,\(number)]").header == "OK 0")
        }
    }

    private static func dataFile(_ directory: TemporaryDirectory) -> String { directory.path + "/data/data.mdb" }

    private static func run(_ arguments: [String]) throws -> (status: ChildProcess.ExitStatus, text: String) {
        let child = try ChildProcess(
            [try DaemonProcess.executable()] + arguments,
            environment: DaemonProcess.testEnvironment
        )
        let status = try child.waitForExit(within: TestScale.patienceSeconds)
        return (status, child.output + child.errorOutput)
    }

    @Test func verifySaysWhetherADirectoryIsWhole() throws {
        let directory = try Self.filled()
        let data = directory.path + "/data"
        let whole = try Self.run(["verify", data])
        #expect(whole.status == .exited(0))
        #expect(whole.text.contains("no damage in '\(data)': 1 collections, 500 items, 500 ids"), "\(whole.text)")

        let daemon = try DaemonProcess(directory: directory)
        #expect(try Self.run(["verify", data]).status == .exited(73))
        try daemon.stop()

        let file = try FileHandle(forUpdating: URL(fileURLWithPath: Self.dataFile(directory)))
        try file.seek(toOffset: 0)
        let bytes = try #require(try file.readToEnd())
        // A vector: the first float is 1, the second the number of the item. Free pages have it, too.
        let places = bytes.ranges(of: [0, 0, 0x80, 0x3F, 0, 0, 0x80, 0x43])
        #expect(!places.isEmpty)
        for place in places {
            try file.seek(toOffset: UInt64(place.lowerBound))
            try file.write(contentsOf: [1])
        }
        let damaged = try Self.run(["verify", data])
        #expect(damaged.status == .exited(74))
        #expect(damaged.text.contains("corrupt record in table 'rows'"), "\(damaged.text)")
        #expect(damaged.text.contains("'\(data)/data.mdb'"), "\(damaged.text)")
        let started = try Self.run(["--data", data, "--listen", "127.0.0.1:0"])
        #expect(started.status == .exited(74))

        let missing = try Self.run(["verify", directory.path + "/nothing"])
        #expect(missing.status == .exited(74))
        #expect(!fileExists(directory.path + "/nothing"))
    }

    enum Damage: CaseIterable {
        case garbage, zeros, emptied, shortened
    }

    /// LMDB trusts its pages, so damage while it runs may end the daemon, but never by a signal or in a hang.
    @Test(arguments: Damage.allCases)
    func damageWhileServingEndsWritingOrTheDaemon(damage: Damage) throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory, options: .init(flags: ["--checkpoint-bytes", "65536"]))
        try Self.fill(daemon)
        let path = Self.dataFile(directory)
        var generator = SeededGenerator()
        let byteCount = try Data(contentsOf: URL(fileURLWithPath: path)).count
        switch damage {
        case .garbage, .zeros:
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
            try file.seek(toOffset: 8_192)
            try file.write(
                contentsOf: Data(
                    (8_192..<byteCount).map { _ in damage == .zeros ? 0 : UInt8.random(in: 0...255, using: &generator) }
                )
            )
        case .emptied: truncate(path, 0)
        case .shortened: truncate(path, 12_288)
        }
        // The daemon may end at any moment, and then the connection fails.
        var refusal = ""
        if let socket = try? daemon.connect() {
            for number in 0..<2_000 where refusal.isEmpty {
                guard let header = try? socket.ask("PUT items new-\(number) [1,2]").header else { break }
                if header.hasPrefix("ERR") { refusal = header }
            }
        }
        daemon.send(signal: SIGTERM)
        let status = try daemon.waitForExit()
        if status == .exited(0) {
            #expect(refusal.hasPrefix("ERR READONLY"), "\(refusal)")
        } else {
            #expect(status == .exited(74), "\(daemon.log)")
            #expect(daemon.log.contains("data file"), "\(daemon.log)")
        }
    }
}
