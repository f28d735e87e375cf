import Dispatch
import ItemStore
import Logging
import PackedStrings
import TestSupport
import Testing
import VectorIndex

@testable import LogQServer

/// A real store in a temporary directory, without a server.
final class StoreFixture {
    let store: ItemStore
    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        store = try ItemStore.open(StoreConfiguration(directory: directory.path), logger: logger)
    }

    deinit {
        store.close()
    }

    /// A collection of `count` items with random vectors.
    func collection(
        named name: String,
        count: Int,
        dimension: Int = 2,
        _ random: inout SeededGenerator
    ) throws -> Collection {
        try apply([.create(name: name, CollectionConfiguration(dimension: dimension, metric: .dot, alpha: 0.01))])
        for start in stride(from: 0, to: count, by: 10_000) {
            try apply(
                (start..<min(start + 10_000, count)).map { index in
                    .put(
                        collection: name,
                        id: Array("\(name)\(index)".utf8),
                        vector: (0..<dimension).map { _ in Float.random(in: -1...1, using: &random) },
                        features: nil
                    )
                }
            )
        }
        return try #require(store.collection(named: name))
    }

    private func apply(_ writes: [Write]) throws {
        let done = DispatchSemaphore(value: 0)
        try store.submit(WriteBatch(writes) { _ in done.signal() })
        try wait(for: done, "the store to answer")
    }
}

extension Gate {
    /// Stops a pool's only thread with a search whose completion does not return. Returns when the thread has
    /// stopped.
    func hold(_ pool: QueryPool, _ collection: Collection) throws {
        let configuration = collection.configuration
        let vector = [Float](repeating: 1, count: configuration.dimension)
        let query = TopKQuery(vector: QueryVector(vector, metric: configuration.metric), k: 1)
        let search = Search(
            collection: collection,
            question: query,
            complete: { _ in self.pass() }
        )
        try #require(pool.submit(.search(search)))
        try waitUntilReached()
    }
}
