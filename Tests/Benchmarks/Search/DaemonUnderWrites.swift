import LogQClient
import Synchronization
import TestSupport

/// Measures queries, and the latency of a single look-up, while writes stream into the same collection. It also checks
/// that every acknowledged vector is found at once.
struct DaemonUnderWrites: Sendable {
    private static let putsPerSecond = 20_000
    /// The number of clients that search for acknowledged vectors.
    private static let proberCount = 4

    let daemon: DaemonProcess
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
        async let probes = probeTogether(stream)
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

    /// A single client that looks up one id after another.
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

    private func probeTogether(_ stream: WriteStream) async throws -> (probeCount: Int, missCount: Int) {
        try await withThrowingTaskGroup(of: (probeCount: Int, missCount: Int).self) { group in
            for _ in 0..<Self.proberCount { group.addTask { try await probe(stream) } }
            return try await group.reduce(into: (probeCount: 0, missCount: 0)) { sum, part in
                sum.probeCount += part.probeCount
                sum.missCount += part.missCount
            }
        }
    }

    /// Searches for vectors that were just acknowledged. All vectors have length 1, so each is its own best.
    private func probe(_ stream: WriteStream) async throws -> (probeCount: Int, missCount: Int) {
        let client = try await daemon.client()
        let end = ContinuousClock.now + phase
        var counts = (probeCount: 0, missCount: 0)
        while ContinuousClock.now < end {
            if let written = stream.takeLatest() {
                let best = try await client.topK(collection, 1, nearest: .vector(written.vector))
                // With few items the stream may have replaced this one again: then there is nothing to find.
                if best.first?.id == written.id || !stream.hasReplaced(written) {
                    counts.probeCount += 1
                    if best.first?.id != written.id { counts.missCount += 1 }
                }
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

/// Replaces vectors at a steady rate: one batch every 10 ms, unless too many batches are not acknowledged yet.
private final class WriteStream: Sendable {
    private static let ticksPerSecond = 100
    private static let ticksUnderWayMax = 16

    private let client: LogQClient
    private let collection: String
    private let data: PreparedDataSet
    private let putsPerTick: Int
    private let state: Mutex<State>

    struct Written: Sendable {
        let row: Int
        let id: ItemID
        let vector: [Float]
        /// The number of this write, counted from the start.
        let number: Int
    }

    private struct State {
        var random = SeededGenerator(seed: 1)
        var putCount = 0
        /// For each row, the number of the last write that was started.
        var numbers: [Int]
        var latest: Written?
    }

    init(client: LogQClient, collection: String, data: PreparedDataSet, putsPerSecond: Int) {
        self.client = client
        self.collection = collection
        self.data = data
        putsPerTick = putsPerSecond / Self.ticksPerSecond
        state = Mutex(State(numbers: Array(repeating: -1, count: data.set.itemCount)))
    }

    /// Returns the number of acknowledged writes per second.
    func run(for duration: Duration) async throws -> Double {
        let start = ContinuousClock.now
        var tick = 0
        try await withThrowingTaskGroup(of: Void.self) { group in
            while start.duration(to: .now) < duration {
                if tick >= Self.ticksUnderWayMax { try await group.next() }
                let writes = nextWrites()
                group.addTask { [self] in try await put(writes) }
                tick += 1
                try await Task.sleep(until: start + .seconds(1) * tick / Self.ticksPerSecond, clock: .continuous)
            }
            try await group.waitForAll()
        }
        return Double(tick * putsPerTick) / start.secondsSince
    }

    private func put(_ writes: [Written]) async throws {
        let puts = writes.map { LogQRequest.put(collection, $0.id, $0.vector) }
        for result in await client.pipeline(puts) { try result.get() }
        state.withLock { $0.latest = writes.last }
    }

    /// Returns the last acknowledged write, and each write only once.
    func takeLatest() -> Written? {
        state.withLock { state in
            defer { state.latest = nil }
            return state.latest
        }
    }

    /// Whether another vector was sent for this item since.
    func hasReplaced(_ written: Written) -> Bool {
        state.withLock { $0.numbers[written.row] != written.number }
    }

    private func nextWrites() -> [Written] {
        state.withLock { state in
            (0..<putsPerTick).map { _ in
                let number = state.putCount
                let row = number * 7_919 % data.set.itemCount
                state.putCount += 1
                state.numbers[row] = number
                var vector = state.random.normals(data.set.dimension)
                vector.scale(toLength: 1)
                return Written(row: row, id: ItemID(data.id(row)), vector: vector, number: number)
            }
        }
    }
}
