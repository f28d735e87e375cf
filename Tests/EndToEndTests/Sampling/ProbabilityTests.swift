import Foundation
import TestSupport
import Testing

/// The numbers in the replies of `SAMPLE`, and the same rows for the same seed.
@Suite("Probabilities of draws", .timeLimit(.minutes(10)))
struct ProbabilityTests {
    private static let ways: [String] = {
        let mixes = ["1:0", "0:1", "3:1", "1e-3:1", "1e300:1e300"]
        let powers = ["0", "0.25", "0.5", "0.75", "1"]
        var ways = ["by=uniform", "by=recent"]
        for power in powers {
            ways.append("by=frequency power=\(power)")
            ways += mixes.map { "by=mixed power=\(power) mix=\($0)" }
        }
        return ways
    }()

    /// Puts twenty items, some of them never observed, and observes ids that are not items.
    private func fill(_ socket: LineSocket) throws {
        try socket.write(["CREATE c dim=2"] + (0..<20).map { "PUT c item-\($0) [1,\($0)]" })
        let ids = (0..<20).flatMap { Array(repeating: "item-\($0)", count: $0 * $0 / 4) } + ["none", "none", "other"]
        var random = SeededGenerator(seed: 5)
        try socket.write(["OBSERVE c 1 " + ids.shuffled(using: &random).joined(separator: " ")])
        try socket.write(["DEL c item-7"])
    }

    private func withDaemon(_ body: (LineSocket) throws -> Void) throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        let socket = try daemon.connect()
        try fill(socket)
        try body(socket)
        try daemon.stop()
    }

    @Test("sum to one over the items that can be drawn")
    func sumToOne() throws {
        try withDaemon { socket in
            for way in Self.ways {
                for except in ["", " except=item-19,item-3,none,nothing"] {
                    // Enough draws to meet every item. The rarest has a probability of about 1/500, except in the
                    // mixes, whose uniform part may be 0.
                    let rows = try socket.sample("c 16384 seed=3 \(way)\(except)")
                    #expect(rows.count == 16_384)
                    let distinct = Set(rows)
                    #expect(Set(distinct.map(\.id)).count == distinct.count, "an id has two probabilities by \(way)")
                    let sum = distinct.reduce(0) { $0 + $1.q }
                    #expect(abs(sum - 1) < 2e-8, "the sum is \(sum) by \(way)\(except)")
                    for row in distinct { #expect(abs(row.expected / (16_384 * row.q) - 1) < 1e-12) }
                    // q is the same with and without replacement.
                    let unique = try socket.sample("c 20 unique=true seed=4 \(way)\(except)")
                    let q = Dictionary(uniqueKeysWithValues: distinct.map { ($0.id, $0.q) })
                    for row in unique { #expect(q[row.id] == row.q) }
                }
            }
        }
    }

    @Test("follow from the counts")
    func followFromTheCounts() throws {
        try withDaemon { socket in
            let counts = (0..<20).filter { $0 != 7 }.map { Double($0 * $0 / 4) }
            for power in [0, 0.5, 0.75, 1] {
                let sum = counts.reduce(0) { $0 + ($1 == 0 ? 0 : pow($1, power)) }
                let q = pow(90, power) / sum
                for (options, expected) in [
                    ("by=frequency power=\(power)", q), ("by=uniform", 1.0 / 19),
                    ("by=mixed mix=3:1 power=\(power)", (3 * q + 1.0 / 19) / 4),
                    ("by=frequency power=\(power) except=item-18", q * sum / (sum - pow(81, power))),
                    (
                        "by=mixed mix=1:2 power=\(power) except=item-0,item-18",
                        (q * sum / (sum - pow(81, power)) + 2.0 / 17) / 3
                    ),
                    ("by=recent", 90 / counts.reduce(0, +)),
                ] {
                    let rows = try socket.sample("c 2000 seed=1 \(options)")
                    let row = try #require(rows.first { $0.id == "item-19" }, "\(options)")
                    #expect(abs(row.q / expected - 1) < 2e-8, "\(options): got \(row.q), expected \(expected)")
                }
            }
        }
    }

    /// expected = −expm1(tries·log1p(−q)), with the same number of tries for all rows.
    @Test("of unique draws follow from the tries")
    func uniqueDrawsCountTheirTries() throws {
        try withDaemon { socket in
            for seed in 0..<20 {
                let rows = try socket.sample("c 8 unique=true by=frequency power=0.5 seed=\(seed)")
                #expect(rows.count == 8 && Set(rows.map(\.id)).count == 8)
                let tries = rows.map { log1p(-$0.expected) / log1p(-$0.q) }
                let count = tries[0].rounded()
                #expect(count >= 8 && tries.allSatisfy { abs($0 - count) < 1e-6 * count }, "\(tries)")
            }
            // The reply has all items and no more. (Four of the twenty have no count.)
            #expect(try socket.sample("c 1000 unique=true").count == 19)
            #expect(try socket.sample("c 1000 unique=true by=frequency power=0").count == 17)
        }
    }

    @Test("and rows are the same for the same seed, even after a restart")
    func seeds() throws {
        let directory = try TemporaryDirectory()
        var daemon = try DaemonProcess(directory: directory)
        var socket = try daemon.connect()
        try fill(socket)
        let requests = Self.ways.flatMap { way in
            [false, true].map { "c 15 seed=18446744073709551615 unique=\($0) \(way) except=item-2" }
        }
        let before = try requests.map { try socket.sample($0) }
        #expect(try requests.map { try socket.sample($0) } == before)
        try daemon.kill()
        daemon = try DaemonProcess(directory: directory)
        socket = try daemon.connect()
        #expect(try requests.map { try socket.sample($0) } == before, "after a kill")
        try daemon.stop()
        daemon = try DaemonProcess(directory: directory)
        socket = try daemon.connect()
        #expect(try requests.map { try socket.sample($0) } == before, "after a restart")
        // Another seed gives other draws, and so does no seed.
        let rows = try socket.sample("c 1000 seed=1")
        #expect(try socket.sample("c 1000 seed=2") != rows)
        let (first, second) = (try socket.sample("c 1000"), try socket.sample("c 1000"))
        #expect(first != second)
        try daemon.stop()
    }

    @Test("the bound of the chi-square test equals the tabulated value")
    func chiSquareBound() {
        for (degrees, tabled) in [(10, 29.588), (100, 149.449)] {
            let ratio = ChiSquare.bound(degreesOfFreedom: degrees) / tabled
            #expect((1...1.006).contains(ratio))
        }
        // 30 + 10 + 20 instead of 20 each: 100/20 + 100/20.
        #expect(abs(ChiSquare.statistic([30, 10, 20], weights: [2, 2, 2]) - 10) < 1e-12)
    }
}
