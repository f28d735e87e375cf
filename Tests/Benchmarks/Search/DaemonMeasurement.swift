import Foundation
import LogQClient
import TestSupport

/// Measures a real daemon over its Unix socket, with one query thread. The clients run in this process and send one
/// query at a time each. Clients and daemon share the machine.
struct DaemonMeasurement: Sendable {
    private static let collection = "items"
    private static let crowd = 16

    let data: PreparedDataSet
    let directory: String
    let phaseSeconds: Int

    func run() async throws -> Findings {
        let daemonDirectory = "\(directory)/daemon"
        try? FileManager.default.removeItem(atPath: daemonDirectory)
        try FileManager.default.createDirectory(atPath: daemonDirectory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: daemonDirectory) }
        let daemon = try DaemonProcess.start(in: daemonDirectory, flags: ["--threads", "1", "--query-threads", "1"])
        defer { try? daemon.kill() }

        var findings = Findings()
        let buildSeconds = try await load(daemon, Self.collection, data.set.itemCount)
        for clientCount in [1, Self.crowd] {
            var row = try await measure(daemon, Self.collection, clientCount: clientCount)
            row.buildSeconds = buildSeconds
            findings.measurements.append(row)
        }
        if data.set.name == "hard" {
            findings.measurements.append(try await measurePart(daemon))
            findings.facts = try await DaemonUnderWrites(
                daemon: daemon,
                data: data,
                collection: Self.collection,
                clientCount: Self.crowd,
                phase: .seconds(phaseSeconds)
            ).run()
        }
        return findings
    }

    /// Measures a single client on the first tenth of the items.
    private func measurePart(_ daemon: DaemonProcess) async throws -> Measurement {
        let count = data.set.itemCount / 10
        _ = try await load(daemon, "part", count)
        var row = try await measure(daemon, "part", clientCount: 1)
        row.setting = "1 client, first \(count) items"
        row.recall10 = nil
        return row
    }

    /// Puts the first `count` items durably, and returns the time in seconds.
    private func load(_ daemon: DaemonProcess, _ collection: String, _ count: Int) async throws -> Double {
        let client = try await daemon.client()
        try await client.create(collection, dimension: data.set.dimension, metric: .dot)
        let start = ContinuousClock.now
        for first in stride(from: 0, to: count, by: 10_000) {
            let puts = (first..<min(first + 10_000, count)).map {
                LogQRequest.put(collection, ItemID(data.id($0)), data.item($0))
            }
            for result in await client.pipeline(puts) { try result.get() }
        }
        let seconds = start.secondsSince
        try await waitForCheckpoint(client)
        await client.close()
        return seconds
    }

    private func waitForCheckpoint(_ client: LogQClient) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < deadline, try await client.info("storage")["journal-bytes"] != "0" {
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private func measure(_ daemon: DaemonProcess, _ collection: String, clientCount: Int) async throws -> Measurement {
        let load = QueryLoad(daemon: daemon, data: data, collection: collection, clientCount: clientCount)
        let outcome = try await load.run(for: .seconds(phaseSeconds))
        return Measurement(
            set: data.set.name,
            subject: "logqd daemon",
            setting: clientCount == 1 ? "1 client" : "\(clientCount) clients",
            recall10: outcome.recall,
            queriesPerSecond: outcome.queriesPerSecond,
            p50Milliseconds: outcome.latencies.quantile(0.5),
            p99Milliseconds: outcome.latencies.quantile(0.99)
        )
    }
}

/// Clients that send one query after another, k = 10, each on its own connection.
struct QueryLoad: Sendable {
    struct Outcome: Sendable {
        var latencies = Latencies()
        var hitCount = 0
        var seconds = 0.0

        var queriesPerSecond: Double { Double(latencies.milliseconds.count) / seconds }
        var recall: Double { Double(hitCount) / Double(latencies.milliseconds.count * QueryLoad.k) }
    }

    private static let k = 10

    let daemon: DaemonProcess
    let data: PreparedDataSet
    let collection: String
    let clientCount: Int

    func run(for duration: Duration) async throws -> Outcome {
        var clients: [LogQClient] = []
        for _ in 0..<clientCount { clients.append(try await daemon.client()) }
        let start = ContinuousClock.now
        var outcome = Outcome()
        try await withThrowingTaskGroup(of: Outcome.self) { group in
            for (number, client) in clients.enumerated() {
                let first = number * DataSet.queryCount / clientCount
                group.addTask { try await ask(client, from: first, until: start + duration) }
            }
            for try await part in group {
                outcome.latencies.append(contentsOf: part.latencies)
                outcome.hitCount += part.hitCount
            }
        }
        outcome.seconds = start.secondsSince
        for client in clients { await client.close() }
        return outcome
    }

    private func ask(_ client: LogQClient, from first: Int, until end: ContinuousClock.Instant) async throws -> Outcome
    {
        var outcome = Outcome()
        var query = first
        while ContinuousClock.now < end {
            let vector = data.query(query)
            let start = ContinuousClock.now
            let neighbors = try await client.topK(collection, Self.k, nearest: .vector(vector))
            outcome.latencies.append(since: start)
            outcome.hitCount += data.hitCount(neighbors.map(\.id.bytes), query: query)
            query = (query + 1) % DataSet.queryCount
        }
        return outcome
    }
}
