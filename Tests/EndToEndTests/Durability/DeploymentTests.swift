import Foundation
import NIOConcurrencyHelpers
import Synchronization
import TestSupport
import Testing

/// New models go live while a trainer observes under the live name. The daemon is killed several times in between. No
/// observation is lost or counted twice, and no id becomes unseen.
@Suite struct DeploymentTests {
    /// `LOGQD_TEST_SCALE=full`: 1,000 deployments. Otherwise a quick run.
    static let deploymentCount = TestScale.isFull ? 1_000 : 100
    static let killCount = 4

    @Test func statisticsStayWhenANewModelGoesLive() throws {
        let seed = TestScale.seed(or: 7)
        var random = SeededGenerator(seed: seed)
        let directory = try TemporaryDirectory()
        let options = DaemonProcess.Options(flags: ["--checkpoint-bytes", "65536"])
        var daemon = try DaemonProcess(directory: directory, options: options)
        try daemon.connect().write(["CREATE live dim=2 alpha=0.05"])
        let trainer = Trainer()
        try trainer.warmUp(try daemon.connect())
        for kill in 0..<Self.killCount {
            let observationCount = trainer.acknowledgedCount
            let threads = try TrainerThreads(trainer, daemon)
            let socket = try daemon.connect()
            for number in 0..<Self.deploymentCount / Self.killCount {
                try Self.deploy(number, socket, &random)
            }
            // Dies at a random moment of the next deployment.
            try socket.send(Self.requests(0, &random).map { $0 + "\n" }.joined().utf8)
            usleep(UInt32.random(in: 0..<4_000, using: &random))
            threads.end()
            try daemon.kill()
            try threads.wait()
            #expect(trainer.acknowledgedCount > observationCount + 50, "kill \(kill): there was no stream")
            daemon = try DaemonProcess(directory: directory, options: options)
            try trainer.repeatUnacknowledged(try daemon.connect())
            try trainer.checkCounts(try daemon.connect(), "seed \(seed), kill \(kill)")
            _ = try daemon.connect().ask("DROP next")
        }
        try daemon.stop()
    }

    /// The requests that bring a new model live.
    private static func requests(_ number: Int, _ random: inout SeededGenerator) -> [String] {
        // A model has some of the observed items, in another order, and some that nobody has observed.
        let items = (0..<40).map { "i\($0)" }.shuffled(using: &random).prefix(25)
        return ["CREATE next like=live dim=\(1 + number % 3)"]
            + (Array(items) + ["new-\(number)"]).map {
                "PUT next \($0) [\(Array(repeating: "\(number)", count: 1 + number % 3).joined(separator: ","))]"
            } + ["SWAP live next statistics=stay", "DROP next"]
    }

    private static func deploy(_ number: Int, _ socket: LineSocket, _ random: inout SeededGenerator) throws {
        try socket.write(requests(number, &random))
        let answer = try socket.ask("GET live new-\(number)")
        #expect(answer.rows.first?.hasPrefix("new-\(number) [\(number)") == true, "deployment \(number): \(answer)")
    }
}

/// A trainer with several batches in flight, each with a number. What is not acknowledged before a kill is sent again.
private final class Trainer: Sendable {
    static let ids = (0..<30).map { "i\($0)" } + (0..<20).map { "never-embedded-\($0)" }
    private static let depth = 4

    private struct State {
        var random = SeededGenerator(seed: 3)
        var step = 0
        var unacknowledged: [(request: String, ids: [String])] = []
        var counts: [String: Int] = [:]
        var acknowledgedCount = 0
    }

    private let state = NIOLockedValueBox(State())

    var acknowledgedCount: Int { state.withLockedValue { $0.acknowledgedCount } }

    /// Observes every id at two steps, so that each one is `seen` from then on.
    func warmUp(_ socket: LineSocket) throws {
        for _ in 0..<2 {
            state.withLockedValue { $0.unacknowledged = [Self.next(&$0, ids: Self.ids)] }
            try repeatUnacknowledged(socket)
        }
    }

    private static func next(_ state: inout State, ids: [String]) -> (request: String, ids: [String]) {
        state.step += 1
        let place = "\(state.step) run=r seq=w:\(state.step) return=logq"
        return ("OBSERVE live \(place) \(ids.joined(separator: " "))", ids)
    }

    /// Sends the next batch if there is room for one in flight.
    func send(to socket: LineSocket) throws {
        let request = state.withLockedValue { state -> String? in
            guard state.unacknowledged.count < Self.depth else { return nil }
            let ids = (0..<8).map { _ in Self.ids.randomElement(using: &state.random)! }
            state.unacknowledged.append(Self.next(&state, ids: ids))
            return state.unacknowledged.last?.request
        }
        if let request { try socket.send(request) }
    }

    func receive(from socket: LineSocket, areAllSeen: Bool = true) throws {
        let reply = try socket.readReply()
        let states = reply.rows.map { $0.split(separator: " ").last ?? "" }
        guard reply.header.hasPrefix("OK "), !areAllSeen || states.allSatisfy({ $0 == "seen" }) else {
            throw UnexpectedAnswer(text: "\(reply)")
        }
        state.withLockedValue { state in
            for id in state.unacknowledged.removeFirst().ids { state.counts[id, default: 0] += 1 }
            state.acknowledgedCount += 1
        }
    }

    func repeatUnacknowledged(_ socket: LineSocket) throws {
        for request in state.withLockedValue({ $0.unacknowledged.map(\.request) }) {
            try socket.send(request)
            try receive(from: socket, areAllSeen: false)
        }
    }

    /// Each id has as many hits as were acknowledged.
    func checkCounts(_ socket: LineSocket, _ context: String) throws {
        let counts = state.withLockedValue { $0.counts }
        let rows = try socket.ask("FREQ live \(Self.ids.joined(separator: " "))").rows
        let total = counts.values.reduce(0, +)
        for (id, row) in zip(Self.ids, rows) {
            let count = counts[id] ?? 0
            let isRight = row.contains(" q=\(Double(count) / Double(total)) ") && row.contains(" count=\(count) ")
            #expect(isRight, "\(context): expected \(count) of \(total), got \(row)")
        }
    }
}

/// A thread that trains, and one that asks for log q, until they are told to end or the daemon is gone.
private final class TrainerThreads: Sendable {
    private let isOver = Atomic<Bool>(false)
    private let failures = NIOLockedValueBox<[String]>([])
    private let group = DispatchGroup()

    init(_ trainer: Trainer, _ daemon: DaemonProcess) throws {
        let question = "LOGQ live \(Trainer.ids.joined(separator: " "))"
        start(try daemon.connect()) { socket in
            for _ in 0..<4 { try trainer.send(to: socket) }
            try trainer.receive(from: socket)
        }
        start(try daemon.connect()) { socket in
            let reply = try socket.ask(question)
            // An id that was not in the batches for a while is stale.
            let areKnown = reply.rows.allSatisfy { $0.hasSuffix(" seen") || $0.hasSuffix(" stale") }
            guard reply.rows.count == Trainer.ids.count, areKnown else { throw UnexpectedAnswer(text: "\(reply)") }
        }
    }

    private func start(_ socket: LineSocket, _ body: @escaping @Sendable (LineSocket) throws -> Void) {
        nonisolated(unsafe) let socket = socket
        group.enter()
        Thread.detachNewThread {
            defer { self.group.leave() }
            do {
                while !self.isOver.load(ordering: .relaxed) { try body(socket) }
            } catch let error as UnexpectedAnswer {
                self.failures.withLockedValue { $0.append(error.text) }
            } catch {
                // The daemon was killed.
                guard !self.isOver.load(ordering: .relaxed) else { return }
                self.failures.withLockedValue { $0.append("\(error)") }
            }
        }
    }

    /// Must be called before the daemon is killed, so that lost connections are not failures.
    func end() {
        isOver.store(true, ordering: .relaxed)
    }

    func wait() throws {
        try #require(group.wait(timeout: .now() + TestScale.patienceSeconds) == .success, "a thread does not end")
        try #require(failures.withLockedValue { $0 } == [])
    }
}

private struct UnexpectedAnswer: Error {
    let text: String
}
