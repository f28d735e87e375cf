import ArgumentParser
import Foundation
import SamplingFrequency
import TestSupport

/// Measures a trainer's requests (observe, read, draw) over the Unix socket of a real daemon: alone, and while
/// embeddings stream in. Every write is durable. If Redis is installed, it measures the nearest equivalents there too.
struct FrequencyBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "frequencies",
        abstract: "OBSERVE, LOGQ, FREQSET and SAMPLE of a real daemon, quiet and while PUTs stream in."
    )

    @Option(help: "Items with an embedding.") var items = 1_000_000
    @Option(help: "Numbers in an embedding.") var dimension = 64
    @Option(help: "Different ids a request.") var ids = 8_192
    @Option(help: "Draws a SAMPLE.") var draws = 1_024
    @Option(help: "Requests under way at once.") var depth = 4
    @Option(help: "PUTs a second while they stream in.") var puts = 50_000
    @Option(help: "Seconds of each measurement.") var seconds = 5.0
    @Option(help: "Different requests of each kind.") var variety = 100
    @Option(help: "Measure only requests with this in their name; all if empty.") var only = ""

    private struct VerbMeasurement {
        let name: String
        let unit: String
        let load: RawConnection.Load
        var isAlone = false
    }

    func run() throws {
        let temporary = try TemporaryDirectory(in: NSTemporaryDirectory())
        defer { withExtendedLifetime(temporary) {} }
        let directory = temporary.path
        let requests = Requests(itemCount: items, dimension: dimension, idCount: min(ids, items), variety: variety)
        let rates = try measureDaemon(directory, requests)
        try measureRedis(directory, requests, comparedWith: rates)
    }

    // MARK: logqd

    /// The rate of each measurement by its name, without other load.
    private func measureDaemon(_ directory: String, _ requests: Requests) throws -> [String: Double] {
        let daemon = try DaemonProcess.start(in: directory)
        defer { try? daemon.kill() }
        let connection = try RawConnection(path: daemon.socketPath)
        try connection.all([Array("CREATE c dim=\(dimension)\n".utf8)], linesPerReply: 1)
        tell("putting \(items) items")
        for start in stride(from: 0, to: items, by: 500) {
            let range = start..<min(start + 500, items)
            try connection.all(requests.puts("c", Array(range), perBlock: 500), linesPerReply: range.count)
        }
        tell("observing all of them, the popular ones more often")
        try connection.all(popularity(), linesPerReply: 1)
        // These observations fill the bank of recent observations.
        try connection.all(Array(requests.overIDs("OBSERVE c -").prefix(3)), linesPerReply: 1)
        let stream = RawConnection.Load(
            requests: requests.puts("c", requests.someItems(min(items, 100_000) / 500 * 500), perBlock: 500),
            linesPerReply: 500,
            countPerRequest: 500
        )
        print("an estimator's record: \(MemoryLayout<Statistics>.stride) bytes an id")
        var rates: [String: Double] = [:]
        for measurement in try measurements(requests, connection) {
            guard only.isEmpty || measurement.name.contains(only) else { continue }
            rates[measurement.name] = try measure(measurement, daemon, connection, stream)
        }
        return rates
    }

    /// Requests that give the items counts from 1 to about a thousand, falling as 1/rank.
    private func popularity() -> [[UInt8]] {
        stride(from: 0, to: items, by: 10_000).map { start in
            let triples = (start..<min(start + 10_000, items)).map { item in
                "item-\(item) - \(1 + items / 1_000 / (1 + (item &* 7_919) % items))"
            }
            return Array("FREQSET c 1 \(triples.joined(separator: " "))\n".utf8)
        }
    }

    private func measurements(_ requests: Requests, _ connection: RawConnection) throws -> [VerbMeasurement] {
        func load(_ requests: [[UInt8]], lines: Int, count: Int) -> RawConnection.Load {
            RawConnection.Load(requests: requests, linesPerReply: lines, countPerRequest: count)
        }
        let observations = requests.overIDs("OBSERVE c -")
        let estimates = requests.overIDs("FREQSET c -") { random in
            " \(Int.random(in: 1...100_000, using: &random)).5 \(Int.random(in: 1...1_000, using: &random))"
        }
        func samples(_ options: String) -> [[UInt8]] {
            requests.repeated { "SAMPLE c \(draws) \(options) seed=\($0)" }
        }
        var all = [
            VerbMeasurement(name: "OBSERVE", unit: "ids", load: load(observations, lines: 1, count: ids)),
            VerbMeasurement(
                name: "LOGQ",
                unit: "ids",
                load: load(requests.overIDs("LOGQ c"), lines: ids + 1, count: ids)
            ),
            VerbMeasurement(name: "FREQSET", unit: "estimates", load: load(estimates, lines: 1, count: ids)),
        ]
        if try connection.answers("HELP OBSERVE", with: "return=") {
            let returning = requests.overIDs("OBSERVE c - return=logq")
            all.append(
                VerbMeasurement(
                    name: "OBSERVE return=logq",
                    unit: "ids",
                    load: load(returning, lines: ids + 1, count: ids)
                )
            )
        }
        for by in ["uniform", "frequency power=0.75", "frequency", "mixed mix=3:1", "recent"] {
            all.append(
                VerbMeasurement(
                    name: "SAMPLE \(draws) by=\(by)",
                    unit: "draws",
                    load: load(samples("by=\(by)"), lines: draws + 1, count: draws)
                )
            )
        }
        for by in ["uniform", "frequency power=0.75"] {
            all.append(
                VerbMeasurement(
                    name: "SAMPLE \(draws) by=\(by) with=vector",
                    unit: "draws",
                    load: load(samples("by=\(by) with=vector"), lines: draws + 1, count: draws),
                    isAlone: true
                )
            )
        }
        return all
    }

    private func measure(
        _ measurement: VerbMeasurement,
        _ daemon: DaemonProcess,
        _ connection: RawConnection,
        _ stream: RawConnection.Load
    ) throws -> Double {
        try connection.all([Array("HELLO 1 vectors=f32\n".utf8)], linesPerReply: 10)
        let quiet = try run(measurement, connection, seconds)
        let writer = try RawConnection(path: daemon.socketPath)
        let interval = Double(stream.countPerRequest) / Double(puts)
        let streaming = Background {
            try writer.pipelined(stream, depth: 16, seconds: seconds + 0.5, interval: interval)
        }
        usleep(250_000)
        let disturbed = try run(measurement, connection, seconds)
        let written = try streaming.wait(within: 2 * seconds + TestScale.patienceSeconds)
        let putRate = rate(written, stream.countPerRequest)
        print(
            "\(measurement.name): \(text(quiet, measurement)); with \(Int(putRate)) PUT/s",
            "\(text(disturbed, measurement)),",
            "ratio \((rate(disturbed, 1) / rate(quiet, 1)).text(2))"
        )
        return rate(quiet, measurement.load.countPerRequest)
    }

    private func run(
        _ measurement: VerbMeasurement,
        _ connection: RawConnection,
        _ seconds: Double
    ) throws -> RawConnection.Outcome {
        _ = try connection.pipelined(measurement.load, depth: depth, seconds: seconds / 10)
        return measurement.isAlone
            ? try connection.oneByOne(measurement.load, seconds: seconds)
            : try connection.pipelined(measurement.load, depth: depth, seconds: seconds)
    }

    private func text(_ outcome: RawConnection.Outcome, _ measurement: VerbMeasurement) -> String {
        let rate = "\(Int(rate(outcome, measurement.load.countPerRequest))) \(measurement.unit)/s"
        let (p50, p99) = (outcome.latencies.quantile(0.5) ?? .nan, outcome.latencies.quantile(0.99) ?? .nan)
        return measurement.isAlone ? "p50 \(p50.text(2)) ms, p99 \(p99.text(2)) ms (\(rate))" : rate
    }

    private func rate(_ outcome: RawConnection.Outcome, _ countPerRequest: Int) -> Double {
        Double(outcome.requestCount * countPerRequest) / outcome.seconds
    }

    // MARK: Redis

    /// The command of Redis that a trainer would use instead of a verb of logqd.
    private struct Peer {
        let command: String
        let verb: String
        let load: RawConnection.Load
    }

    /// Measures counts in a hash and in a sorted set, with every write synced, as in logqd.
    private func measureRedis(_ directory: String, _ requests: Requests, comparedWith rates: [String: Double]) throws {
        guard let redis = try RedisServer(directory: directory) else {
            return print("redis-server is not installed: no peer")
        }
        defer { redis.kill() }
        let connection = try RawConnection(path: redis.socket)
        tell("filling redis-server")
        for start in stride(from: 0, to: items, by: 10_000) {
            let range = start..<min(start + 10_000, items)
            try connection.all(
                [
                    Requests.resp(["HSET", "h"] + range.flatMap { ["item-\($0)", "1"] }),
                    Requests.resp(["ZADD", "z"] + range.flatMap { ["1", "item-\($0)"] }),
                    Requests.resp(["SADD", "s"] + range.map { "item-\($0)" }),
                ],
                linesPerReply: 1
            )
        }
        for peer in peers(requests) {
            guard let ours = rates[peer.verb] else { continue }
            _ = try connection.pipelined(peer.load, depth: depth, seconds: seconds / 10)
            let theirs = rate(
                try connection.pipelined(peer.load, depth: depth, seconds: seconds),
                peer.load.countPerRequest
            )
            let ratio = (ours / theirs).text(2)
            print("redis-server, \(peer.command): \(Int(theirs))/s; logqd's \(peer.verb) is \(ratio) times that")
        }
    }

    private func peers(_ requests: Requests) -> [Peer] {
        func peer(_ command: String, for verb: String, _ requests: [[UInt8]], lines: Int, count: Int) -> Peer {
            let load = RawConnection.Load(requests: requests, linesPerReply: lines, countPerRequest: count)
            return Peer(command: command, verb: verb, load: load)
        }
        let increments = requests.redis { ["HINCRBY", "h", $0, "1"] }
        let scores = requests.redis { ["ZINCRBY", "z", "1", $0] }
        let values = requests.redisTogether(["HMGET", "h"]) { [$0] }
        let settings = requests.redisTogether(["HSET", "h"]) { [$0, "17"] }
        let members = [Requests.resp(["SRANDMEMBER", "s", "-\(draws)"])]
        return [
            peer("HINCRBY", for: "OBSERVE", increments, lines: ids, count: ids),
            peer("ZINCRBY", for: "OBSERVE", scores, lines: 2 * ids, count: ids),
            peer("HMGET", for: "LOGQ", values, lines: 1 + 2 * ids, count: ids),
            peer("HSET", for: "FREQSET", settings, lines: 1, count: ids),
            peer("SRANDMEMBER", for: "SAMPLE \(draws) by=uniform", members, lines: 1 + 2 * draws, count: draws),
        ]
    }
}
