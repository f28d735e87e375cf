import Foundation
import TestSupport
import Testing

/// The programs of `protocol/examples/` work as described: no client library is needed.
@Suite("Example programs", .timeLimit(.minutes(10)))
struct ExampleProgramTests {
    @Test("the service finds the items that the trainer has learned", arguments: [true, false])
    func trainerAndService(overUnixSocket: Bool) throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        let address = overUnixSocket ? daemon.socketPath : "127.0.0.1:\(daemon.port)"

        let trained = try run("trainer.py", address)
        let losses = try trained.prefix(2).map { line in
            try #require(Double(line.split(separator: " ").last ?? ""), "\(line)")
        }
        try #require(losses.count == 2)
        #expect(losses[1] < losses[0] / 2, "the loss fell from \(losses[0]) to \(losses[1])")
        // 32 items in each of 150 steps. The counts are exact, so q is known. The item is in nearly every batch.
        let popular = try #require(trained.dropFirst(2).first)
        let count = try #require(popular.firstMatch(of: #/ count=([0-9]+) /#).flatMap { Double($0.1) }, "\(popular)")
        #expect(popular.hasPrefix("item-0 q=\(count / 4800) "), "\(popular)")
        #expect(popular.hasSuffix(" state=seen"), "\(popular)")
        let p = try #require(popular.firstMatch(of: #/ p=([0-9.]+) /#).flatMap { Double($0.1) }, "\(popular)")
        #expect(p > 0.9, "\(popular)")
        #expect(trained.count == 4)

        let answers = try run("service.py", address)
        try #require(answers.count == 32, "\(answers)")
        for topic in 0..<5 {
            #expect(answers[topic * 6] == "topic-\(topic):")
            for answer in answers[(topic * 6 + 1)...(topic * 6 + 5)] {
                #expect(answer.contains(/^  item-[0-9]+ topic [0-9] score -?[0-9.]+ log q -[0-9.]+$/), "\(answer)")
                #expect(answer.contains(" topic \(topic) "), "\(answer)")
                #expect(!answer.contains("item-0 "), "item-0 was excepted")
            }
        }
        // Item 7 has topic 2, and so must the items like it.
        let alike = answers[30].split(separator: " ").dropFirst(2)
        #expect(alike.count == 3)
        for item in alike { #expect(Int(item.dropFirst(5)).map { $0 % 5 } == 2, "\(answers[30])") }
        #expect(answers[31] == "missing: item-7000 -")

        // Corrected sums over the negatives must agree with the sum over all items.
        let sums = try run("negatives.py", address)
        try #require(sums.count == 5, "\(sums)")
        for line in sums {
            let words = line.split(separator: " ")
            try #require(words.count == 11, "\(line)")
            let values = try stride(from: 2, to: 11, by: 2).map { try #require(Double(words[$0]), "\(line)") }
            for corrected in values[1...3] { #expect(abs(corrected - values[0]) < 0.15, "\(line)") }
            #expect(abs(values[4] - values[0]) > 1, "\(line)")
        }
        try daemon.stop()
    }

    @Test("the trainer runs again on the same daemon, and its counts go on")
    func trainerRunsAgain() throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        _ = try run("trainer.py", daemon.socketPath)
        let again = try run("trainer.py", daemon.socketPath)
        let popular = try #require(again.dropFirst(2).first)
        let count = try #require(popular.firstMatch(of: #/ count=([0-9]+) /#).flatMap { Double($0.1) }, "\(popular)")
        #expect(popular.hasPrefix("item-0 q=\(count / 9600) "), "\(popular)")
        try daemon.stop()
    }

    @Test("the programs explain themselves", arguments: ["trainer.py", "service.py", "negatives.py"])
    func programsHaveHelp(name: String) throws {
        #expect(try run(name, "--help").contains { $0.hasPrefix("usage: \(name) ") })
    }

    @Test("the trainer reads every reply of a pipeline: after an error, and while it still sends")
    func trainerReadsEveryReply() throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        let examples = Transcript.protocolDirectory.appendingPathComponent("examples").path
        let uses = """
            import sys
            sys.path.insert(0, "\(examples)")
            sys.dont_write_bytecode = True
            import trainer
            logqd = trainer.connect("127.0.0.1:\(daemon.port)")
            try: trainer.ask(logqd, "PING", "GET nowhere a", "CREATE c dim=1", "PUT c a [1]", "PUT c b []")
            except RuntimeError as error: print(error)
            print(trainer.ask(logqd, "GET c a"))
            ids = " ".join(f"an-id-that-nobody-has-{n}" for n in range(4096))
            replies = trainer.ask(logqd, *[f"GET c {ids}"] * 200)
            print(len(replies), set(len(rows) for rows in replies))
            """
        let program = try ChildProcess(["/usr/bin/env", "python3", "-c", uses])
        #expect(try program.waitForExit(within: 300) == .exited(0), "\(program.errorOutput)")
        let refused = "GET: NOCOLLECTION there is no collection 'nowhere'"
        #expect(program.output == "\(refused)\n[['a [1]']]\n200 {4096}\n")
        try daemon.stop()
    }

    @Test("the six lines at the top of PROTOCOL.md are a working client")
    func sixLinesAreAClient() throws {
        let page = try String(
            contentsOf: Transcript.protocolDirectory.appendingPathComponent("PROTOCOL.md"),
            encoding: .utf8
        )
        let blocks = page.components(separatedBy: "```python\n")
        let client = try #require(blocks.dropFirst().first?.components(separatedBy: "```\n").first)
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        let uses = """
            import socket
            sock = socket.create_connection(("127.0.0.1", \(daemon.port))).makefile("rwb")
            print(ask(sock, b"CREATE c dim=2"), ask(sock, b"PUT c a [1,2]"), ask(sock, b"GET c a b"))
            try: ask(sock, b"GET nowhere a")
            except RuntimeError as error: print(error)
            """
        let program = try ChildProcess(["/usr/bin/env", "python3", "-c", client + uses])
        #expect(try program.waitForExit(within: TestScale.patienceSeconds) == .exited(0), "\(program.errorOutput)")
        let expected = "[] [] [b'a [1,2]', b'b -']\nNOCOLLECTION there is no collection 'nowhere'\n"
        #expect(program.output == expected)
        try daemon.stop()
    }

    /// Runs a program with the daemon's address, and returns the lines that it prints.
    private func run(_ name: String, _ address: String) throws -> [String] {
        let path = Transcript.protocolDirectory.appendingPathComponent("examples").appendingPathComponent(name).path
        let program = try ChildProcess(["/usr/bin/env", "python3", path, address])
        let status = try program.waitForExit(within: 300)
        #expect(status == .exited(0), "\(name) said:\n\(program.errorOutput)")
        return program.output.split(separator: "\n").map(String.init)
    }
}
