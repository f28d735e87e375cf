import Foundation
import Logging
import NIOConcurrencyHelpers
import PackedStrings
import SamplingFrequency
import Testing

@testable import ItemStore

#if canImport(FoundationEssentials)
import FoundationEssentials
#endif

/// A directory of its own for a test, removed when the test lets it go.
final class TemporaryDirectory: Sendable {
    let path: String

    init() {
        path = NSTemporaryDirectory() + "logqd-store-" + UUID().uuidString
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// A store on a real LMDB environment in a temporary directory, asked one batch at a time.
final class StoreFixture {
    let directory = TemporaryDirectory()
    var limits: StoreLimits
    private var openStore: ItemStore?

    var store: ItemStore { openStore! }

    init(limits: StoreLimits = StoreLimits()) throws {
        self.limits = limits
        openStore = try Self.open(directory, limits)
    }

    private static func open(_ directory: TemporaryDirectory, _ limits: StoreLimits) throws -> ItemStore {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return try ItemStore.open(StoreConfiguration(directory: directory.path, limits: limits), logger: logger)
    }

    deinit {
        close()
    }

    /// Closes the store without a checkpoint, as a crash does, and lets the directory go.
    func close(checkpointing: Bool = false) {
        openStore?.close(checkpointing: checkpointing)
        // The directory is let go with the last reference.
        openStore = nil
    }

    /// Closes the store, if it is open, with or without a checkpoint, and opens it again.
    func restart(checkpointing: Bool) throws {
        close(checkpointing: checkpointing)
        openStore = try Self.open(directory, limits)
    }

    /// Submits the writes as one batch and waits for its outcomes.
    @discardableResult
    func apply(_ writes: [Write]) throws -> [WriteOutcome] {
        try store.apply(writes)
    }
}

extension ItemStore {
    /// Submits the writes as one batch and waits for its outcomes.
    func apply(_ writes: [Write]) throws -> [WriteOutcome] {
        let outcomes = NIOLockedValueBox<[WriteOutcome]>([])
        let done = DispatchSemaphore(value: 0)
        try submit(
            WriteBatch(writes) { result in
                outcomes.withLockedValue { $0 = result }
                done.signal()
            }
        )
        try #require(done.wait(timeout: .now() + 60) == .success, "the store has not answered within a minute")
        return outcomes.withLockedValue { $0 }
    }
}

/// All that a collection knows of frequencies. The store must be idle.
struct StatisticsState: Equatable {
    let totals: FrequencyTotals
    let records: [FrequencyRecord]
    /// Of the sketch, if that is the estimator.
    let buckets: [FrequencyRecord]
    let recentPosition: UInt64
    let recent: [RecentBank.Entry]

    init(_ collection: Collection) {
        totals = collection.totals
        records = (0..<collection.writer.rowCount).map { row in
            collection.chunk(of: row).pointee.statistics[Collection.index(of: row)]
        }
        buckets = collection.sketch.map { sketch in (0..<sketch.layout.totalBucketCount).map(sketch.bucket) } ?? []
        recentPosition = collection.recent.position
        recent = collection.recent.entries
    }
}
