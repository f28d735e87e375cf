import Foundation
import NIOConcurrencyHelpers
import Synchronization
import TestSupport
import Testing

/// `kill -9` at random moments under writes of every kind, while rows are reused and the checkpoint runs.
///
/// A second daemon, the *reference*, is never killed. It gets exactly the writes that the first one acknowledged. Of
/// the writes in flight at the kill, it gets those that turn out to be durable. Each writer's writes are made in order,
/// so the durable ones must be a prefix. Then both daemons must give the same answer to every question, to the last
/// digit of every estimate.
@Suite struct KillTests {
    /// `LOGQD_TEST_SCALE=full`: 200 kills. Otherwise a quick run.
    static let killCount = TestScale.isFull ? 200 : 10

    @Test func everyAcknowledgedWriteSurvivesAndNoWriteIsPartlyThere() throws {
        let seed = TestScale.seed(or: 20_261)
        print("seed \(seed), \(Self.killCount) kills")
        var random = SeededGenerator(seed: seed)
        let directory = try TemporaryDirectory()
        let referenceDirectory = try TemporaryDirectory()
        let reference = try DaemonProcess(directory: referenceDirectory)
        let options = DaemonProcess.Options(flags: ["--checkpoint-bytes", "65536"])
        let writers = (0..<4).map { RandomWriter(number: $0, seed: seed &+ UInt64($0)) }
        var acknowledgedCount = 0
        var undecidedCount = 0

        var daemon = try DaemonProcess(directory: directory, options: options)
        for request in RandomWriter.preparation {
            for target in [daemon, reference] { #expect(try target.connect().ask(request).header == "OK 0") }
        }
        for kill in 0..<Self.killCount {
            let target = Int.random(in: 0...600, using: &random)
            acknowledgedCount += try Self.writeUntilKilled(daemon, writers, acknowledgementCount: target)
            daemon = try DaemonProcess(directory: directory, options: options)
            let socket = try daemon.connect()
            let referenceSocket = try reference.connect()
            // Vectors as bytes are compared bit for bit, and are shorter.
            for socket in [socket, referenceSocket] { _ = try socket.ask("HELLO 1 vectors=f32") }
            for writer in writers {
                undecidedCount += writer.unacknowledged.count
                try writer.updateReference(socket, referenceSocket, "seed \(seed), kill \(kill)")
            }
            try Self.compare(socket, referenceSocket, writers, "seed \(seed), kill \(kill)")
        }
        let storage = try daemon.connect().ask("INFO storage").rows
        let groups = ["last-group", "checkpointed-group"].map { name in
            storage.first { $0.hasPrefix(name + " ") }.flatMap { Int($0.dropFirst(name.count + 1)) } ?? 0
        }
        print(
            "\(acknowledgedCount) writes acknowledged, \(undecidedCount) under way at a kill;",
            "\(groups[0]) groups, checkpointed up to \(groups[1])"
        )
        #expect(acknowledgedCount > Self.killCount * 50 && undecidedCount > 0 && groups[1] > 0)
        try daemon.stop()
        try reference.stop()
    }

    /// Runs all writers until `count` writes are acknowledged, kills the daemon, and returns the number of acknowledged
    /// writes.
    private static func writeUntilKilled(
        _ daemon: DaemonProcess,
        _ writers: [RandomWriter],
        acknowledgementCount: Int
    ) throws -> Int {
        let count = Atomic<Int>(0)
        let failures = NIOLockedValueBox<[String]>([])
        let group = DispatchGroup()
        for writer in writers {
            let socket = try daemon.connect()
            group.enter()
            // The thread owns the socket and the writer until the group is done.
            nonisolated(unsafe) let owned = (writer, socket)
            Thread.detachNewThread {
                defer { group.leave() }
                do {
                    try owned.0.write(to: owned.1) { count.add(1, ordering: .relaxed) }
                } catch {
                    failures.withLockedValue { $0.append("\(error)") }
                }
            }
        }
        let deadline = Deadline(seconds: TestScale.patienceSeconds)
        while count.load(ordering: .relaxed) < acknowledgementCount, failures.withLockedValue({ $0.isEmpty }) {
            try #require(!deadline.hasPassed, "the daemon acknowledges nothing any more")
            sched_yield()
        }
        try daemon.kill()
        try #require(group.wait(timeout: .now() + TestScale.patienceSeconds) == .success)
        try #require(failures.withLockedValue { $0 } == [])
        return count.load(ordering: .relaxed)
    }

    /// The header and the rows of the reply to `question`, without the counters that are only in memory.
    fileprivate static func answer(_ question: String, _ socket: LineSocket) throws -> [String] {
        let reply = try socket.ask(question)
        guard question.hasPrefix("CLOCK ") else { return [reply.header] + reply.rows }
        let counters = ["late ", "refused-late ", "refused-ahead "]
        return [reply.header] + reply.rows.filter { row in !counters.contains { row.hasPrefix($0) } }
    }

    /// Both daemons must give the same answers about everything.
    private static func compare(
        _ socket: LineSocket,
        _ reference: LineSocket,
        _ writers: [RandomWriter],
        _ context: String
    ) throws {
        for question in writers.flatMap(\.questions) + ["COLLECTIONS"] {
            let (got, expected) = (try answer(question, socket), try answer(question, reference))
            try #require(got == expected, "\(context): \(question.prefix(60))")
        }
        for collection in RandomWriter.sharedCollections {
            // Row numbers may differ between the daemons; the ids may not.
            func ids(_ socket: LineSocket) throws -> [Substring] {
                try socket.ask("SCAN \(collection) limit=16384").rows.map { $0.split(separator: " ")[1] }.sorted()
            }
            try #require(try ids(socket) == ids(reference), "\(context): SCAN \(collection)")
        }
    }
}

/// One connection that sends random writes about its own ids. They go to collections that all writers share, and to its
/// own collections, which it creates and drops. Up to `depth` requests are in flight at once.
private final class RandomWriter {
    static let sharedCollections = ["shared", "wide", "drift", "sketch"]
    /// The shortest half-life, so that the steps reach several of its epochs. And a sketch in which ids of different
    /// writers share no bucket, because their writes have no order.
    static let preparation =
        [
            "CREATE sketch dim=8 estimator=sketch buckets=1000000 hashes=2 seed=1",
            "CREATE shared dim=8 alpha=0.05", "CREATE wide dim=1100 metric=l2", "CREATE drift dim=8 half_life=1",
        ]
        + sharedCollections.flatMap {
            // The lateness of a collection depends on the order of the writers. So it is at its maximum from the start.
            ["OBSERVE \($0) 64 first", "OBSERVE \($0) 0 first"]
        }
    private static let depth = 12
    private static let requestCountMax = 5_000

    private let number: Int
    private var random: SeededGenerator
    /// The step in the shared collections. It only grows: if counts fade, the last step of an id is all that shows
    /// whether a write was made.
    private var sharedStep = 0
    /// The step of the present run in the writer's own collections.
    private var runStep = 0
    private var sequence = 0
    private var markCount = 0
    private var runNumber = 0
    /// Requests that were sent but not answered, oldest first.
    private(set) var unacknowledged: [String] = []
    /// Requests that the killed daemon acknowledged and that the reference has not received yet.
    private var acknowledged: [String] = []

    init(number: Int, seed: UInt64) {
        self.number = number
        random = SeededGenerator(seed: seed)
    }

    private var ids: [String] {
        // Some ids are longer than the space in a slot; some need percent-encoding.
        (0..<60).map { $0 % 5 == 0 ? "writer-\(number)-a-rather-long-name-\($0)" : "w\(number)%2C\($0)" }
    }

    private var ownCollections: [String] { (0..<3).map { "own-\(number)-\($0)" } }

    /// An id that is never deleted.
    private var mark: String { "mark-\(number)" }

    /// All questions about this writer's ids.
    var questions: [String] {
        let aboutIDs = (Self.sharedCollections + ownCollections).flatMap { collection in
            ["GET", "FGET", "FREQ", "LOGQ"].map { "\($0) \(collection) \((ids + [mark]).joined(separator: " "))" }
        }
        // The clock and the bank of recent observations depend on the order of the observations. So ask only where no
        // other writer observes.
        return aboutIDs + ownCollections.flatMap { ["CLOCK \($0)", "SAMPLE \($0) 40 by=recent seed=\(sequence)"] }
    }

    // MARK: - Writing

    /// Writes until the kill of the daemon ends the connection.
    func write(to socket: LineSocket, _ noteAcknowledgement: () -> Void) throws {
        for _ in 0..<Self.requestCountMax {
            while unacknowledged.count < Self.depth {
                for request in nextRequests() {
                    unacknowledged.append(request)
                    guard (try? socket.send(request)) != nil else { return }
                }
            }
            guard let reply = try? socket.readReply() else { return }
            guard reply.header.hasPrefix("OK") || isExpected(reply.header) else {
                throw HarnessError("\(unacknowledged[0].prefix(80)): \(reply.header)")
            }
            acknowledged.append(unacknowledged.removeFirst())
            noteAcknowledgement()
        }
    }

    /// A writer may create a collection that exists, write to one that does not, or set a clock that does not run yet.
    private func isExpected(_ header: String) -> Bool {
        header.hasPrefix("ERR EXISTS ") || header.hasPrefix("ERR NOCOLLECTION ")
            || header.hasPrefix("ERR BADREQUEST got a step of the clock")
            || header.hasPrefix("ERR BADREQUEST got collections with another ")
    }

    /// The step (`increment` after the last) and the run of a write. Writers do not wait for each other, so in shared
    /// collections they are not in step. In their own ones they begin new runs, whose steps begin again.
    private func place(isOwn: Bool, increment: Int) -> String {
        guard isOwn else {
            sharedStep += increment
            return "\(sharedStep) jump=true"
        }
        runStep += increment
        if Int.random(in: 0..<15, using: &random) == 0 {
            runNumber += 1
            runStep = 0
        }
        return "\(runStep) jump=true run=run-\(runNumber)"
    }

    /// A random request. Before `DEL` comes one that changes the mark. Without it, an observation and a deletion could
    /// leave this writer's ids as they were, but not the clock.
    private func nextRequests() -> [String] {
        let request = randomRequest()
        guard request.hasPrefix("DEL ") else { return [request] }
        markCount += 1
        return ["FSET shared \(mark) {\"marks\":\(markCount)}", request]
    }

    private func randomRequest() -> String {
        let isOwn = Int.random(in: 0..<4, using: &random) == 0
        let collection = (isOwn ? ownCollections : Self.sharedCollections).randomElement(using: &random)!
        let id = ids.randomElement(using: &random)!
        let some = (0..<Int.random(in: 1...6, using: &random)).map { _ in ids.randomElement(using: &random)! }
        switch Int.random(in: 0..<20, using: &random) {
        case 0 where isOwn: return "DROP \(collection)"
        case 1 where isOwn:
            let other = ownCollections.filter { $0 != collection }.randomElement(using: &random)!
            return Bool.random(using: &random)
                ? "SWAP \(collection) \(other) statistics=stay" : "CREATE \(collection) like=\(other)"
        // In the writer's own sketch all its ids collide.
        case 2...4 where isOwn && collection.hasSuffix("-0"):
            return "CREATE \(collection) dim=8 half_life=5 estimator=sketch buckets=40 hashes=3 seed=\(number)"
        case 2...4 where isOwn: return "CREATE \(collection) dim=8"
        case 0..<8:
            return "PUT \(collection) \(id) \(randomVector(collection))"
                + (Bool.random(using: &random) ? " \(randomJSON())" : "")
        case 8..<11: return "DEL \(collection) \(some.prefix(3).joined(separator: " "))"
        case 11 where isOwn: return "CLOCKSET \(collection) \(Int.random(in: 0...200, using: &random))"
        case 11: return "FSET \(collection) \(id) \(randomJSON())"
        case 12:
            let key = "m\(Int.random(in: 0..<9, using: &random))"
            return "FSET \(collection) \(id) merge=true {\"\(key)\":\(sequence)}"
        case 13..<18:
            sequence += 1
            let increment = Int.random(in: collection == "drift" ? 1...3 : 0...3, using: &random)
            let place = place(isOwn: isOwn, increment: increment)
            return "OBSERVE \(collection) \(place) seq=w\(number):\(sequence) \(some.joined(separator: " "))"
        default:
            let entries = some.map { id in
                let gap = Double(Int.random(in: 8...8_000, using: &random)) / 8
                return "\(id) \(gap) \(Int.random(in: 0...99, using: &random))"
            }
            return "FREQSET \(collection) \(place(isOwn: isOwn, increment: 1)) \(entries.joined(separator: " "))"
        }
    }

    private func randomVector(_ collection: String) -> String {
        let dimension = collection == "wide" ? 1_100 : 8
        // The whole vector follows from its first number, so a mix of two vectors would be noticed.
        let first = Int.random(in: 0..<10_000, using: &random)
        return "[" + (0..<dimension).map { "\(Double(first + $0) / 16)" }.joined(separator: ",") + "]"
    }

    private func randomJSON() -> String {
        #"{"n":\#(Int.random(in: 0..<1_000_000, using: &random))}"#
    }

    // MARK: - After a kill

    /// Sends the acknowledged requests to the reference. Then finds out how many of the others became durable. The
    /// state of this writer's ids must equal that of the reference after some number of further writes.
    func updateReference(_ socket: LineSocket, _ reference: LineSocket, _ context: String) throws {
        for request in acknowledged { _ = try reference.ask(request) }
        acknowledged = []
        let got = try state(socket)
        var made: [String] = []
        while try state(reference) != got {
            try #require(
                !unacknowledged.isEmpty,
                "\(context): writer \(number) finds neither the acknowledged writes nor any more of: \(made)"
            )
            made.append(unacknowledged.removeFirst())
            _ = try reference.ask(made.last!)
        }
        // The remaining requests were not made. Their sequence numbers must not be used again, and are not.
        unacknowledged = []
    }

    /// The values that depend on this writer alone.
    private func state(_ socket: LineSocket) throws -> [String] {
        try questions.flatMap { question in
            let answer = try KillTests.answer(question, socket)
            let words = question.split(separator: " ", maxSplits: 2)
            guard Self.sharedCollections.contains(String(words[1])) else { return answer }
            // q and p depend on the totals. With a half-life, a count is relative to the last step of all writers.
            if words[0] == "LOGQ" { return [] }
            let foreign = ["q=", "p=", "gap=", "state="] + (words[1] == "drift" ? ["count="] : [])
            return answer.map { row in
                row.split(separator: " ").filter { word in
                    !foreign.contains { word.hasPrefix($0) }
                }.joined(separator: " ")
            }
        }
    }
}
