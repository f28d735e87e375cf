/// Safe handles for LMDB's tables.
///
/// LMDB numbers open tables, and its manual has three rules about the numbers. Only one transaction of the process may
/// open tables at a time. A transaction that began before that one ended must not open any. An abort closes the tables
/// that the transaction opened, so their numbers may soon mean other tables. The registry enforces the first two rules
/// by throwing `EBUSY`. For the third it marks the handle as closed, and every use checks the mark.
internal import CLMDB
internal import Synchronization
internal import SystemSupport

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

/// The open tables of one environment. It is used when a table is opened and when a transaction ends, so its lock costs
/// nothing for each record.
final class TableRegistry: @unchecked Sendable {
    private struct State {
        var handles: [String: TableHandle] = [:]
        /// The tables that the transaction `opener` has opened. It has not ended.
        var pending: [String: TableHandle] = [:]
        var opener: OpaquePointer?
        /// The number of transactions that opened tables and have ended.
        var generation = 0
    }

    private var state = State()
    private let monitor = Monitor()

    private func withState<R>(_ body: (inout State) -> R) -> R {
        monitor.withLock { body(&state) }
    }

    /// Read this before a transaction begins, and pass it to `open`.
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

    /// Call this after every transaction, with its outcome.
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
