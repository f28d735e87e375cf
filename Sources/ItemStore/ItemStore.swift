import LMDB
package import Logging

/// The engine: collections in memory, durable through a journal in LMDB. It runs without a socket.
///
/// - *Reads* look a `Collection` up and ask it, from any thread; no read touches LMDB.
/// - *Writes* are submitted in batches to the one writer thread (`WritePath`): judged, journalled, committed together,
///   applied to memory, then acknowledged.
/// - A *checkpoint* (`Checkpoint`) copies what changed to the tables in small slices and cuts the journal.
/// - *Recovery* (`Recovery`) loads the tables, replays the journal and builds the id tables.
///
/// `Schema/` has every table, key and byte layout.
package final class ItemStore: Sendable {
    private let directory: DataDirectory
    private let environment: Environment
    private let catalogue: Catalogue
    let status: StoreStatus
    /// Nil when the store is read-only.
    private let writePath: WritePath?
    private let recovery: RecoveryStatistics

    package let configuration: StoreConfiguration

    /// Opens the store, which takes about a second for a million items, and starts its writer thread. Errors:
    /// `directoryInUse`, `unknownSchema`, `corrupt` (naming table and key), `full`, `internalError`.
    package static func open(_ configuration: StoreConfiguration, logger: Logger) throws(StoreError) -> ItemStore {
        do {
            return try ItemStore(configuration, logger)
        } catch {
            throw StoreError(error)
        }
    }

    private init(_ configuration: StoreConfiguration, _ logger: Logger) throws {
        self.configuration = configuration
        directory = try DataDirectory(path: configuration.directory, isReadOnly: configuration.isReadOnly)
        environment = try Environment(
            directory: directory.path,
            options: Environment.Options(mapSize: directory.mapSize, isReadOnly: configuration.isReadOnly)
        )
        let clock = ContinuousClock()
        let start = clock.now
        let tables = try Self.openTables(environment, configuration)
        let recovered = try Recovery.run(environment, tables)
        catalogue = recovered.catalogue
        status = StoreStatus()
        recovery = RecoveryStatistics(duration: clock.now - start, groupCount: recovered.replayedGroupCount)
        if configuration.isReadOnly {
            status.fail("the daemon was started read-only")
            writePath = nil
        } else {
            let path = WritePath(
                environment: environment,
                tables: tables,
                recovered: recovered,
                limits: configuration.limits,
                status: status,
                logger: logger
            )
            path.publishStatus()
            path.start()
            writePath = path
        }
    }

    private static func openTables(_ environment: Environment, _ configuration: StoreConfiguration) throws -> Tables {
        let key = MetaKey(.schema)
        if configuration.isReadOnly {
            return try environment.read { transaction in
                let tables = try Tables(in: transaction)
                try checkSchema(try tables.integer(UInt32.self, for: key, transaction))
                return tables
            }
        }
        return try environment.write { transaction in
            let tables = try Tables(in: transaction)
            if try transaction.entryCount(in: tables.meta) == 0 {
                try tables.putInteger(Tables.schemaVersion, for: key, transaction)
            }
            try checkSchema(try tables.integer(UInt32.self, for: key, transaction))
            return tables
        }
    }

    private static func checkSchema(_ version: UInt32?) throws {
        guard version == Tables.schemaVersion else {
            let got = version.map { "\($0)" } ?? "none"
            throw StoreError(
                .unknownSchema,
                "got schema version \(got) in the data directory, this version knows \(Tables.schemaVersion)"
            )
        }
    }

    // MARK: - Collections

    package func collection(named name: String) -> Collection? {
        catalogue[name]
    }

    /// All collections, by name.
    package func collections() -> [(name: String, collection: Collection)] {
        catalogue.allNamed
    }

    // MARK: - Writes

    /// Queues the writes. Unless this throws (`busy`, `draining`, `readOnly`), the batch's completion is called once,
    /// with an outcome for each write, after the writes are on disk and visible to every reader.
    package func submit(_ batch: WriteBatch) throws(StoreError) {
        guard let writePath else { throw StoreError(.readOnly, status.failure ?? "the store is read-only") }
        try writePath.queue.append(batch)
    }

    /// Commits what is queued, checkpoints, and stops the writer thread. Blocks; later `submit`s fail with `draining`.
    /// Without the checkpoint the next start replays the journal, as after a crash.
    package func close(checkpointing: Bool = true) {
        writePath?.queue.close()
        writePath?.join()
        if checkpointing { writePath?.finalCheckpoint() }
    }

    // MARK: - Statistics

    package func statistics() -> StoreStatistics {
        let journal = status.journal
        let storage = environment.statistics()
        var statistics = StoreStatistics()
        statistics.directory = directory.path
        statistics.failure = status.failure
        statistics.memoryBytesMax = configuration.limits.memoryBytesMax
        statistics.recoverySeconds = recovery.duration / .seconds(1)
        statistics.replayedGroupCount = recovery.groupCount
        statistics.lastGroup = journal.lastGroup
        statistics.checkpointedGroup = journal.checkpointedGroup
        statistics.journalByteCount = journal.byteCount
        statistics.checkpointPassCount = journal.checkpointPassCount
        statistics.droppedCollectionCount = journal.droppedCollectionCount
        statistics.waitingWriteByteCount = writePath?.queue.waitingByteCount ?? 0
        statistics.mapByteCount = storage.mapSize
        statistics.usedByteCount = storage.usedByteCount
        for collection in catalogue.all {
            statistics.collectionCount += 1
            statistics.itemCount += collection.itemCount
            statistics.idCount += collection.idCount
            statistics.memoryByteCount += collection.memoryByteCount
        }
        return statistics
    }
}

struct RecoveryStatistics: Sendable {
    let duration: Duration
    let groupCount: Int
}

/// What an operator wants to know of a store.
package struct StoreStatistics: Sendable {
    package var directory = ""
    /// Why no write is served; nil while all is well.
    package var failure: String?
    package var collectionCount = 0
    /// Ids with an embedding.
    package var itemCount = 0
    /// Ids with anything.
    package var idCount = 0
    /// Memory of all collections, without LMDB's pages, which belong to the operating system.
    package var memoryByteCount = 0
    package var memoryBytesMax = 0
    package var recoverySeconds = 0.0
    package var replayedGroupCount = 0
    package var lastGroup: UInt64 = 0
    package var checkpointedGroup: UInt64 = 0
    package var journalByteCount = 0
    package var checkpointPassCount = 0
    /// Dropped collections whose records are still to be erased.
    package var droppedCollectionCount = 0
    package var waitingWriteByteCount = 0
    /// Reserved address space.
    package var mapByteCount = 0
    /// The file's pages up to the last one used.
    package var usedByteCount = 0
}
