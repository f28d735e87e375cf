import Foundation
import NIOConcurrencyHelpers
import Synchronization
import TestSupport
import Testing

/// An acknowledged write is in the next reply on any other connection, while others write as fast as they can.
@Suite struct VisibilityTests {
    static let roundCount = TestScale.isFull ? 10_000 : 1_000

    enum Framing: String, CaseIterable, Sendable {
        case lines, resp2, resp3

        func connect(to address: LineSocket.Address) throws -> any AskingSocket {
            switch self {
            case .lines: try LineSocket(to: address)
            case .resp2: try RESPSocket(to: address, version: 2)
            case .resp3: try RESPSocket(to: address, version: 3)
            }
        }
    }

    @Test(arguments: [
        (Framing.lines, Framing.lines), (.resp2, .lines), (.lines, .resp2), (.resp3, .lines), (.lines, .resp3),
    ])
    func anAcknowledgedWriteIsInTheNextAnswerOfAnyConnection(writing: Framing, reading: Framing) throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory, options: .init(flags: ["--checkpoint-bytes", "1048576"]))
        let writer = try writing.connect(to: daemon.tcp)
        let reader = try reading.connect(to: daemon.unix)
        #expect(try writer.ask("CREATE c dim=4").header == "OK 0")
        let load = try BackgroundLoad(daemon, connectionCount: 2)
        for round in 1...Self.roundCount {
            let id = "id-\(round % 50)"
            // Each vector is larger, so that the latest write is always the best answer.
            let vector = "[\(1_000 + round),0,0,0]"
            #expect(try writer.ask("PUT c \(id) \(vector) {\"round\":\(round)}").header == "OK 0")
            try #require(try reader.ask("GET c \(id)").rows == ["\(id) \(vector)"])
            try #require(try reader.ask("FGET c \(id)").rows == ["\(id) {\"round\":\(round)}"])
            try #require(try reader.ask("TOPK c 1 [1,0,0,0]").rows == ["\(id) \(1_000 + round)"])
            #expect(try writer.ask("OBSERVE c - \(id)").header == "OK 0")
            let frequency = try reader.ask("FREQ c \(id)").rows[0]
            try #require(frequency.contains(" count=\((round + 49) / 50) "), "\(frequency)")
            let logQ = try reader.ask("LOGQ c \(id)").rows[0].split(separator: " ")
            try #require(logQ.count == 3 && logQ[2] != "unseen", "\(logQ)")
        }
        #expect(try load.stop() > 100, "there was no load")
        try daemon.stop()
    }
}

/// Connections that put, observe and delete their own ids in the collection `c` of dimension 4, pipelined, until
/// `stop()`.
final class BackgroundLoad {
    private let idCount: Int
    private let writesItems: Bool
    private let observes: Bool
    private let isOver = Atomic<Bool>(false)
    private let acknowledged = Atomic<Int>(0)
    private let failures = NIOLockedValueBox<[String]>([])
    private let group = DispatchGroup()

    /// `writesItems`: whether their ids get embeddings. `observes`: whether they are observed.
    init(
        _ daemon: DaemonProcess,
        connectionCount: Int,
        idCount: Int = 5_000,
        writesItems: Bool = true,
        observes: Bool = true
    ) throws {
        self.idCount = idCount
        self.writesItems = writesItems
        self.observes = observes
        for number in 0..<connectionCount {
            let socket = try daemon.connect()
            group.enter()
            nonisolated(unsafe) let owned = (self, socket)
            Thread.detachNewThread {
                let (load, socket) = owned
                defer { load.group.leave() }
                do {
                    try load.run(socket, number)
                } catch {
                    load.failures.withLockedValue { $0.append("\(error)") }
                }
            }
        }
    }

    private func run(_ socket: LineSocket, _ number: Int) throws {
        var random = SeededGenerator(seed: UInt64(number + 1))
        while !isOver.load(ordering: .relaxed) {
            let requests = (0..<50).map { _ in
                let id = "load-\(number)-\(Int.random(in: 0..<idCount, using: &random))"
                switch Int.random(in: 0..<10, using: &random) {
                case 0: return "DEL c \(id)"
                case 1 where observes: return "OBSERVE c - \(id)"
                case _ where writesItems: return "PUT c \(id) [\(Int.random(in: 0..<1_000, using: &random)),1,2,3]"
                default: return "FSET c \(id) {\"n\":\(Int.random(in: 0..<1_000, using: &random))}"
                }
            }
            try socket.send(Array(requests.map { $0 + "\n" }.joined().utf8))
            for _ in requests {
                let reply = try socket.readReply()
                guard reply.header.hasPrefix("OK") else { throw HarnessError(reply.header) }
                acknowledged.add(1, ordering: .relaxed)
            }
        }
    }

    /// Stops the connections. Returns the number of acknowledged writes.
    func stop() throws -> Int {
        isOver.store(true, ordering: .relaxed)
        try #require(group.wait(timeout: .now() + TestScale.patienceSeconds) == .success, "the load does not end")
        try #require(failures.withLockedValue { $0 } == [])
        return acknowledged.load(ordering: .relaxed)
    }
}
