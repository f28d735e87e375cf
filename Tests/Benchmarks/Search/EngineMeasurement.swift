import Foundation
import ItemStore
import Logging
import PackedStrings
import VectorIndex

/// Measures the engine without a socket: it puts the items durably, then one pinned thread searches.
struct EngineMeasurement {
    private static let putsPerBatch = 500

    let data: PreparedDataSet
    let directory: String
    let core: Int

    func run() throws -> Findings {
        let storeDirectory = "\(directory)/store"
        try? FileManager.default.removeItem(atPath: storeDirectory)
        defer { try? FileManager.default.removeItem(atPath: storeDirectory) }
        var logger = Logger(label: "benchmark")
        logger.logLevel = .warning
        let store = try ItemStore.open(StoreConfiguration(directory: storeDirectory), logger: logger)
        defer { store.close(checkpointing: false) }
        let pipeline = WritePipeline(store: store, depth: 4)
        try pipeline.run([
            .create(name: "items", CollectionConfiguration(dimension: data.set.dimension, metric: .dot))
        ])
        let buildSeconds = try seconds { try put(data.set.itemCount, pipeline) { (id: $0, item: $0) } }
        waitForCheckpoint(store)

        let collection = store.collection(named: "items")!
        let bytesPerItem = Double(collection.memoryByteCount) / Double(collection.idCount)
        var measurements = Affinity.pinned(to: core) { [1, 8].map { measure(collection, batch: $0) } }
        let updateCount = max(1_000, data.set.itemCount / 5)
        let updateSeconds = try seconds {
            try put(updateCount, pipeline) { number in
                let row = number * 7_919 % data.set.itemCount
                return (id: row, item: (row + 1) % data.set.itemCount)
            }
        }
        for index in measurements.indices {
            measurements[index].buildSeconds = buildSeconds
            measurements[index].bytesPerItem = bytesPerItem
            measurements[index].updatesPerSecond = Double(updateCount) / updateSeconds
        }
        return Findings(measurements: measurements)
    }

    private func measure(_ collection: Collection, batch: Int) -> Measurement {
        let few = ask(collection, k: 10, batch: batch)
        let many = ask(collection, k: DataSet.rankCount, batch: batch)
        return Measurement(
            set: data.set.name,
            subject: "logqd in process",
            setting: "batch=\(batch)",
            recall10: few.recall,
            recall100: many.recall,
            queriesPerSecond: Double(DataSet.queryCount) / (few.latencies.milliseconds.reduce(0, +) / 1_000),
            p50Milliseconds: few.latencies.quantile(0.5),
            p99Milliseconds: few.latencies.quantile(0.99)
        )
    }

    private func ask(_ collection: Collection, k: Int, batch: Int) -> (latencies: Latencies, recall: Double) {
        let queries = (0..<DataSet.queryCount).map {
            TopKQuery(vector: QueryVector(data.query($0), metric: .dot), k: k)
        }
        _ = collection.topK(Array(queries[..<batch]))
        var latencies = Latencies()
        var hitCount = 0
        for first in stride(from: 0, to: queries.count, by: batch) {
            let together = Array(queries[first..<min(first + batch, queries.count)])
            let start = ContinuousClock.now
            let answers = collection.topK(together)
            latencies.append(since: start)
            for (index, answer) in answers.enumerated() {
                let ids = (0..<answer.ids.count).map { answer.ids[$0] }
                hitCount += data.hitCount(ids, query: first + index)
            }
        }
        return (latencies, Double(hitCount) / Double(queries.count * k))
    }

    /// Puts vectors. `place` gives the id of the n-th put and the item whose vector it gets.
    private func put(_ count: Int, _ pipeline: WritePipeline, _ place: (Int) -> (id: Int, item: Int)) throws {
        for first in stride(from: 0, to: count, by: Self.putsPerBatch) {
            try pipeline.run(
                (first..<min(first + Self.putsPerBatch, count)).map(place).map {
                    .put(collection: "items", id: data.id($0.id), vector: data.item($0.item), features: nil)
                }
            )
        }
        pipeline.finish()
    }

    private func seconds(_ body: () throws -> Void) rethrows -> Double {
        let start = ContinuousClock.now
        try body()
        return start.secondsSince
    }

    /// Waits, so that the checkpoint does not run during the next measurement.
    private func waitForCheckpoint(_ store: ItemStore) {
        let deadline = ContinuousClock.now + .seconds(60)
        while store.statistics().journalByteCount > 0, ContinuousClock.now < deadline { usleep(100_000) }
    }
}
