import Foundation
import NIOConcurrencyHelpers
import Synchronization
import TestSupport
import Testing

/// Two models exchange their names a thousand times. Meanwhile several connections query both as fast as they can, and
/// the daemon is killed several times. Every value of a model shows which model it belongs to.
@Suite struct SwapTests {
    static let swapCount = 1_000
    static let killCount = 4

    @Test func everyAnswerIsFromOneModelAndNoRequestFails() throws {
        var random = SeededGenerator()
        let directory = try TemporaryDirectory()
        let options = DaemonProcess.Options(flags: ["--checkpoint-bytes", "65536"])
        var daemon = try DaemonProcess(directory: directory, options: options)
        try Self.prepare(daemon)
        var live = Model.a
        var swapCount = 0
        var answerCounts: [Model: Int] = [:]
        while swapCount < Self.swapCount {
            let load = try SwapLoad(daemon, connectionCount: 4, seed: random.next())
            let swapper = try daemon.connect()
            for number in 0..<Self.swapCount / Self.killCount {
                // At least two replies for each swap.
                try load.waitForAnswers(2 * number)
                #expect(try swapper.ask("SWAP live next").header == "OK 0")
                live = live.other
                // A request sent after the OK sees the other model.
                try #require(try Self.model(of: "live", swapper, itemCount: 10) == live, "after swap \(swapCount)")
                swapCount += 1
            }
            // Sometimes send one more swap, without reading its reply, at a random time before the kill.
            let isLastAcknowledged = Bool.random(using: &random)
            if !isLastAcknowledged {
                try swapper.send("SWAP live next")
                usleep(UInt32.random(in: 0..<2_000, using: &random))
            }
            load.end()
            try daemon.kill()
            for (model, count) in try load.answerCounts() { answerCounts[model, default: 0] += count }

            daemon = try DaemonProcess(directory: directory, options: options)
            let socket = try daemon.connect()
            let found = try Self.model(of: "live", socket)
            #expect(found == live || !isLastAcknowledged, "an acknowledged swap is gone")
            live = found
            #expect(try Self.model(of: "next", socket) == live.other)
            #expect(try socket.ask("COLLECTIONS").rows.map { $0.prefix { $0 != " " } } == ["aside", "live", "next"])
        }
        print("\(swapCount) swaps, answers of each model: \(Model.allCases.map { answerCounts[$0, default: 0] })")
        #expect(Model.allCases.allSatisfy { answerCounts[$0, default: 0] > 100 }, "there was no load")
        try daemon.stop()
    }

    private static func prepare(_ daemon: DaemonProcess) throws {
        let socket = try daemon.connect()
        var requests = ["CREATE aside dim=4"]
        for (model, name) in [(Model.a, "live"), (.b, "next")] {
            requests.append("CREATE \(name) dim=4")
            for number in 0..<Model.itemCount {
                requests.append("PUT \(name) i\(number) \(model.vector(number)) \(model.features(number))")
            }
            let triples = (0..<Model.itemCount).map { "i\($0) - \(model.count($0))" }
            requests.append("FREQSET \(name) 1 \(triples.joined(separator: " "))")
        }
        try socket.send(Array(requests.map { $0 + "\n" }.joined().utf8))
        for request in requests { try #require(try socket.readReply().header == "OK 0", "\(request)") }
    }

    /// The model that has this name, identified by its first items.
    private static func model(
        of name: String,
        _ socket: LineSocket,
        itemCount: Int = Model.itemCount
    ) throws -> Model {
        let ids = (0..<itemCount).map { "i\($0)" }.joined(separator: " ")
        return try Question.get(name, ids).model(try socket.ask("GET \(name) \(ids)"))
    }
}

/// The values of item `n` in each model.
private enum Model: Int, CaseIterable {
    case a = 1
    case b = 2

    /// More items than one turn of the event loop answers.
    static let itemCount = 2_500

    var other: Model { self == .a ? .b : .a }

    func vector(_ number: Int) -> String { "[\(rawValue),\(number),0,1]" }
    func features(_ number: Int) -> String { #"{"model":\#(rawValue),"n":\#(number)}"# }
    func count(_ number: Int) -> Int { rawValue * 10_000 + number }

    /// The score for the query `[1,1,0,0]`.
    func score(_ number: Int) -> Int { rawValue + number }
}

/// A request, and how to tell which model its reply comes from.
private enum Question {
    case topK(String, String)
    case get(String, String)
    case features(String, String)
    case frequencies(String, String)
    /// A write whose reply has `rowCount` rows, whichever model has the name.
    case write(String, rowCount: Int = 0)

    var line: String {
        switch self {
        case .topK(let name, let query): "TOPK \(name) 50 with=vector,features \(query)"
        case .get(let name, let ids): "GET \(name) \(ids)"
        case .features(let name, let ids): "FGET \(name) \(ids)"
        case .frequencies(let name, let ids): "FREQ \(name) \(ids)"
        case .write(let line, _): line
        }
    }

    static func random(_ random: inout SeededGenerator, connection: Int) -> Question {
        let name = Bool.random(using: &random) ? "live" : "next"
        let first = Int.random(in: 0..<Model.itemCount - 20, using: &random)
        let isLong = Int.random(in: 0..<20, using: &random) == 0
        let ids = (isLong ? 0..<Model.itemCount : first..<first + 20).map { "i\($0)" }.joined(separator: " ")
        switch Int.random(in: 0..<8, using: &random) {
        case 0: return .topK(name, "[1,1,0,0]")
        case 1: return .topK(name, "like=i\(first)")
        case 2: return .get(name, ids)
        case 3: return .features(name, ids)
        case 4: return .frequencies(name, ids)
        case 5:
            let ids = "seen-\(first) seen-\(first) seen-\(connection)"
            let isAnswered = Bool.random(using: &random)
            return .write("OBSERVE \(name) - \(isAnswered ? "return=logq " : "")\(ids)", rowCount: isAnswered ? 3 : 0)
        case 6: return .write("PUT aside i\(first) [\(first),0,\(connection),1] {}")
        default: return .write("FSET \(name) seen-\(connection) {}")
        }
    }

    /// The model that all rows belong to. Throws if there is none.
    func model(_ reply: LineSocket.Reply) throws -> Model {
        let model = Model.allCases.first { model in
            !reply.rows.isEmpty && reply.rows.allSatisfy { isRow($0, of: model) }
        }
        guard let model else { throw MixedAnswer(question: line, reply: reply) }
        return model
    }

    private func isRow(_ row: String, of model: Model) -> Bool {
        let words = row.split(separator: " ")
        guard words.count >= 2, let number = Int(words[0].dropFirst()) else { return false }
        switch self {
        case .topK(_, let query):
            let isScored = query.hasPrefix("like=") || words[1] == "\(model.score(number))"
            return isScored
                && words.dropFirst(2).elementsEqual(
                    [model.vector(number), model.features(number)],
                    by: ==
                )
        case .get: return words[1] == model.vector(number)
        case .features: return words[1] == model.features(number)
        case .frequencies: return words.contains { $0 == "count=\(model.count(number))" }
        case .write: return false
        }
    }
}

private struct MixedAnswer: Error, CustomStringConvertible {
    let question: String
    let reply: LineSocket.Reply

    var description: String {
        "\(question.prefix(80)): \(reply.header), \(reply.rows.prefix(3)) ... \(reply.rows.suffix(3))"
    }
}

/// Connections that query and write, sixteen requests at a time, until they are told to stop or the daemon is gone.
private final class SwapLoad: Sendable {
    private let isOver = Atomic<Bool>(false)
    private let answerCount = Atomic<Int>(0)
    private let counts = NIOLockedValueBox<[Model: Int]>([:])
    private let failures = NIOLockedValueBox<[String]>([])
    private let group = DispatchGroup()

    init(_ daemon: DaemonProcess, connectionCount: Int, seed: UInt64) throws {
        for connection in 0..<connectionCount {
            nonisolated(unsafe) let socket = try daemon.connect()
            group.enter()
            Thread.detachNewThread {
                defer { self.group.leave() }
                var random = SeededGenerator(seed: seed &+ UInt64(connection))
                do {
                    while !self.isOver.load(ordering: .relaxed) { try self.ask(socket, connection, &random) }
                } catch let error as MixedAnswer {
                    self.failures.withLockedValue { $0.append("\(error)") }
                } catch {
                    // The daemon was killed.
                    guard !self.isOver.load(ordering: .relaxed) else { return }
                    self.failures.withLockedValue { $0.append("\(error)") }
                }
            }
        }
    }

    private func ask(_ socket: LineSocket, _ connection: Int, _ random: inout SeededGenerator) throws {
        let questions = (0..<16).map { _ in Question.random(&random, connection: connection) }
        try socket.send(Array(questions.map { $0.line + "\n" }.joined().utf8))
        for question in questions {
            let reply = try socket.readReply()
            if case .write(_, let rowCount) = question {
                guard reply.header == "OK \(rowCount)" else { throw MixedAnswer(question: question.line, reply: reply) }
                continue
            }
            let model = try question.model(reply)
            counts.withLockedValue { $0[model, default: 0] += 1 }
            answerCount.add(1, ordering: .relaxed)
        }
    }

    func waitForAnswers(_ count: Int) throws {
        let end = ContinuousClock.now + .seconds(TestScale.patienceSeconds)
        while answerCount.load(ordering: .relaxed) < count {
            try #require(ContinuousClock.now < end && failures.withLockedValue { $0 } == [])
            usleep(200)
        }
    }

    /// Must be called before the daemon is killed, so that lost connections are not failures.
    func end() {
        isOver.store(true, ordering: .relaxed)
    }

    /// The number of replies from each model. Throws if a reply mixes models.
    func answerCounts() throws -> [Model: Int] {
        try #require(group.wait(timeout: .now() + TestScale.patienceSeconds) == .success, "the load does not end")
        try #require(failures.withLockedValue { $0 } == [])
        return counts.withLockedValue { $0 }
    }
}
