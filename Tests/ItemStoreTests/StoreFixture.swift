import Foundation
import LMDB
import Logging
import NIOConcurrencyHelpers
import PackedStrings
import SamplingFrequency
import TestSupport
import Testing

@testable import ItemStore

/// A store on a real LMDB environment in a temporary directory. It is sent one batch at a time.
final class StoreFixture {
    let directory: TemporaryDirectory
    var limits: StoreLimits
    private var openStore: ItemStore?

    var store: ItemStore { openStore! }

    init(limits: StoreLimits = StoreLimits()) throws {
        self.limits = limits
        directory = try TemporaryDirectory()
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

    /// Closes the store, by default without a checkpoint, as a crash does, and releases the directory.
    func close(checkpointing: Bool = false) {
        openStore?.close(checkpointing: checkpointing)
        // The last reference releases the directory.
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

extension TemporaryDirectory {
    /// The LMDB environment in this directory, for a look past the store, which must be closed.
    func environment() throws -> Environment {
        try Environment(directory: path, options: Environment.Options(mapSize: 1 << 30))
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
        try wait(for: done, "the store to answer")
        return outcomes.withLockedValue { $0 }
    }
}

/// All statistics of a collection. The store must be idle.
struct StatisticsState: Equatable {
    let totals: FrequencyTotals
    let records: [Statistics]
    /// The buckets of the sketch, if that is the estimator.
    let buckets: [Statistics]
    let recentPosition: UInt64
    let recent: [RecentBank.Entry]

    init(_ collection: Collection) {
        totals = collection.totals
        records = (0..<collection.owner.rowCount).map { row in
            collection.chunk(of: row).pointee.statistics[Collection.index(of: row)]
        }
        buckets = collection.sketch.map { sketch in (0..<sketch.layout.totalBucketCount).map(sketch.bucket) } ?? []
        recentPosition = collection.recent.position
        recent = collection.recent.entries
    }
}
