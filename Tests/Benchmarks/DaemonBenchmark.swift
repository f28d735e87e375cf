import ArgumentParser
import Foundation
import LogQClient
import TestSupport

/// Measures the real daemon over its socket: one client, pipelined, every write durable. Then it measures the time from
/// `kill -9` to the first answer. It uses the `logqd` that was built together with this program.
struct DaemonBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "daemon",
        abstract: "Writes, lookups, top-k and the restart of a real daemon, over its Unix socket."
    )

    @Option(help: "Items to put.") var items = 1_000_000
    @Option(help: "Numbers in an embedding.") var dimension = 64
    @Option(help: "Ids an OBSERVE, a FREQSET and a lookup.") var ids = 4_096
    @Option(help: "Requests under way at once.") var depth = 4
    @Option(help: "Requests of each kind.") var rounds = 200

    func run() async throws {
        let temporary = try TemporaryDirectory(in: NSTemporaryDirectory())
        defer { withExtendedLifetime(temporary) {} }
        let directory = temporary.path
        var daemon = try DaemonProcess.start(in: directory)
        defer { try? daemon.kill() }
        let client = try await daemon.client()
        try await client.create("c", dimension: dimension)

        try await measure("PUT", items, "items") {
            for first in stride(from: 0, to: items, by: 10_000) {
                try await all(client, (first..<min(first + 10_000, items)).map { .put("c", id($0), vector($0)) })
            }
        }
        let observations = (0..<rounds).map { LogQRequest.observe("c", step: nil, ids: someIDs($0)) }
        try await measure("OBSERVE of \(ids)", rounds * ids, "ids") { try await pipelined(client, observations) }
        let updates = (0..<rounds).map { round in
            LogQRequest.setFrequencies(
                "c",
                step: nil,
                someIDs(round).map { FrequencyUpdate($0, gap: 12.5 + Double(round), count: 7) }
            )
        }
        try await measure("FREQSET of \(ids)", rounds * ids, "estimates") { try await pipelined(client, updates) }
        let logQ = (0..<rounds).map { LogQRequest.logQ("c", ids: someIDs($0)) }
        try await measure("LOGQ of \(ids)", rounds * ids, "ids") { try await pipelined(client, logQ) }
        let gets = (0..<rounds).map { LogQRequest.get("c", someIDs($0)) }
        try await measure("GET of \(ids)", rounds * ids, "ids") { try await pipelined(client, gets) }
        try await latency("GET of 1") { _ = try await client.get("c", [id($0)]) }
        try await latency("TOPK of 10", rounds: 50) { _ = try await client.topK("c", 10, nearest: .vector(vector($0))) }
        try await show(client, "memory", ["bytes-per-id", "resident-bytes"])

        // The restart replays whatever the checkpoint has not copied yet.
        try await measure("PUT in random order", items / 2, "items") {
            for first in stride(from: 0, to: items / 2, by: 10_000) {
                try await all(
                    client,
                    (first..<first + 10_000).map {
                        .put("c", id($0 &* 7_919 % items), vector($0))
                    }
                )
            }
        }
        try daemon.kill()
        let start = ContinuousClock.now
        daemon = try DaemonProcess.start(in: directory)
        let again = try await daemon.client()
        let found = try await again.get("c", id(items - 1)) != nil
        print("answers \(start.secondsSince) s after a kill, the last item is \(found ? "there" : "MISSING")")
        try await show(again, "storage", ["recovery-seconds", "replayed-groups", "used-bytes"])
        await again.close()
    }

    private func show(_ client: LogQClient, _ section: String, _ names: Set<String>) async throws {
        for value in try await client.info(section) where names.contains(value.name) {
            print("\(value.name) \(value.value)")
        }
    }

    private func id(_ number: Int) -> ItemID { ItemID("item-\(number)") }

    private func vector(_ number: Int) -> [Float] {
        (0..<dimension).map { Float((number &* 31 &+ $0 &* 17) % 1_000) / 500 - 1 }
    }

    private func someIDs(_ round: Int) -> [ItemID] {
        (0..<ids).map { id((round &* 104_729 &+ $0 &* 7_919) % items) }
    }

    private func all<Reply>(_ client: LogQClient, _ requests: [LogQRequest<Reply>]) async throws {
        for result in await client.pipeline(requests) { _ = try result.get() }
    }

    /// Keeps `depth` requests in flight.
    private func pipelined<Reply: Sendable>(_ client: LogQClient, _ requests: [LogQRequest<Reply>]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, request) in requests.enumerated() {
                if index >= depth { try await group.next() }
                group.addTask { _ = try await client.send(request) }
            }
            try await group.waitForAll()
        }
    }

    private func measure(_ name: String, _ count: Int, _ unit: String, _ body: () async throws -> Void) async rethrows {
        let start = ContinuousClock.now
        try await body()
        print("\(name): \(Int(Double(count) / start.secondsSince)) \(unit)/s")
    }

    private func latency(_ name: String, rounds: Int = 2_000, _ body: (Int) async throws -> Void) async rethrows {
        var times = Latencies()
        for round in 0..<rounds {
            let start = ContinuousClock.now
            try await body(round)
            times.append(since: start)
        }
        print("\(name), alone: p50 \(times.quantile(0.5)!) ms, p99 \(times.quantile(0.99)!) ms")
    }
}
