/// LMDB's table handles, made safe.
///
/// LMDB numbers open tables, and has three rules about the numbers that only its manual knows: only one transaction
/// of the process may be opening tables at a time; a transaction that began before that one ended must not open any;
/// and an abort closes what the transaction opened, so that the number may soon mean another table. The registry
/// keeps the first two by refusing (`EBUSY`), the third by marking the handle closed, which every use checks.
internal import CLMDB
internal import Synchronization

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

@usableFromInline
final class TableHandle: Sendable {
    let name: String
    let number: UInt32
    let keyByteCount: Int
    let registry: ObjectIdentifier
    let isClosed = Atomic<Bool>(false)

    init(name: String, number: UInt32, keyByteCount: Int, registry: TableRegistry) {
        self.name = name
        self.number = number
        self.keyByteCount = keyByteCount
        self.registry = ObjectIdentifier(registry)
    }

    @usableFromInline
    func error(_ code: Int32, _ attempt: LMDBError.Attempt) -> LMDBError {
        LMDBError(code: code, attempt: attempt, table: name)
    }
}

/// The open tables of one environment. Used when tables are opened and when a transaction ends, never per record.
final class TableRegistry: @unchecked Sendable {
    private struct State {
        var handles: [String: TableHandle] = [:]
        /// Opened by the transaction `opener`, which has not ended.
        var pending: [String: TableHandle] = [:]
        var opener: OpaquePointer?
        /// Counts the transactions that opened tables and ended.
        var generation = 0
    }

    private var state = State()
    /// A POSIX lock: ThreadSanitizer knows it.
    private let lock: UnsafeMutablePointer<pthread_mutex_t>

    init() {
        lock = .allocate(capacity: 1)
        lock.initialize(to: pthread_mutex_t())
        let code = pthread_mutex_init(lock, nil)
        precondition(code == 0, "no lock for the table registry: errno \(code)")
    }

    deinit {
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    private func withState<R>(_ body: (inout State) -> R) -> R {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return body(&state)
    }

    /// To be read before a transaction begins, and given to `open`.
    var generation: Int {
        withState { state in state.generation }
    }

    func open(
        named name: String,
        keyByteCount: Int,
        in transaction: OpaquePointer,
        begunAt generation: Int,
        isCreated: Bool
    ) throws(LMDBError) -> TableHandle {
        let result: Result<TableHandle, LMDBError> = withState { state in
            if state.opener == transaction, let handle = state.pending[name] { return .success(handle) }
            var flags: UInt32 = 0
            if let handle = state.handles[name], mdb_dbi_flags(transaction, handle.number, &flags) == MDB_SUCCESS {
                return .success(handle)
            }
            guard state.generation == generation, state.opener == nil || state.opener == transaction else {
                return .failure(LMDBError(code: EBUSY, attempt: .openTable, table: name))
            }
            var number: MDB_dbi = 0
            let code = mdb_dbi_open(transaction, name, isCreated ? UInt32(MDB_CREATE) : 0, &number)
            guard code == MDB_SUCCESS else {
                return .failure(LMDBError(code: code, attempt: .openTable, table: name))
            }
            let handle = TableHandle(name: name, number: number, keyByteCount: keyByteCount, registry: self)
            state.opener = transaction
            state.pending[name] = handle
            return .success(handle)
        }
        let handle = try result.get()
        precondition(
            handle.keyByteCount == keyByteCount,
            "table '\(name)' has keys of \(handle.keyByteCount) bytes, opened for keys of \(keyByteCount)"
        )
        return handle
    }

    /// To be called after every transaction, with what became of it.
    func transactionEnded(_ transaction: OpaquePointer, isCommitted: Bool) {
        withState { state in
            guard state.opener == transaction else { return }
            for (name, handle) in state.pending {
                if isCommitted {
                    state.handles[name] = handle
                } else {
                    handle.isClosed.store(true, ordering: .relaxed)
                }
            }
            state.pending = [:]
            state.opener = nil
            state.generation += 1
        }
    }
}
