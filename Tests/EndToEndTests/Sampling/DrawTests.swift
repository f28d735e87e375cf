import Foundation
import NIOConcurrencyHelpers
import TestSupport
import Testing

/// Draws of the real daemon against their probabilities, a million for each way to draw, while other connections put,
/// observe and delete items of their own.
@Suite("Draws", .timeLimit(.minutes(20)))
struct DrawTests {
    /// A way to draw, and how likely it makes the items.
    struct Way: CustomTestStringConvertible, Sendable {
        let options: String
        /// Whether items that others put and observe meanwhile leave the ratios of ours alone.
        let isUnderLoad: Bool
        /// Whether the counts are those of the latest observations only.
        var isOfRecent = false
        /// Of an item with this count, among so many items with so many counts in all.
        let weight: @Sendable (_ count: Double) -> Double
        var testDescription: String { options }
    }

    private static let itemCount = 250

    /// Item i was observed so often: the first few never, then ever more.
    private static func count(_ item: Int) -> Int { item < 10 ? 0 : 1 + item * item / 100 }

    private static let observations: [Int] = {
        var observations = (0..<itemCount).flatMap { Array(repeating: $0, count: count($0)) }
        var random = SeededGenerator(seed: 1)
        observations.shuffle(using: &random)
        return observations
    }()

    /// What the counts are in the bank of the latest observations.
    private static let recentCounts: [Int] = observations.suffix(16_384).reduce(
        into: Array(repeating: 0, count: itemCount)
    ) { $0[$1] += 1 }

    private static func weights(_ way: Way) -> [Double] {
        (0..<itemCount).map { way.weight(Double(way.isOfRecent ? recentCounts[$0] : count($0))) }
    }

    private static func sum(_ power: Double) -> Double {
        (0..<itemCount).reduce(0) { $0 + (count($1) == 0 ? 0 : pow(Double(count($1)), power)) }
    }

    static let ways: [Way] =
        [Way(options: "by=uniform", isUnderLoad: true) { _ in 1 }]
        + [0, 0.5, 0.75, 1].map { power in
            Way(options: "by=frequency power=\(power)", isUnderLoad: true) { $0 == 0 ? 0 : pow($0, power) }
        }
        + [0, 0.75, 1].map { power in
            let sum = sum(power)
            return Way(options: "by=mixed mix=3:1 power=\(power)", isUnderLoad: false) {
                3 * ($0 == 0 ? 0 : pow($0, power) / sum) + 1 / Double(itemCount)
            }
        }
        + [Way(options: "by=recent", isUnderLoad: false, isOfRecent: true) { $0 }]

    /// A daemon with the items. Their counts come as the trainer's batches do, shuffled.
    private func withDaemon(_ body: (DaemonProcess, LineSocket) throws -> Void) throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        let socket = try daemon.connect()
        try socket.write(["CREATE c dim=4"] + (0..<Self.itemCount).map { "PUT c \($0) [1,2,3,\($0)]" })
        for start in stride(from: 0, to: Self.observations.count, by: 4_096) {
            let batch = Self.observations[start..<min(start + 4_096, Self.observations.count)]
            try socket.write(["OBSERVE c - " + batch.map(String.init).joined(separator: " ")])
        }
        try body(daemon, socket)
        try daemon.stop()
    }

    /// Draws until ours were drawn `drawCount` times; what others were drawn meanwhile is left out, so that what is left
    /// are draws among ours.
    private func excess(_ way: Way, _ socket: LineSocket, drawCount: Int, seed: Int) throws -> Double {
        var counts = [Int](repeating: 0, count: Self.itemCount)
        var ours = 0
        var round = 0
        while ours < drawCount {
            let requests = (0..<8).map { "c 16384 \(way.options) seed=\(seed + round * 8 + $0)" }
            try socket.sampleIDs(requests) { ids in
                #expect(ids.count == 16_384)
                for id in ids {
                    guard let item = Int(id) else { continue }
                    counts[item] += 1
                    ours += 1
                }
            }
            round += 1
            try #require(round < 100, "ours are drawn too seldom: \(ours) times")
        }
        let weights = Self.weights(way)
        let possible = (0..<Self.itemCount).filter { weights[$0] > 0 }
        #expect(possible.reduce(0) { $0 + counts[$1] } == ours, "an item without a chance was drawn")
        return ChiSquare.excess(possible.map { counts[$0] }, weights: possible.map { weights[$0] })
    }

    @Test("follow their probabilities", arguments: ways)
    func followTheirProbabilities(way: Way) throws {
        try withDaemon { daemon, socket in
            // What others do is not seeded, so neither is the outcome: one of a thousand good runs would fail, but of a
            // million only one fails twice.
            let load = try BackgroundLoad(
                daemon,
                connectionCount: 2,
                idCount: 40,
                writesItems: way.isUnderLoad,
                observes: !way.isOfRecent
            )
            var excess = try excess(way, socket, drawCount: 1_000_000, seed: 1_000)
            if excess >= 1 { excess = try self.excess(way, socket, drawCount: 1_000_000, seed: 900_000) }
            #expect(excess < 1, "chi-square is \(excess) of what chance makes it exceed once in a thousand times")
            #expect(try load.stop() > 100, "there was no load")
        }
    }

    /// Without replacement only the first draw has the probabilities of one.
    @Test("that are unique begin with one that follows them")
    func firstOfUniqueDraws() throws {
        try withDaemon { _, socket in
            for options in ["by=uniform", "by=frequency power=0.5"] {
                let way = try #require(Self.ways.first { $0.options == options })
                var counts = [Int](repeating: 0, count: Self.itemCount)
                let requests = (0..<30_000).map { "c 3 unique=true \(options) seed=\($0)" }
                try socket.sampleIDs(requests) { ids in
                    #expect(Set(ids).count == 3)
                    counts[try #require(Int(ids[0]))] += 1
                }
                let weights = Self.weights(way)
                let possible = (0..<Self.itemCount).filter { weights[$0] > 0 }
                let excess = ChiSquare.excess(possible.map { counts[$0] }, weights: possible.map { weights[$0] })
                #expect(excess < 1, "\(options)")
            }
        }
    }

    /// What was deleted is in no answer that is asked for afterwards, on any connection; what is excepted in none at all.
    @Test("never give what is deleted or excepted")
    func deletedAndExceptedAreNotDrawn() throws {
        try withDaemon { daemon, socket in
            let load = try BackgroundLoad(daemon, connectionCount: 2, idCount: 40)
            let other = try LineSocket(to: daemon.unix)
            for round in 0..<(TestScale.isFull ? 200 : 40) {
                let way = Self.ways[round % Self.ways.count].options
                // Among those that are drawn most often.
                let deleted = "\(Self.itemCount - 1 - round % 20)"
                let excepted = ["\(Self.itemCount - 30)", "\(Self.itemCount - 31)", "nothing"]
                try socket.write(["DEL c \(deleted)"])
                for unique in [false, true] {
                    let except = excepted.joined(separator: ",")
                    let rows = try other.sample("c 5000 \(way) unique=\(unique) except=\(except)")
                    #expect(!rows.isEmpty)
                    for row in rows where row.id == deleted || excepted.contains(row.id) {
                        Issue.record("\(row.id) was drawn by \(way)")
                    }
                }
                try socket.write(["PUT c \(deleted) [1,2,3,4]", "OBSERVE c - \(deleted) \(deleted)"])
                // And it is back, with the count it has now.
                let again = try other.sample("c 16384 unique=true by=frequency power=0")
                #expect(again.contains { $0.id == deleted })
            }
            #expect(try load.stop() > 100, "there was no load")
        }
    }
}
