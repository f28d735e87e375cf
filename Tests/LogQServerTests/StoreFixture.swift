import Dispatch
import Foundation
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
    private let directory: URL

    init() throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "logqd-test-\(UUID().uuidString)")
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        store = try ItemStore.open(StoreConfiguration(directory: directory.path), logger: logger)
    }

    deinit {
        store.close()
        try? FileManager.default.removeItem(at: directory)
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

/// Waits for a signal, for a bounded time.
func wait(for semaphore: DispatchSemaphore, _ what: String) throws {
    let result = semaphore.wait(timeout: .now() + TestScale.patienceSeconds)
    try #require(result == .success, "waited for \(what) for \(TestScale.patienceSeconds) s")
}

/// Waits until `condition` holds, for a bounded time.
func wait(until condition: () -> Bool, _ what: String) throws {
    let end = ContinuousClock.now + .seconds(TestScale.patienceSeconds)
    while !condition() {
        try #require(ContinuousClock.now < end, "waited until \(what) for \(TestScale.patienceSeconds) s")
        sched_yield()
    }
}

/// Waits until a moment is over.
func wait(until moment: ContinuousClock.Instant) throws {
    try wait(until: { ContinuousClock.now > moment }, "the moment is over")
}

/// Keeps a pool's only thread from its next work, by a search whose completion does not return.
final class Gate: Sendable {
    private let reached = DispatchSemaphore(value: 0)
    private let opened = DispatchSemaphore(value: 0)

    /// Returns when the thread is held.
    func hold(_ pool: QueryPool, _ collection: Collection) throws {
        let configuration = collection.configuration
        let vector = [Float](repeating: 1, count: configuration.dimension)
        let query = TopKQuery(vector: QueryVector(vector, metric: configuration.metric), k: 1)
        let search = QueuedSearch(
            collection: collection,
            query: query,
            isWanted: { true },
            complete: { _ in
                self.reached.signal()
                _ = self.opened.wait(timeout: .now() + TestScale.patienceSeconds)
            }
        )
        try #require(pool.submit(search))
        try wait(for: reached, "the thread to be held")
    }

    /// Twice is as good as once.
    func open() {
        opened.signal()
    }
}
