import LMDB
package import Logging
import SystemSupport

/// Writing the data file anew without its free pages, while no daemon has the directory.
///
/// The copy is made in a directory of its own, synced, and loaded with all checks of a start. Only then does it replace
/// the data file, by a rename. So a crash at any moment leaves the old file or the new one, each whole. The next start
/// removes what was left of a copy.
package struct Compaction: Sendable {
    /// The absolute path of the data file.
    package let dataPath: String
    /// The sizes of the data file.
    package let byteCountBefore: Int
    package let byteCountAfter: Int

    /// Checkpoints the journal, erases what is left of dropped collections, and compacts the data file. Needs as much
    /// memory as a start, and room on the disk for the copy. Throws `directoryInUse`, `corrupt`, `unknownSchema`,
    /// `full` or `internalError`. If it throws, the old file stays.
    package static func run(_ path: String, logger: Logger) throws(StoreError) -> Compaction {
        do {
            // A store that is opened for writing would make the directory.
            guard fileExists(path + "/data.mdb") else {
                throw StoreError(.internalError, "there is no data file '\(path)/data.mdb'")
            }
            // The lock is held until the end, while the store and its copy are opened one after the other. So there
            // is only one of them in memory.
            let directory = try DataDirectory(path: path, isReadOnly: false)
            return try run(directory, logger)
        } catch {
            throw StoreError(error)
        }
    }

    private static func run(_ directory: DataDirectory, _ logger: Logger) throws -> Compaction {
        let before = try status(of: directory.dataPath)
        let content = try checkpointed(directory, logger)
        let staging = directory.path + "/" + DataDirectory.compactionName
        DataDirectory.removeStaging(staging)
        guard mkdir(staging, 0o700) == 0 else { throw StoreError.system("could not make '\(staging)'", errno) }
        defer { DataDirectory.removeStaging(staging) }
        let copyPath = staging + "/data.mdb"
        let head = try copy(directory, to: staging)
        try finish(copyPath, like: before)
        let copied = try StoreContent(path: staging, isReadOnly: true, logger)
        guard copied == content else {
            throw StoreError(.corrupt, "the copy '\(copyPath)' has \(copied), expected \(content)")
        }
        let after = try status(of: copyPath)
        try replace(directory, by: copyPath, head)
        return Compaction(
            dataPath: directory.dataPath,
            byteCountBefore: Int(before.st_size),
            byteCountAfter: Int(after.st_size)
        )
    }

    /// Opens the store, does everything that the tables still lack, and closes it.
    private static func checkpointed(_ directory: DataDirectory, _ logger: Logger) throws -> StoreContent {
        let configuration = StoreConfiguration(directory: directory.path)
        let store = try ItemStore(configuration, logger, in: directory)
        store.close(erasingDropped: true)
        let statistics = store.statistics()
        guard statistics.failure == nil, statistics.journalByteCount == 0, statistics.droppedCollectionCount == 0 else {
            let reason = statistics.failure ?? statistics.fullReason ?? "the log says why"
            throw StoreError(.internalError, "the journal of '\(directory.path)' can't be checkpointed: \(reason)")
        }
        return StoreContent(statistics)
    }

    /// Returns what `HEAD` must say so that both files are accepted. Transactions are counted anew in the copy.
    private static func copy(_ directory: DataDirectory, to staging: String) throws -> Head {
        let options = Environment.Options(mapSize: directory.mapSize, isReadOnly: true)
        let environment = try Environment(directory: directory.path, options: options)
        try environment.copyWithoutFreePages(to: staging)
        guard let head = try HeadFile.read(directory.path) else {
            throw StoreError(.internalError, "there is no '\(directory.path)/\(HeadFile.name)'")
        }
        return Head(identity: head.identity, lastGroup: head.lastGroup, lastTransaction: 0)
    }

    private static func status(of path: String) throws(StoreError) -> stat {
        var found = stat()
        guard stat(path, &found) == 0 else { throw .system("could not examine '\(path)'", errno) }
        return found
    }

    /// Gives the copy the owner and the mode of the old file, and syncs it.
    private static func finish(_ path: String, like old: stat) throws(StoreError) {
        let descriptor = open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system("could not open '\(path)'", errno) }
        defer { close(descriptor) }
        var new = try status(of: path)
        if new.st_uid != old.st_uid || new.st_gid != old.st_gid {
            guard fchown(descriptor, old.st_uid, old.st_gid) == 0 else {
                throw .system("could not give '\(path)' the owner of the old file", errno)
            }
        }
        new.st_mode = old.st_mode & 0o777
        guard fchmod(descriptor, new.st_mode) == 0, fsync(descriptor) == 0 else {
            throw .system("could not write '\(path)'", errno)
        }
    }

    /// `HEAD` comes first: what it then says holds of both files, so it does not matter which of them a crash leaves.
    private static func replace(_ directory: DataDirectory, by copyPath: String, _ head: Head) throws(StoreError) {
        try HeadFile(directory.path, head).sync()
        guard rename(copyPath, directory.dataPath) == 0 else {
            throw .system("could not replace '\(directory.dataPath)'", errno)
        }
        let code = syncDirectory(directory.path)
        guard code == 0 else { throw .system("could not sync '\(directory.path)'", code) }
    }
}

/// What a store has, as far as a copy must have it too.
private struct StoreContent: Equatable, CustomStringConvertible {
    let collectionCount: Int
    let itemCount: Int
    let idCount: Int
    let lastGroup: UInt64

    init(_ statistics: StoreStatistics) {
        collectionCount = statistics.collectionCount
        itemCount = statistics.itemCount
        idCount = statistics.idCount
        lastGroup = statistics.lastGroup
    }

    /// Loads the store with all checks of a start.
    init(path: String, isReadOnly: Bool, _ logger: Logger) throws(StoreError) {
        let configuration = StoreConfiguration(directory: path, isReadOnly: isReadOnly)
        let store = try ItemStore.open(configuration, logger: logger)
        self.init(store.statistics())
        store.close()
    }

    var description: String {
        "\(collectionCount) collections, \(itemCount) items, \(idCount) ids, last group \(lastGroup)"
    }
}
