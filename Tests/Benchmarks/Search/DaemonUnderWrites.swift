import LogQClient
import Synchronization
import TestSupport

/// What queries lose while writes stream into the same collection, what a lone lookup waits meanwhile, and whether
/// every acknowledged vector is found at once.
struct DaemonUnderWrites: Sendable {
    private static let putsPerSecond = 20_000

    let daemon: Daemon
    let data: PreparedDataSet
    let collection: String
    let clientCount: Int
    let phase: Duration

    func run() async throws -> [Fact] {
        let queries = QueryLoad(daemon: daemon, data: data, collection: collection, clientCount: clientCount)
        let stream = WriteStream(
            client: try await daemon.client(),
            collection: collection,
            data: data,
            putsPerSecond: Self.putsPerSecond
        )
        let idle = try await lookUp()
        let quiet = try await queries.run(for: phase).queriesPerSecond
        async let crowd = queries.run(for: phase)
        async let lookUps = lookUp()
        let (_, saturated) = try await (crowd, lookUps)

        async let disturbedCrowd = queries.run(for: phase)
        async let writes = stream.run(for: phase)
        let (disturbed, putRate) = try await (disturbedCrowd.queriesPerSecond, writes)

        async let lastCrowd = queries.run(for: phase)
        async let lastWrites = stream.run(for: phase)
        async let lastLookUps = lookUp()
        async let probes = probe(stream)
        let (_, _, streaming, found) = try await (lastCrowd, lastWrites, lastLookUps, probes)

        let all = "\(clientCount) clients"
        return [
            fact("\(all), quiet", quiet, "queries/s"),
            fact("\(all), \(Self.putsPerSecond) PUT/s asked for", disturbed, "queries/s"),
            fact("ratio to quiet", disturbed / quiet, ""),
            fact("PUT acknowledged meanwhile", putRate, "/s"),
        ] + facts("GET, nothing else", idle) + facts("GET, \(all) in TOPK", saturated)
            + facts("GET, \(all) in TOPK, and PUT", streaming) + [
                fact("acknowledged vectors asked for at once", Double(found.probeCount), ""),
                fact("of these not at rank 1", Double(found.missCount), ""),
            ]
    }

    /// A lone client that looks up one id after another.
    private func lookUp() async throws -> Latencies {
        let client = try await daemon.client()
        let end = ContinuousClock.now + phase
        var latencies = Latencies()
        var number = 0
        while ContinuousClock.now < end {
            let id = ItemID(data.id(number * 7_919 % data.set.itemCount))
            let start = ContinuousClock.now
            _ = try await client.get(collection, [id])
            latencies.append(since: start)
            number += 1
        }
        await client.close()
        return latencies
    }

    /// Searches for what the stream has just had acknowledged. All vectors have length 1, so each is its own best.
    private func probe(_ stream: WriteStream) async throws -> (probeCount: Int, missCount: Int) {
        let client = try await daemon.client()
        let end = ContinuousClock.now + phase
        var counts = (probeCount: 0, missCount: 0)
        while ContinuousClock.now < end {
            if let (id, vector) = stream.takeLatest() {
                let best = try await client.topK(collection, 1, nearest: .vector(vector))
                counts.probeCount += 1
                if best.first?.id != id { counts.missCount += 1 }
            }
            try await Task.sleep(for: .milliseconds(5))
        }
        await client.close()
        return counts
    }

    private func fact(_ name: String, _ value: Double, _ unit: String) -> Fact {
        Fact(set: data.set.name, name: name, value: value, unit: unit)
    }

    private func facts(_ name: String, _ latencies: Latencies) -> [Fact] {
        [
            fact("\(name), p50", latencies.quantile(0.5) ?? .nan, "ms"),
            fact("\(name), p99", latencies.quantile(0.99) ?? .nan, "ms"),
        ]
    }
}

/// Replaces vectors at a steady rate: a hundred times a second some, each time the next once all are acknowledged.
private final class WriteStream: Sendable {
    private static let ticksPerSecond = 100

    private let client: LogQClient
    private let collection: String
    private let data: PreparedDataSet
    private let putsPerTick: Int
    private let state = Mutex(State())

    private struct State {
        var random = SeededGenerator(seed: 1)
        var putCount = 0
        var latest: (id: ItemID, vector: [Float])?
    }

    init(client: LogQClient, collection: String, data: PreparedDataSet, putsPerSecond: Int) {
        self.client = client
        self.collection = collection
        self.data = data
        putsPerTick = putsPerSecond / Self.ticksPerSecond
    }

    /// Answers how many were acknowledged a second.
    func run(for duration: Duration) async throws -> Double {
        let start = ContinuousClock.now
        var tick = 0
        while start.duration(to: .now) < duration {
            let writes = nextWrites()
            let puts = writes.map { LogQRequest.put(collection, $0.id, $0.vector) }
            for result in await client.pipeline(puts) { try result.get() }
            state.withLock { $0.latest = writes.last }
            tick += 1
            try await Task.sleep(until: start + .seconds(1) * tick / Self.ticksPerSecond, clock: .continuous)
        }
        return Double(tick * putsPerTick) / start.secondsSince
    }

    /// The last acknowledged write, once.
    func takeLatest() -> (id: ItemID, vector: [Float])? {
        state.withLock { state in
            defer { state.latest = nil }
            return state.latest
        }
    }

    private func nextWrites() -> [(id: ItemID, vector: [Float])] {
        state.withLock { state in
            (0..<putsPerTick).map { _ in
                let row = state.putCount * 7_919 % data.set.itemCount
                state.putCount += 1
                var vector = state.random.normals(data.set.dimension)
                vector.scale(toLength: 1)
                return (ItemID(data.id(row)), vector)
            }
        }
    }
}
