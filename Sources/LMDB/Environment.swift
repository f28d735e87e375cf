/// An LMDB environment: one directory with `data.mdb` and `lock.mdb`, its tables, its transactions.
///
/// Transactions exist only inside a closure: `read` and `write` begin one, lend it to the body, and end it whatever
/// happens. So none can leak, outlive the environment, or hold old pages for ever.
///
/// Every commit is synced to disk before `write` returns: no flag that weakens this is ever set. Readers belong to
/// their transaction, not to their thread (`MDB_NOTLS`), so a thread may read while it writes.
///
/// Open a directory once in a process: POSIX file locks can't tell two environments of one process apart.
internal import CLMDB
internal import Synchronization

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

package final class Environment: Sendable {
    package struct Options: Sendable {
        /// How large the data may become. Costs address space only, so be generous.
        package var mapSize: Int
        package var tableCountMax: Int
        package var readerCountMax: Int
        /// Opens an environment that must exist; `write` then fails.
        package var isReadOnly: Bool

        package init(mapSize: Int, tableCountMax: Int = 16, readerCountMax: Int = 126, isReadOnly: Bool = false) {
            self.mapSize = mapSize
            self.tableCountMax = tableCountMax
            self.readerCountMax = readerCountMax
            self.isReadOnly = isReadOnly
        }
    }

    nonisolated(unsafe) private let pointer: OpaquePointer
    let tables = TableRegistry()
    /// The thread inside `write`, or 0: a second `write` on it would wait for itself.
    private let writer = Atomic<UInt>(0)

    /// Opens the environment in `directory`, which must exist, and frees the slots of readers that died.
    package init(directory: String, options: Options) throws(LMDBError) {
        func check(_ code: Int32) throws(LMDBError) {
            guard code == MDB_SUCCESS else { throw LMDBError(code: code, attempt: .open) }
        }
        var created: OpaquePointer?
        try check(mdb_env_create(&created))
        let environment = created!
        do throws(LMDBError) {
            // LMDB wants whole pages.
            let pageSize = Int(sysconf(Int32(_SC_PAGESIZE)))
            try check(mdb_env_set_mapsize(environment, (options.mapSize + pageSize - 1) / pageSize * pageSize))
            try check(mdb_env_set_maxdbs(environment, MDB_dbi(options.tableCountMax)))
            try check(mdb_env_set_maxreaders(environment, UInt32(options.readerCountMax)))
            let flags = UInt32(MDB_NOTLS) | (options.isReadOnly ? UInt32(MDB_RDONLY) : 0)
            try check(mdb_env_open(environment, directory, flags, 0o600))
            var deadReaderCount: Int32 = 0
            try check(mdb_reader_check(environment, &deadReaderCount))
            if !options.isReadOnly { try check(Self.syncDirectory(directory)) }
        } catch {
            mdb_env_close(environment)
            throw error
        }
        pointer = environment
    }

    deinit {
        mdb_env_close(pointer)
    }

    /// LMDB syncs its file but not the directory: without this a new file could be gone after a power cut.
    private static func syncDirectory(_ directory: String) -> Int32 {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        // Some file systems can't sync a directory and say EINVAL: they have nothing to sync.
        return fsync(descriptor) == 0 || errno == EINVAL ? MDB_SUCCESS : errno
    }

    /// Runs `body` on a snapshot: it sees every commit before it, and none after.
    package func read<R>(_ body: (borrowing ReadTransaction) throws -> R) throws -> R {
        let core = try begin(flags: UInt32(MDB_RDONLY))
        let result: R
        do {
            result = try body(ReadTransaction(core: core))
        } catch {
            mdb_txn_abort(core.pointer)
            tables.transactionEnded(core.pointer, isCommitted: false)
            throw error
        }
        // Nothing to write; but only a commit keeps the tables that were opened.
        let code = mdb_txn_commit(core.pointer)
        tables.transactionEnded(core.pointer, isCommitted: code == MDB_SUCCESS)
        guard code == MDB_SUCCESS else { throw LMDBError(code: code, attempt: .commit) }
        return result
    }

    /// Runs `body`, then commits. If `body` throws, nothing is changed; if the commit fails, that error is thrown.
    /// One thread at a time: others wait. Within `write` the same thread must not `write` again.
    package func write<R>(_ body: (borrowing WriteTransaction) throws -> R) throws -> R {
        let thread = currentThreadNumber()
        guard writer.load(ordering: .relaxed) != thread else {
            fatalError("write within write on one thread: the inner one would wait for the outer one for ever")
        }
        let core = try begin(flags: 0)
        writer.store(thread, ordering: .relaxed)
        let result: R
        do {
            result = try body(WriteTransaction(core: core))
        } catch {
            writer.store(0, ordering: .relaxed)
            mdb_txn_abort(core.pointer)
            tables.transactionEnded(core.pointer, isCommitted: false)
            throw error
        }
        writer.store(0, ordering: .relaxed)
        let code = mdb_txn_commit(core.pointer)
        tables.transactionEnded(core.pointer, isCommitted: code == MDB_SUCCESS)
        guard code == MDB_SUCCESS else {
            throw LMDBError(code: code == EIO ? codeOfShortWrite() : code, attempt: .commit)
        }
        return result
    }

    private func begin(flags: UInt32) throws(LMDBError) -> TransactionCore {
        let generation = tables.generation
        var begun: OpaquePointer?
        let code = mdb_txn_begin(pointer, nil, flags, &begun)
        guard code == MDB_SUCCESS, let begun else { throw LMDBError(code: code, attempt: .begin) }
        return TransactionCore(
            pointer: begun,
            environment: self,
            thread: currentThreadNumber(),
            tableGeneration: generation
        )
    }

    /// When the disk, the quota or the file-size limit ends in the middle of a write, the system writes what fits and
    /// reports no error; LMDB answers `EIO`, as for a broken disk. Asking for more room tells the two apart: the
    /// pages past the end belong to nobody, so growing the file changes nothing.
    private func codeOfShortWrite() -> Int32 {
        #if os(Linux)
        var descriptor: mdb_filehandle_t = -1
        guard mdb_env_get_fd(pointer, &descriptor) == MDB_SUCCESS else { return EIO }
        let end = lseek(descriptor, 0, SEEK_END)
        guard end >= 0 else { return EIO }
        let code = posix_fallocate(descriptor, end, 1 << 20)
        return LMDBError(code: code, attempt: .commit).isFull ? code : EIO
        #else
        return EIO
        #endif
    }
}

/// Numbers for an operator.
package struct EnvironmentStatistics: Sendable {
    package let mapSize: Int
    /// The pages ever used, times their size: what the file takes. Freed pages are used again before the file grows.
    package let usedByteCount: Int
    package let lastTransaction: Int
    package let pageSize: Int
}

extension Environment {
    package func statistics() -> EnvironmentStatistics {
        var info = MDB_envinfo()
        var stat = MDB_stat()
        // They fail only for a null pointer.
        mdb_env_info(pointer, &info)
        mdb_env_stat(pointer, &stat)
        return EnvironmentStatistics(
            mapSize: info.me_mapsize,
            usedByteCount: (info.me_last_pgno + 1) * Int(stat.ms_psize),
            lastTransaction: info.me_last_txnid,
            pageSize: Int(stat.ms_psize)
        )
    }
}

/// The calling thread as a number; never 0.
func currentThreadNumber() -> UInt {
    #if canImport(Darwin)
    UInt(bitPattern: pthread_self())
    #else
    UInt(pthread_self())
    #endif
}
