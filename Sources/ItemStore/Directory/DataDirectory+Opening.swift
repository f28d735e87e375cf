import LMDB
import SystemSupport

/// The LMDB environment of a directory, which has been checked.
struct OpenedData {
    let environment: Environment
    let tables: Tables
    /// Nil in a directory of an older version that was opened for reading.
    let identity: DirectoryIdentity?
    /// Nil if there was no file `HEAD`: in a directory of an older version, or beside a copy of `data.mdb` alone.
    let head: Head?
}

extension DataDirectory {
    /// Makes the data file if the directory is new. Otherwise checks it as a whole, before LMDB reads any of it. Then
    /// opens it. Throws `corrupt`, `unknownSchema`, `full` or `internalError`.
    func openData(isReadOnly: Bool) throws -> OpenedData {
        if !isReadOnly { Self.removeStaging(path + "/" + Self.compactionName) }
        let head = try HeadFile.read(path)
        if fileExists(dataPath) {
            try checkData(head)
        } else {
            try checkIsNew(head, isReadOnly: isReadOnly)
            try makeData()
        }
        if !isReadOnly { try Self.reserveReaderTable(path) }
        let environment = try openEnvironment(path, isReadOnly: isReadOnly)
        var (tables, identity) = try naming { try opened(environment, Tables.openForReading) }
        // Before a migration, which would change a file that does not belong here.
        if let head, head.identity != identity {
            throw StoreError(.corrupt, "the data file '\(dataPath)' does not belong to '\(path)/HEAD' beside it")
        }
        if !isReadOnly { (tables, identity) = try naming { try opened(environment, Tables.openForWriting) } }
        return OpenedData(environment: environment, tables: tables, identity: identity, head: head)
    }

    private func opened(
        _ environment: Environment,
        _ open: (Environment) throws -> Tables
    ) throws -> (Tables, DirectoryIdentity?) {
        let tables = try open(environment)
        return (tables, try environment.read { transaction in try tables.identity(transaction) })
    }

    /// Adds the path of the data file to an error about its content.
    func naming<R>(_ body: () throws -> R) throws(StoreError) -> R {
        do {
            return try body()
        } catch let error as StoreError where error.code == .corrupt {
            throw StoreError(.corrupt, "\(error), in the data file '\(dataPath)'")
        } catch let error as LMDBError where !error.isFull {
            throw StoreError(.internalError, "the data file '\(dataPath)' can't be loaded: \(error)")
        } catch {
            throw StoreError(error)
        }
    }

    private func checkData(_ head: Head?) throws(StoreError) {
        let report: DataFileReport
        do throws(DataFileError) {
            report = try DataFile.check(path: dataPath, keyByteCounts: Tables.keyByteCounts)
        } catch {
            throw StoreError(error.isDamage ? .corrupt : .internalError, "\(error)")
        }
        let missing = Tables.keyByteCounts.keys.filter { report.entryCounts[$0] == nil }.sorted()
        guard missing.isEmpty, report.entryCounts["meta"] != 0 else {
            throw StoreError(
                .corrupt,
                "the data file '\(dataPath)' is damaged: it has no \(missing.isEmpty ? "versions" : "\(missing)")"
            )
        }
        if let head, report.lastTransaction < head.lastTransaction {
            throw Self.lost("transaction \(report.lastTransaction)", "\(head.lastTransaction)", path)
        }
    }

    /// Throws `corrupt` if `HEAD` names a later group than the data has.
    func checkHead(_ head: Head?, lastGroup: UInt64) throws(StoreError) {
        guard let head, lastGroup < head.lastGroup else { return }
        throw Self.lost("group \(lastGroup)", "\(head.lastGroup)", path)
    }

    private static func lost(_ got: String, _ expected: String, _ path: String) -> StoreError {
        StoreError(
            .corrupt,
            "the data file '\(path)/data.mdb' is damaged or an older copy: it ends with \(got), but "
                + "'\(path)/HEAD' says \(expected). Without HEAD the directory can be served as it is"
        )
    }

    // MARK: - A new directory

    private func checkIsNew(_ head: Head?, isReadOnly: Bool) throws(StoreError) {
        // LMDB's table of readers is made after `data.mdb`.
        for other in [HeadFile.name, "lock.mdb"] where fileExists(path + "/" + other) {
            throw StoreError(.corrupt, "the data file '\(dataPath)' is missing, though '\(path)/\(other)' exists")
        }
        guard !isReadOnly else { throw StoreError(.internalError, "there is no data file '\(dataPath)'") }
    }

    /// Makes the data file in a directory of its own, and moves it when it is whole. So after a power cut, or without
    /// room, the next start begins again.
    private func makeData() throws {
        let staging = path + "/new"
        Self.removeStaging(staging)
        guard mkdir(staging, 0o755) == 0 else { throw StoreError.system("could not make '\(staging)'", errno) }
        defer { Self.removeStaging(staging) }
        try Self.reserveReaderTable(staging)
        try Tables.create(in: try openEnvironment(staging, isReadOnly: false))
        guard rename(staging + "/data.mdb", dataPath) == 0 else {
            throw StoreError.system("could not make '\(dataPath)'", errno)
        }
        let code = syncDirectory(path)
        guard code == 0 else { throw StoreError.system("could not sync '\(path)'", code) }
    }

    /// The directory in which a `Compaction` makes its copy.
    static let compactionName = "compact"

    static func removeStaging(_ path: String) {
        for name in ["data.mdb", "lock.mdb", "LOCK"] { unlink(path + "/" + name) }
        rmdir(path)
    }

    // MARK: - LMDB

    private func openEnvironment(_ path: String, isReadOnly: Bool) throws(StoreError) -> Environment {
        do throws(LMDBError) {
            return try Environment(
                directory: path,
                options: Environment.Options(mapSize: mapSize, isReadOnly: isReadOnly)
            )
        } catch {
            throw StoreError(error.isFull ? .full : .internalError, "the directory '\(path)': \(error)")
        }
    }

    /// Gives LMDB's table of readers its room on the disk. LMDB maps it as a file with holes, so without room it would
    /// end the process by a signal.
    private static func reserveReaderTable(_ directory: String) throws(StoreError) {
        let path = directory + "/lock.mdb"
        let byteCount = 16_384
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system("could not make '\(path)'", errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .system("could not examine '\(path)'", errno) }
        guard status.st_size < byteCount || Int(status.st_blocks) * 512 < byteCount else { return }
        let zeros = [UInt8](repeating: 0, count: byteCount)
        let count = pwrite(descriptor, zeros, byteCount, 0)
        guard count == byteCount else { throw .system("could not write '\(path)'", count < 0 ? errno : ENOSPC) }
    }
}
