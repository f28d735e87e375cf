/// All access to tables through C. It takes bytes, and returns LMDB's codes.
///
/// `Transaction` is generic over the key and inlined into its callers, so that keys are encoded without a call. These
/// functions do not depend on the key's type and are not inlined, so each record costs one call.
internal import CLMDB
internal import Synchronization
internal import SystemSupport

@usableFromInline
struct TransactionCore {
    let pointer: OpaquePointer
    let environment: Environment
    let thread: UInt
    /// The value of `TableRegistry.generation` before the transaction began.
    let tableGeneration: Int

    @usableFromInline static let notFound = MDB_NOTFOUND
    @usableFromInline static let corrupted = MDB_CORRUPTED

    /// Stops the program, because use on the wrong thread would silently corrupt LMDB's state. It is not a
    /// `precondition`, because a release build must print the message too.
    @inline(__always)
    private func checkThread() {
        guard currentThreadNumber() == thread else {
            fatalError("a transaction is used on a thread that did not begin it")
        }
    }

    @inline(__always)
    private func check(_ handle: TableHandle) {
        checkThread()
        guard handle.registry == ObjectIdentifier(environment.tables) else {
            fatalError("table '\(handle.name)' is a table of another environment")
        }
        guard !handle.isClosed.load(ordering: .relaxed) else {
            fatalError("table '\(handle.name)' is used though its opening transaction was aborted")
        }
    }

    func openTable(named name: String, keyByteCount: Int, isCreated: Bool) throws(LMDBError) -> TableHandle {
        checkThread()
        return try environment.tables.open(
            named: name,
            keyByteCount: keyByteCount,
            in: pointer,
            begunAt: tableGeneration,
            isCreated: isCreated
        )
    }

    @usableFromInline
    func get(_ key: UnsafeRawBufferPointer, in handle: TableHandle, into value: inout UnsafeRawBufferPointer) -> Int32 {
        check(handle)
        var key = MDB_val(key)
        var found = MDB_val()
        let code = mdb_get(pointer, handle.number, &key, &found)
        if code == MDB_SUCCESS { value = UnsafeRawBufferPointer(found) }
        return code
    }

    @usableFromInline
    func put(
        _ key: UnsafeRawBufferPointer,
        _ value: UnsafeRawBufferPointer,
        in handle: TableHandle,
        isAppend: Bool
    ) -> Int32 {
        check(handle)
        var key = MDB_val(key)
        var value = MDB_val(value)
        return mdb_put(pointer, handle.number, &key, &value, isAppend ? UInt32(MDB_APPEND) : 0)
    }

    @usableFromInline
    func reserve(
        _ key: UnsafeRawBufferPointer,
        _ count: Int,
        in handle: TableHandle,
        isAppend: Bool,
        into room: inout UnsafeMutableRawBufferPointer
    ) -> Int32 {
        check(handle)
        var key = MDB_val(key)
        var value = MDB_val(mv_size: count, mv_data: nil)
        let flags = UInt32(MDB_RESERVE) | (isAppend ? UInt32(MDB_APPEND) : 0)
        let code = mdb_put(pointer, handle.number, &key, &value, flags)
        if code == MDB_SUCCESS { room = UnsafeMutableRawBufferPointer(start: value.mv_data, count: count) }
        return code
    }

    @usableFromInline
    func delete(_ key: UnsafeRawBufferPointer, from handle: TableHandle) -> Int32 {
        check(handle)
        var key = MDB_val(key)
        return mdb_del(pointer, handle.number, &key, nil)
    }

    @usableFromInline
    func size(of handle: TableHandle) throws(LMDBError) -> (entryCount: Int, byteCount: Int) {
        check(handle)
        var stat = MDB_stat()
        let code = mdb_stat(pointer, handle.number, &stat)
        guard code == MDB_SUCCESS else { throw handle.error(code, .count) }
        let pageCount = stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages
        return (Int(stat.ms_entries), Int(pageCount) * Int(stat.ms_psize))
    }

    @usableFromInline
    func openCursor(in handle: TableHandle) throws(LMDBError) -> Cursor {
        check(handle)
        var opened: OpaquePointer?
        let code = mdb_cursor_open(pointer, handle.number, &opened)
        guard code == MDB_SUCCESS, let opened else { throw handle.error(code, .iterate) }
        return Cursor(pointer: opened)
    }
}

/// A position in a table. It exists only within one call, so it can't outlive its transaction.
@usableFromInline
struct Cursor: ~Copyable {
    private let pointer: OpaquePointer
    /// The key and the value of the entry that the last successful move found.
    @usableFromInline private(set) var key = UnsafeRawBufferPointer(start: nil, count: 0)
    @usableFromInline private(set) var value = UnsafeRawBufferPointer(start: nil, count: 0)

    init(pointer: OpaquePointer) {
        self.pointer = pointer
    }

    @usableFromInline
    deinit {
        mdb_cursor_close(pointer)
    }

    private mutating func move(_ operation: MDB_cursor_op, from start: MDB_val = MDB_val()) -> Int32 {
        var foundKey = start
        var foundValue = MDB_val()
        let code = mdb_cursor_get(pointer, &foundKey, &foundValue, operation)
        if code == MDB_SUCCESS {
            key = UnsafeRawBufferPointer(foundKey)
            value = UnsafeRawBufferPointer(foundValue)
        }
        return code
    }

    @usableFromInline
    mutating func moveToFirst() -> Int32 { move(MDB_FIRST) }

    @usableFromInline
    mutating func moveToNext() -> Int32 { move(MDB_NEXT) }

    @usableFromInline
    mutating func moveToOrAfter(_ key: UnsafeRawBufferPointer) -> Int32 { move(MDB_SET_RANGE, from: MDB_val(key)) }

    @usableFromInline
    mutating func delete() -> Int32 { mdb_cursor_del(pointer, 0) }
}

extension MDB_val {
    /// The pointer in LMDB's type is not `const`, but LMDB does not write to this memory.
    fileprivate init(_ bytes: UnsafeRawBufferPointer) {
        self.init(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }
}

extension UnsafeRawBufferPointer {
    fileprivate init(_ value: MDB_val) {
        self.init(start: value.mv_data, count: value.mv_size)
    }
}
