import ArgumentParser
import Foundation
import ItemStore
import Logging
import PackedStrings
import TestSupport

/// Measures the engine without a socket: durable writes, recovery, point look-ups.
struct StoreBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store",
        abstract: "Durable PUT, OBSERVE and FREQSET, recovery and lookups, in process."
    )

    @Option(help: "Items to put.") var items = 1_000_000
    @Option(help: "Numbers in an embedding.") var dimension = 64
    @Option(help: "Writes a batch.") var batch = 500
    @Option(help: "Ids an OBSERVE and a FREQSET.") var ids = 4_096

    func run() throws {
        let directory = try TemporaryDirectory(in: NSTemporaryDirectory())
        defer { withExtendedLifetime(directory) {} }
        var logger = Logger(label: "benchmark")
        logger.logLevel = .warning
        let configuration = StoreConfiguration(directory: directory.path)
        do {
            let store = try ItemStore.open(configuration, logger: logger)
            let pipeline = WritePipeline(store: store, depth: 4)
            try pipeline.run([
                .create(name: "c", CollectionConfiguration(dimension: dimension))
            ])
            pipeline.finish()
            try measure("PUT", items, "items") { try put(pipeline) }
            try measure("PUT again, in random order", items, "items") { try putAgain(pipeline) }
            try measure("OBSERVE of \(ids)", 200 * ids, "ids") { try observe(pipeline) }
            try measure("FREQSET of \(ids)", 200 * ids, "estimates") { try setFrequencies(pipeline) }
            let collection = store.collection(named: "c")!
            lookUp(collection)
            let statistics = store.statistics()
            print(
                "journal \(statistics.journalByteCount >> 20) MiB, passes \(statistics.checkpointPassCount),",
                "memory an item \(statistics.memoryByteCount / max(1, statistics.itemCount)) B,",
                "file \(statistics.fileByteCount >> 20) MiB"
            )
            store.close(checkpointing: false)
        }
        do {
            let store = try ItemStore.open(configuration, logger: logger)
            let statistics = store.statistics()
            print("recovery \(statistics.recoverySeconds) s, \(statistics.replayedGroupCount) groups replayed")
            let start = ContinuousClock().now
            store.close()
            print("last checkpoint \((ContinuousClock().now - start) / .seconds(1)) s")
        }
        let store = try ItemStore.open(configuration, logger: logger)
        print(
            "recovery after a clean stop \(store.statistics().recoverySeconds) s, items \(store.statistics().itemCount)"
        )
        store.close()
    }

    private func measure(_ name: String, _ count: Int, _ unit: String, _ body: () throws -> Void) rethrows {
        let start = ContinuousClock().now
        try body()
        let seconds = (ContinuousClock().now - start) / .seconds(1)
        print("\(name): \(Int(Double(count) / seconds)) \(unit)/s, \(seconds) s")
    }

    private func vector(_ number: Int) -> [Float] {
        (0..<dimension).map { Float((number &* 31 &+ $0 &* 17) % 1_000) / 500 - 1 }
    }

    private func id(_ number: Int) -> [UInt8] { Array("item-\(number)".utf8) }

    private func put(_ pipeline: WritePipeline) throws {
        for first in stride(from: 0, to: items, by: batch) {
            try pipeline.run(
                (first..<min(first + batch, items)).map {
                    .put(collection: "c", id: id($0), vector: vector($0), features: nil)
                }
            )
        }
        pipeline.finish()
    }

    private func putAgain(_ pipeline: WritePipeline) throws {
        for first in stride(from: 0, to: items, by: batch) {
            try pipeline.run(
                (first..<min(first + batch, items)).map { index in
                    let number = index &* 7_919 % items
                    return .put(collection: "c", id: id(number), vector: vector(number + 1), features: nil)
                }
            )
        }
        pipeline.finish()
    }

    private func observe(_ pipeline: WritePipeline) throws {
        for round in 0..<200 {
            try pipeline.run([.observe(collection: "c", step: nil, sequence: nil, ids: someIDs(round))])
        }
        pipeline.finish()
    }

    private func setFrequencies(_ pipeline: WritePipeline) throws {
        let gaps = (0..<ids).map { Double($0 + 1) }
        for round in 0..<200 {
            try pipeline.run([
                .setFrequencies(collection: "c", step: nil, ids: someIDs(round), gaps: gaps, counts: gaps)
            ])
        }
        pipeline.finish()
    }

    private func someIDs(_ round: Int) -> PackedStrings {
        PackedStrings((0..<ids).map { id((round &* 104_729 &+ $0 &* 7_919) % items) })
    }

    private func lookUp(_ collection: Collection) {
        let some = someIDs(3)
        measure("GET of \(ids)", 100 * ids, "ids") {
            for _ in 0..<100 {
                collection.forEachEmbedding(of: some, 0..<some.count) { precondition($1 != nil) }
            }
        }
        measure("LOGQ of \(ids)", 100 * ids, "ids") {
            for _ in 0..<100 {
                var count = 0
                collection.forEachEstimate(of: some, 0..<some.count) { _, _ in count += 1 }
                precondition(count == ids)
            }
        }
    }
}
