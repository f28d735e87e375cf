/// An LMDB environment: a directory with `data.mdb` and `lock.mdb`, and the tables in it.
///
/// A transaction exists only during a call of `read` or `write`, which begins it, lends it to a closure, and always
/// ends it. So no transaction can leak, outlive the environment, or keep old pages in use forever.
///
/// Every commit is synced to disk before `write` returns; no flag that weakens this is ever set. A reader slot belongs
/// to a transaction, not to a thread (`MDB_NOTLS`), so a thread may call `read` inside `write`.
///
/// A process must not open a directory twice, because POSIX file locks can't tell two environments of one process
/// apart.
internal import CLMDB
internal import Synchronization
internal import SystemSupport

package final class Environment: Sendable {
    package struct Options: Sendable {
        /// The largest size of the data in bytes. It costs only address space, so it should be generous.
        package var mapSize: Int
        package var tableCountMax: Int
        package var readerCountMax: Int
        /// Opens an existing environment for reading only. `write` then throws. The caller makes sure that no other
        /// process writes to it meanwhile.
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
    /// The thread that is inside `write`, or 0. A second `write` on that thread would wait for the first one forever.
    private let writingThread = Atomic<UInt>(0)
    /// The number of the last transaction that was committed here, or before the environment was opened.
    private let lastTransaction = Atomic<Int>(0)

    /// Opens the environment in `directory`, which must exist, and frees the reader slots of dead processes.
    package init(directory: String, options: Options) throws(LMDBError) {
        func check(_ code: Int32) throws(LMDBError) {
            guard code == MDB_SUCCESS else { throw LMDBError(code: code, attempt: .open) }
        }
        var created: OpaquePointer?
        try check(mdb_env_create(&created))
        let environment = created!
        do throws(LMDBError) {
            // LMDB requires a multiple of the page size.
            let pageSize = Int(sysconf(Int32(_SC_PAGESIZE)))
            try check(mdb_env_set_mapsize(environment, (options.mapSize + pageSize - 1) / pageSize * pageSize))
            try check(mdb_env_set_maxdbs(environment, MDB_dbi(options.tableCountMax)))
            try check(mdb_env_set_maxreaders(environment, UInt32(options.readerCountMax)))
            try check(mdb_env_set_assert(environment, endProcess))
            // A reader without LMDB's locks needs no file that it may write.
            let flags = UInt32(MDB_NOTLS) | (options.isReadOnly ? UInt32(MDB_RDONLY | MDB_NOLOCK) : 0)
            try check(mdb_env_open(environment, directory, flags, 0o600))
            if !options.isReadOnly {
                var deadReaderCount: Int32 = 0
                try check(mdb_reader_check(environment, &deadReaderCount))
                // LMDB syncs only its file, so a power cut could lose a new file.
                try check(syncDirectory(directory))
            }
        } catch {
            mdb_env_close(environment)
            throw error
        }
        pointer = environment
        lastTransaction.store(statistics().lastTransaction, ordering: .relaxed)
    }

    deinit {
        mdb_env_close(pointer)
    }

    /// Calls `body` with a snapshot, which has every earlier commit and no later one.
    package func read<R>(_ body: (borrowing ReadTransaction) throws -> R) throws -> R {
        let core = try begin(flags: UInt32(MDB_RDONLY))
        let earlier = exchangeThreadOnDataFile(core.thread)
        defer { _ = exchangeThreadOnDataFile(earlier) }
        let result: R
        do {
            result = try body(ReadTransaction(core: core))
        } catch {
            mdb_txn_abort(core.pointer)
            tables.transactionEnded(core.pointer, isCommitted: false)
            throw error
        }
        // Nothing was written, but an abort would close the tables that the transaction opened.
        let code = mdb_txn_commit(core.pointer)
        tables.transactionEnded(core.pointer, isCommitted: code == MDB_SUCCESS)
        guard code == MDB_SUCCESS else { throw LMDBError(code: code, attempt: .commit) }
        return result
    }

    /// Calls `body`, then commits. If `body` throws or the commit fails, nothing has changed, and this throws that
    /// error. Only one thread can be in `write`; others wait. `body` must not call `write`.
    package func write<R>(_ body: (borrowing WriteTransaction) throws -> R) throws -> R {
        let thread = currentThreadNumber()
        guard writingThread.load(ordering: .relaxed) != thread else {
            fatalError("write within write on one thread: the inner one would wait for the outer one for ever")
        }
        let core = try begin(flags: 0)
        writingThread.store(thread, ordering: .relaxed)
        let earlier = exchangeThreadOnDataFile(thread)
        defer { _ = exchangeThreadOnDataFile(earlier) }
        let result: R
        do {
            result = try body(WriteTransaction(core: core))
        } catch {
            writingThread.store(0, ordering: .relaxed)
            mdb_txn_abort(core.pointer)
            tables.transactionEnded(core.pointer, isCommitted: false)
            throw error
        }
        writingThread.store(0, ordering: .relaxed)
        let code = mdb_txn_commit(core.pointer)
        tables.transactionEnded(core.pointer, isCommitted: code == MDB_SUCCESS)
        guard code == MDB_SUCCESS else {
            throw LMDBError(
                code: code == EIO ? codeOfShortWrite() : code,
                attempt: .commit,
                isEnvironmentLost: isLost()
            )
        }
        lastTransaction.store(statistics().lastTransaction, ordering: .relaxed)
        return result
    }

    /// Copies all tables to a new file `data.mdb` in `directory`, which must exist and be empty. The copy has no free
    /// pages, and begins with transaction 1. It is not synced.
    package func copyWithoutFreePages(to directory: String) throws(LMDBError) {
        let earlier = exchangeThreadOnDataFile(currentThreadNumber())
        defer { _ = exchangeThreadOnDataFile(earlier) }
        let code = mdb_env_copy2(pointer, directory, UInt32(MDB_CP_COMPACT))
        guard code == MDB_SUCCESS else { throw LMDBError(code: code, attempt: .copy) }
    }

    /// Whether the meta pages in the file are no longer those of the last commit. Then another program has written to
    /// the file.
    package var isChangedByOthers: Bool {
        statistics().lastTransaction != lastTransaction.load(ordering: .relaxed)
    }

    /// Whether LMDB refuses all further transactions. It does so after it failed to write a meta page, even if only
    /// because there was no room.
    private func isLost() -> Bool {
        var begun: OpaquePointer?
        let code = mdb_txn_begin(pointer, nil, 0, &begun)
        if let begun { mdb_txn_abort(begun) }
        return code == MDB_PANIC
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

    /// The true reason of an `EIO`. If a write exceeds the disk, the quota or the file-size limit, the system writes a
    /// part of it and reports no error. LMDB then returns `EIO`, as for a broken disk. To tell the two apart, this
    /// tries to allocate more room after the end of the file. That is harmless, because LMDB does not use those pages
    /// yet.
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

/// Figures about an environment, for an operator.
package struct EnvironmentStatistics: Sendable {
    package let mapSize: Int
    /// The bytes of all pages that were ever used. Freed pages are used again before the file grows.
    package let usedByteCount: Int
    package let lastTransaction: Int
    package let pageSize: Int
}

extension Environment {
    package func statistics() -> EnvironmentStatistics {
        var info = MDB_envinfo()
        var stat = MDB_stat()
        // These calls fail only for a null pointer.
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

/// LMDB calls this when an assertion fails, because its file was damaged while it was open. It can't go on, and would
/// otherwise end the process without a word for the operator.
private func endProcess(_ environment: OpaquePointer?, _ message: UnsafePointer<CChar>?) {
    endProcessAfterDamage("LMDB found its data file damaged: \(message.map { String(cString: $0) } ?? "")")
}
