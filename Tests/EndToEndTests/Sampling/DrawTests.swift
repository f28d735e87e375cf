import Foundation
import TestSupport
import Testing

/// Compares draws of the real daemon with their probabilities, a million for each distribution. Meanwhile other
/// connections put, observe and delete their own items.
@Suite("Draws", .timeLimit(.minutes(20)))
struct DrawTests {
    /// A distribution, and the weight that it gives to an item.
    struct Way: CustomTestStringConvertible, Sendable {
        let options: String
        /// Whether the ratios of the test's items stay the same while other connections put and observe their own
        /// items.
        let isUnderLoad: Bool
        /// Whether the counts are those of only the latest observations.
        var isOfRecent = false
        /// The weight of an item with this count.
        let weight: @Sendable (_ count: Double) -> Double
        var testDescription: String { options }
    }

    private static let itemCount = 250

    /// The number of observations of item i: 0 for the first ten, then increasing.
    private static func count(_ item: Int) -> Int { item < 10 ? 0 : 1 + item * item / 100 }

    private static let observations: [Int] = {
        var observations = (0..<itemCount).flatMap { Array(repeating: $0, count: count($0)) }
        var random = SeededGenerator(seed: 1)
        observations.shuffle(using: &random)
        return observations
    }()

    /// The counts of the items in the bank of the latest observations.
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

    /// Runs a daemon with the items. The observations arrive shuffled, as in a trainer's batches.
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

    /// Draws until the test's items were drawn `drawCount` times. Draws of other items are left out, so the rest are
    /// draws among the test's items.
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
            try #require(round < 100, "the test's items were drawn only \(ours) times")
        }
        let weights = Self.weights(way)
        let possible = (0..<Self.itemCount).filter { weights[$0] > 0 }
        #expect(possible.reduce(0) { $0 + counts[$1] } == ours, "an item without a chance was drawn")
        return ChiSquare.excess(possible.map { counts[$0] }, weights: possible.map { weights[$0] })
    }

    @Test("follow their probabilities", arguments: ways)
    func followTheirProbabilities(way: Way) throws {
        try withDaemon { daemon, socket in
            // The load of other connections is not seeded, so the outcome varies. One good run in a thousand would
            // fail; only one in a million fails twice.
            let load = try BackgroundLoad(
                daemon,
                connectionCount: 2,
                idCount: 40,
                writesItems: way.isUnderLoad,
                observes: !way.isOfRecent
            )
            var excess = try excess(way, socket, drawCount: 1_000_000, seed: 1_000)
            if excess >= 1 { excess = try self.excess(way, socket, drawCount: 1_000_000, seed: 900_000) }
            #expect(excess < 1, "chi-square is \(excess) times the bound that chance exceeds once in a thousand times")
            #expect(try load.stop() > 100, "there was no load")
        }
    }

    /// Without replacement, only the first draw follows the probabilities of a single draw.
    @Test("without replacement: the first one follows its probabilities")
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

    /// A deleted item is in no reply to a later request on any connection. An excepted item is in no reply at all.
    @Test("never return deleted or excepted items")
    func deletedAndExceptedAreNotDrawn() throws {
        try withDaemon { daemon, socket in
            let load = try BackgroundLoad(daemon, connectionCount: 2, idCount: 40)
            let other = try LineSocket(to: daemon.unix)
            for round in 0..<(TestScale.isFull ? 200 : 40) {
                let way = Self.ways[round % Self.ways.count].options
                // One of the items that are drawn most often.
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
                // The item is back, with its new count.
                let again = try other.sample("c 16384 unique=true by=frequency power=0")
                #expect(again.contains { $0.id == deleted })
            }
            #expect(try load.stop() > 100, "there was no load")
        }
    }
}
