import LMDB
package import Logging

/// The storage engine: collections in memory, made durable by a journal in LMDB. It needs no network.
///
/// - *Reads* find a `Collection` and call it, on any thread. They never access LMDB.
/// - *Writes* are submitted in batches to the store's thread (`StoreThread`). It judges them, commits them together to
///   the journal, applies them to memory, and then acknowledges them.
/// - A *checkpoint* (`Checkpointer`) copies changed records to the tables in small slices, and cuts the journal.
/// - *Recovery* (`Recovery`) loads the tables, replays the journal, and builds everything that is not stored.
///
/// `Schema/` defines the tables and keys, `Records/` the bytes of each kind of record, and `Journal/` the bytes of
/// operations.
package final class ItemStore: Sendable {
    private let directory: DataDirectory
    private let environment: Environment
    private let tables: Tables
    private let catalogue: Catalogue
    private let sources: SourcePositions
    let health: StoreHealth
    /// Nil when the store is read-only.
    private let storeThread: StoreThread?
    private let recovery: RecoveryStatistics

    package let configuration: StoreConfiguration

    /// Opens the store and starts its thread. That takes about a second for a million items. Throws `directoryInUse`,
    /// `unknownSchema`, `corrupt` (with table and key), `full`, `readOnly` after a storage failure, or `internalError`.
    package static func open(_ configuration: StoreConfiguration, logger: Logger) throws(StoreError) -> ItemStore {
        do {
            return try ItemStore(configuration, logger)
        } catch {
            throw StoreError(error)
        }
    }

    /// `locked` is the directory, if the caller has locked it already.
    init(_ configuration: StoreConfiguration, _ logger: Logger, in locked: DataDirectory? = nil) throws {
        self.configuration = configuration
        let clock = ContinuousClock()
        let start = clock.now
        directory =
            try locked ?? DataDirectory(path: configuration.directory, isReadOnly: configuration.isReadOnly)
        directory.warnOfNetwork(logger)
        let data = try directory.openData(isReadOnly: configuration.isReadOnly)
        environment = data.environment
        tables = data.tables
        try StoredSize.announceExcess(data.environment, data.tables, configuration.limits, logger)
        let recovered = try directory.naming { try Recovery.run(data.environment, data.tables) }
        try directory.checkHead(data.head, lastGroup: recovered.lastGroup)
        catalogue = recovered.records.catalogue
        sources = recovered.records.sources
        health = StoreHealth()
        recovery = RecoveryStatistics(duration: clock.now - start, groupCount: recovered.replayedGroupCount)
        if configuration.isReadOnly {
            health.fail("the daemon was started read-only")
            health.journal = StoreHealth.JournalStatus(recovered)
            storeThread = nil
        } else {
            guard let identity = data.identity else {
                throw StoreError(.corrupt, "the data file '\(directory.dataPath)' is damaged: it has no identity")
            }
            let thread = StoreThread(
                environment: environment,
                tables: data.tables,
                recovered: recovered,
                limits: configuration.limits,
                health: health,
                watch: try DirectoryWatch(directory, environment, identity, lastGroup: recovered.lastGroup),
                logger: logger
            )
            thread.start()
            storeThread = thread
        }
    }

    // MARK: - Collections

    package func collection(named name: String) -> Collection? {
        catalogue[name]
    }

    /// All collections, ordered by name.
    package func collections() -> [(name: String, collection: Collection)] {
        catalogue.allNamed
    }

    /// The last number that was applied of a stream outside the store; nil if there is none. Any thread may call this.
    package func sequence(ofSource source: String) -> UInt64? {
        sources.sequence(of: source)
    }

    // MARK: - Writes

    /// Queues the writes, or throws `busy`, `draining` or `readOnly`. If it does not throw, the batch's completion is
    /// called once, with an outcome for each write. At that time, all successful writes are on disk and visible to
    /// every reader.
    package func submit(_ batch: WriteBatch) throws(StoreError) {
        guard let storeThread else { throw StoreError(.readOnly, health.failure ?? "the store is read-only") }
        try storeThread.queue.append(batch)
    }

    /// Commits all queued writes, ends the store's thread, and checkpoints. Blocks meanwhile. Later calls of `submit`
    /// throw `draining`. Without the checkpoint, the next start replays the journal, as after a crash. With
    /// `erasingDropped` no records of dropped collections are left.
    package func close(checkpointing: Bool = true, erasingDropped: Bool = false) {
        storeThread?.queue.close()
        storeThread?.join()
        if checkpointing { storeThread?.finalCheckpoint(erasingDropped: erasingDropped) }
    }

    // MARK: - Statistics

    /// The memory of all collections, in bytes.
    package var memoryByteCount: Int { catalogue.memory.byteCount }

    package func statistics() -> StoreStatistics {
        let journal = health.journal
        let storage = environment.statistics()
        var statistics = StoreStatistics()
        statistics.directory = directory.path
        statistics.failure = health.failure
        statistics.memoryBytesMax = configuration.limits.memoryBytesMax
        statistics.recoverySeconds = recovery.duration / .seconds(1)
        statistics.replayedGroupCount = recovery.groupCount
        statistics.lastGroup = journal.lastGroup
        statistics.checkpointedGroup = journal.checkpointedGroup
        statistics.journalByteCount = journal.byteCount
        statistics.checkpointPassCount = journal.checkpointPassCount
        statistics.droppedCollectionCount = journal.droppedCollectionCount
        statistics.waitingWriteByteCount = storeThread?.queue.waitingByteCount ?? 0
        statistics.mapByteCount = storage.mapSize
        statistics.fileByteCount = storage.usedByteCount
        // After a failure the file may be damaged or cut off, and reading it could end the process.
        if health.failure == nil {
            statistics.usedByteCount = try? environment.read { try tables.byteCount($0) }
        }
        statistics.freeByteCount = directory.freeByteCount
        statistics.fullReason = health.fullReason
        statistics.memoryByteCount = catalogue.memory.byteCount
        for collection in catalogue.all {
            statistics.collectionCount += 1
            statistics.itemCount += collection.itemCount
            statistics.idCount += collection.idCount
        }
        return statistics
    }
}

struct RecoveryStatistics: Sendable {
    let duration: Duration
    let groupCount: Int
}

/// Figures about a store, for an operator.
package struct StoreStatistics: Sendable {
    package var directory = ""
    /// Why the store takes no more writes; nil if it does.
    package var failure: String?
    package var collectionCount = 0
    /// The number of ids with an embedding.
    package var itemCount = 0
    /// The number of all ids that have a row.
    package var idCount = 0
    /// The memory of all collections. LMDB's pages are not counted, because they are in the file cache of the operating
    /// system.
    package var memoryByteCount = 0
    package var memoryBytesMax = 0
    package var recoverySeconds = 0.0
    package var replayedGroupCount = 0
    package var lastGroup: UInt64 = 0
    package var checkpointedGroup: UInt64 = 0
    package var journalByteCount = 0
    package var checkpointPassCount = 0
    /// The number of dropped collections with records that are not erased yet.
    package var droppedCollectionCount = 0
    package var waitingWriteByteCount = 0
    /// The size of the address space that LMDB has reserved.
    package var mapByteCount = 0
    /// The size of the file up to the last page that was ever used.
    package var fileByteCount = 0
    /// The size of the pages that have records now; nil if the storage can't be read.
    package var usedByteCount: Int?
    /// The room left on the file system; nil if the system does not say.
    package var freeByteCount: Int?
    /// Why the last write found no room on the disk; nil if the last commit succeeded.
    package var fullReason: String?
}
