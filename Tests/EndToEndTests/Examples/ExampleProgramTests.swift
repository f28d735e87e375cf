import Foundation
import TestSupport
import Testing

/// The programs of `protocol/examples/` do what they are there to show: no client library is needed.
@Suite("Example programs", .timeLimit(.minutes(10)))
struct ExampleProgramTests {
    @Test("the trainer teaches what the service finds", arguments: [true, false])
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
        // 50 items once before the run, 32 a step in 150 steps: the counts are exact, so q is known.
        let popular = try #require(trained.dropFirst(2).first)
        let count = try #require(popular.firstMatch(of: #/ count=([0-9]+) /#).flatMap { Double($0.1) }, "\(popular)")
        #expect(popular.hasPrefix("item-0 q=\(count / 4850) "), "\(popular)")
        #expect(popular.hasSuffix(" state=seen"), "\(popular)")
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
        // Item 7 is of topic 2, and so is what is like it.
        let alike = answers[30].split(separator: " ").dropFirst(2)
        #expect(alike.count == 3)
        for item in alike { #expect(Int(item.dropFirst(5)).map { $0 % 5 } == 2, "\(answers[30])") }
        #expect(answers[31] == "missing: item-7000 -")

        // What the negatives stand for: the sum over all items, and with the correction they do.
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

    @Test("the six lines at the head of PROTOCOL.md are a client")
    func sixLinesAreAClient() throws {
        let page = try String(
            contentsOf: Transcript.protocolDirectory.appendingPathComponent("PROTOCOL.md"),
            encoding: .utf8
        )
        let blocks = page.components(separatedBy: "```python\n")
        let client = try #require(blocks.count == 2 ? blocks[1].components(separatedBy: "```\n").first : nil)
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
