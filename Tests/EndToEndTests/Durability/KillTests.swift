import Foundation
import NIOConcurrencyHelpers
import Synchronization
import TestSupport
import Testing

/// `kill -9` at random moments, under writes of every kind, with rows being reused and the checkpoint running throughout.
///
/// Beside the daemon that is killed runs another that never is, the *reference*. It is given exactly the writes that the
/// first one acknowledged, and of those that were under way at the kill as many as turn out to have been made durable:
/// each writer's writes are made in order, so that must be a prefix, and nothing else. Then both daemons have to answer
/// every question in the same words, down to the last digit of every estimate.
@Suite struct KillTests {
    /// `LOGQD_TEST_SCALE=full`: 200 kills. Otherwise a quick run.
    static let killCount = TestScale.isFull ? 200 : 10

    @Test func everyAcknowledgedWriteSurvivesAndNothingIsHalfThere() throws {
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
            // Bit for bit, and shorter.
            for socket in [socket, referenceSocket] { _ = try socket.ask("HELLO 1 vectors=f32") }
            for writer in writers {
                undecidedCount += writer.unacknowledged.count
                try writer.settle(socket, referenceSocket, "seed \(seed), kill \(kill)")
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

    /// Lets all writers write until so many writes are acknowledged, kills the daemon, and returns how many were.
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

    /// Both daemons must give the same answers about everything.
    private static func compare(
        _ socket: LineSocket,
        _ reference: LineSocket,
        _ writers: [RandomWriter],
        _ context: String
    ) throws {
        for question in writers.flatMap(\.questions) + ["COLLECTIONS"] {
            let (got, expected) = (try socket.ask(question), try reference.ask(question))
            try #require(got == expected, "\(context): \(question.prefix(60))")
        }
        for collection in RandomWriter.sharedCollections {
            // Row numbers are the daemon's own affair; the ids are not.
            func ids(_ socket: LineSocket) throws -> [Substring] {
                try socket.ask("SCAN \(collection) limit=16384").rows.map { $0.split(separator: " ")[1] }.sorted()
            }
            try #require(try ids(socket) == ids(reference), "\(context): SCAN \(collection)")
        }
    }
}

/// One connection's random writes on ids of its own, in collections that all writers share and in some of its own that
/// come and go. Up to `depth` requests are under way at once.
private final class RandomWriter {
    static let sharedCollections = ["shared", "wide", "drift", "sketch"]
    /// A half-life as short as can be: the steps reach several of its epochs. A sketch in which no two of all writers' ids
    /// share a bucket, for those have no order among each other.
    static let preparation = [
        "CREATE sketch dim=8 estimator=sketch buckets=1000000 hashes=2 seed=1",
        "CREATE shared dim=8 alpha=0.05", "CREATE wide dim=1100 metric=l2", "CREATE drift dim=8 half_life=1",
    ]
    private static let depth = 12
    private static let requestCountMax = 5_000

    private let number: Int
    private var random: SeededGenerator
    private var step = 0
    private var sequence = 0
    /// Sent, but no reply was read: oldest first.
    private(set) var unacknowledged: [String] = []
    /// Acknowledged by the killed daemon and not yet told to the reference.
    private var acknowledged: [String] = []

    init(number: Int, seed: UInt64) {
        self.number = number
        random = SeededGenerator(seed: seed)
    }

    private var ids: [String] {
        // Some are longer than what a slot holds in place, some need percent-encoding.
        (0..<60).map { $0 % 5 == 0 ? "writer-\(number)-a-rather-long-name-\($0)" : "w\(number)%2C\($0)" }
    }

    private var ownCollections: [String] { (0..<3).map { "own-\(number)-\($0)" } }

    /// Everything that can be asked about this writer's ids.
    var questions: [String] {
        let aboutIDs = (Self.sharedCollections + ownCollections).flatMap { collection in
            ["GET", "FGET", "FREQ", "LOGQ"].map { "\($0) \(collection) \(ids.joined(separator: " "))" }
        }
        // What the bank of recent observations holds depends on their order, so only where no other writer observes.
        return aboutIDs + ownCollections.map { "SAMPLE \($0) 40 by=recent seed=\(step)" }
    }

    // MARK: - Writing

    /// Writes until the connection ends, which is when the daemon is killed.
    func write(to socket: LineSocket, _ noteAcknowledgement: () -> Void) throws {
        for _ in 0..<Self.requestCountMax {
            while unacknowledged.count < Self.depth {
                let request = randomRequest()
                unacknowledged.append(request)
                guard (try? socket.send(request)) != nil else { return }
            }
            guard let reply = try? socket.readReply() else { return }
            guard reply.header.hasPrefix("OK") || isExpected(reply.header) else {
                throw HarnessError("\(unacknowledged[0].prefix(80)): \(reply.header)")
            }
            acknowledged.append(unacknowledged.removeFirst())
            noteAcknowledgement()
        }
    }

    /// Creating what is there and writing to what is not are part of the game.
    private func isExpected(_ header: String) -> Bool {
        header.hasPrefix("ERR EXISTS ") || header.hasPrefix("ERR NOCOLLECTION ")
    }

    private func randomRequest() -> String {
        let isOwn = Int.random(in: 0..<4, using: &random) == 0
        let collection = (isOwn ? ownCollections : Self.sharedCollections).randomElement(using: &random)!
        let id = ids.randomElement(using: &random)!
        let some = (0..<Int.random(in: 1...6, using: &random)).map { _ in ids.randomElement(using: &random)! }
        switch Int.random(in: 0..<20, using: &random) {
        case 0 where isOwn: return "DROP \(collection)"
        // In a sketch of the writer's own all its ids collide.
        case 0...3 where isOwn && collection.hasSuffix("-0"):
            return "CREATE \(collection) dim=8 half_life=5 estimator=sketch buckets=40 hashes=3 seed=\(number)"
        case 0...3 where isOwn: return "CREATE \(collection) dim=8"
        case 0..<8:
            return "PUT \(collection) \(id) \(randomVector(collection))"
                + (Bool.random(using: &random) ? " \(randomJSON())" : "")
        case 8..<11: return "DEL \(collection) \(some.prefix(3).joined(separator: " "))"
        case 11..<13: return "FSET \(collection) \(id) \(randomJSON())"
        case 13..<18:
            // Where counts fade, only the last step tells which observations were made.
            step += Int.random(in: collection == "drift" ? 1...3 : 0...3, using: &random)
            sequence += 1
            return "OBSERVE \(collection) \(step) seq=w\(number):\(sequence) \(some.joined(separator: " "))"
        default:
            step += 1
            let entries = some.map {
                "\($0) \(Double(Int.random(in: 8...8_000, using: &random)) / 8) \(Int.random(in: 0...99, using: &random))"
            }
            return "FREQSET \(collection) \(step) \(entries.joined(separator: " "))"
        }
    }

    private func randomVector(_ collection: String) -> String {
        let dimension = collection == "wide" ? 1_100 : 8
        // The whole vector follows from its first number, so half of another one would be seen.
        let first = Int.random(in: 0..<10_000, using: &random)
        return "[" + (0..<dimension).map { "\(Double(first + $0) / 16)" }.joined(separator: ",") + "]"
    }

    private func randomJSON() -> String {
        #"{"n":\#(Int.random(in: 0..<1_000_000, using: &random))}"#
    }

    // MARK: - After a kill

    /// Tells the reference what was acknowledged, and then finds out how much of the rest was made durable: the state
    /// of this writer's ids must be what the reference has after some number of further writes.
    func settle(_ socket: LineSocket, _ reference: LineSocket, _ context: String) throws {
        for request in acknowledged { _ = try reference.ask(request) }
        acknowledged = []
        let got = try state(socket)
        var made: [String] = []
        while try state(reference) != got {
            try #require(
                !unacknowledged.isEmpty,
                "\(context): writer \(number) finds neither what was acknowledged nor any more of: \(made)"
            )
            made.append(unacknowledged.removeFirst())
            _ = try reference.ask(made.last!)
        }
        // What was not made is forgotten: the numbers in it must not be used again, and are not.
        unacknowledged = []
    }

    /// What depends on this writer alone: not q and p, which depend on the totals.
    private func state(_ socket: LineSocket) throws -> [String] {
        try questions.filter { !$0.hasPrefix("LOGQ") }.flatMap { question in
            let reply = try socket.ask(question)
            guard question.hasPrefix("FREQ") else { return [reply.header] + reply.rows }
            // With a half-life a count is as of the last step of all writers.
            let foreign = ["q=", "p=", "gap=", "state="] + (question.hasPrefix("FREQ drift ") ? ["count="] : [])
            return [reply.header]
                + reply.rows.map { row in
                    row.split(separator: " ").filter { word in
                        !foreign.contains { word.hasPrefix($0) }
                    }.joined(separator: " ")
                }
        }
    }
}
