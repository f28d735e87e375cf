/// A transaction, lent to the body of `Environment.read` or `Environment.write`.
///
/// It can't be copied, so it can't outlive the body. It isn't `Sendable`, because using it on another thread would
/// silently corrupt LMDB's state. Every use also checks the thread, which costs a comparison of two numbers.
///
/// The type decides which operations are allowed: both kinds can read, and only a `WriteTransaction` can write. A
/// function that only reads takes a `borrowing Transaction<some Any>`.
@usableFromInline
package struct Transaction<Access>: ~Copyable {
    @usableFromInline let core: TransactionCore

    init(core: TransactionCore) {
        self.core = core
    }
}

@usableFromInline package enum ReadAccess {}
@usableFromInline package enum WriteAccess {}

package typealias ReadTransaction = Transaction<ReadAccess>
package typealias WriteTransaction = Transaction<WriteAccess>

@available(*, unavailable)
extension Transaction: Sendable {}

// MARK: - Reading

extension Transaction {
    /// Calls `body` with the value of `key`, or with nil if there is none. The bytes are in LMDB's own pages. They are
    /// valid until the transaction writes or ends, and only aligned to two bytes.
    @inlinable
    package func withValue<Key, R>(
        of key: Key,
        in table: Table<Key>,
        _ body: (UnsafeRawBufferPointer?) throws -> R
    ) throws -> R {
        var value = UnsafeRawBufferPointer(start: nil, count: 0)
        let code = key.withEncodedBytes { bytes in core.get(bytes, in: table.handle, into: &value) }
        guard try isFound(code, .get, table) else { return try body(nil) }
        return try body(value)
    }

    /// Calls `body` with each entry in key order, until it returns false. Begins at `first`, or at the next key after
    /// it. The bytes are valid as in `withValue`. `body` may change the table in a write transaction.
    @inlinable
    package func forEach<Key>(
        in table: Table<Key>,
        from first: Key? = nil,
        _ body: (Key, UnsafeRawBufferPointer) throws -> Bool
    ) throws {
        var cursor = try core.openCursor(in: table.handle)
        var code: Int32
        if let first {
            code = first.withEncodedBytes { bytes in cursor.moveToOrAfter(bytes) }
        } else {
            code = cursor.moveToFirst()
        }
        while try isFound(code, .iterate, table) {
            guard try body(try decode(cursor.key, of: table), cursor.value) else { return }
            code = cursor.moveToNext()
        }
    }

    @inlinable
    package func first<Key>(in table: Table<Key>) throws(LMDBError) -> Key? {
        var cursor = try core.openCursor(in: table.handle)
        guard try isFound(cursor.moveToFirst(), .iterate, table) else { return nil }
        return try decode(cursor.key, of: table)
    }

    @inlinable
    package func entryCount<Key>(in table: Table<Key>) throws(LMDBError) -> Int {
        try core.size(of: table.handle).entryCount
    }

    /// The size of the table's pages in bytes; 0 if the table is empty.
    @inlinable
    package func byteCount<Key>(of table: Table<Key>) throws(LMDBError) -> Int {
        try core.size(of: table.handle).byteCount
    }

    @inlinable
    func isFound<Key>(_ code: Int32, _ attempt: LMDBError.Attempt, _ table: Table<Key>) throws(LMDBError) -> Bool {
        if code == 0 { return true }
        if code == TransactionCore.notFound { return false }
        throw table.handle.error(code, attempt)
    }

    /// Throws if the key has a size that no key of the table has, because the file is then corrupt.
    @inlinable
    func decode<Key>(_ bytes: UnsafeRawBufferPointer, of table: Table<Key>) throws(LMDBError) -> Key {
        guard Key.byteCounts.contains(bytes.count) else {
            throw table.handle.error(TransactionCore.corrupted, .iterate)
        }
        return Key(decoding: bytes)
    }
}

// MARK: - Writing

extension Transaction where Access == WriteAccess {
    @inlinable
    package func put<Key>(
        _ value: UnsafeRawBufferPointer,
        for key: Key,
        in table: Table<Key>
    ) throws(LMDBError) {
        try store(value, for: key, in: table, .put)
    }

    /// Sets the value of `key` to `count` bytes, which `body` writes in place. It must write all of them, because they
    /// contain old data.
    @inlinable
    package func put<Key>(
        reserving count: Int,
        for key: Key,
        in table: Table<Key>,
        _ body: (UnsafeMutableRawBufferPointer) -> Void
    ) throws(LMDBError) {
        body(try reserve(count, for: key, in: table, .put))
    }

    /// Adds an entry after all others. This is much faster than `put`, and it fills pages completely. `key` must be
    /// above all keys of the table.
    @inlinable
    package func append<Key>(
        _ value: UnsafeRawBufferPointer,
        for key: Key,
        in table: Table<Key>
    ) throws(LMDBError) {
        try store(value, for: key, in: table, .append)
    }

    /// Like `append`, with a value of `count` bytes, which `body` writes in place. It must write all of them.
    @inlinable
    package func append<Key>(
        reserving count: Int,
        for key: Key,
        in table: Table<Key>,
        _ body: (UnsafeMutableRawBufferPointer) -> Void
    ) throws(LMDBError) {
        body(try reserve(count, for: key, in: table, .append))
    }

    /// `attempt` is `put` or `append`.
    @inlinable
    func store<Key>(
        _ value: UnsafeRawBufferPointer,
        for key: Key,
        in table: Table<Key>,
        _ attempt: LMDBError.Attempt
    ) throws(LMDBError) {
        let code = key.withEncodedBytes { bytes in
            core.put(bytes, value, in: table.handle, isAppend: attempt == .append)
        }
        guard code == 0 else { throw table.handle.error(code, attempt) }
    }

    /// Reserves room for a value. It is valid until the next change in the transaction. `attempt` is `put` or `append`.
    @inlinable
    func reserve<Key>(
        _ count: Int,
        for key: Key,
        in table: Table<Key>,
        _ attempt: LMDBError.Attempt
    ) throws(LMDBError) -> UnsafeMutableRawBufferPointer {
        var room = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        let code = key.withEncodedBytes { bytes in
            core.reserve(bytes, count, in: table.handle, isAppend: attempt == .append, into: &room)
        }
        guard code == 0 else { throw table.handle.error(code, attempt) }
        return room
    }

    /// Deletes `key`. Returns false if it does not exist.
    @inlinable
    @discardableResult
    package func delete<Key>(_ key: Key, from table: Table<Key>) throws(LMDBError) -> Bool {
        let code = key.withEncodedBytes { bytes in core.delete(bytes, from: table.handle) }
        return try isFound(code, .delete, table)
    }

    /// Deletes at most `limit` entries in key order, while `isIncluded` is true. Begins at `first`, or at the next key
    /// after it. Returns the number of deleted entries. If it is below `limit`, no such entry is left.
    @inlinable
    @discardableResult
    package func deleteRange<Key>(
        from first: Key,
        while isIncluded: (Key) -> Bool,
        limit: Int,
        in table: Table<Key>
    ) throws(LMDBError) -> Int {
        var cursor = try core.openCursor(in: table.handle)
        var count = 0
        var code = first.withEncodedBytes { bytes in cursor.moveToOrAfter(bytes) }
        while count < limit, try isFound(code, .iterate, table), isIncluded(try decode(cursor.key, of: table)) {
            let deleted = cursor.delete()
            guard deleted == 0 else { throw table.handle.error(deleted, .delete) }
            count += 1
            // After a deletion the cursor is between two entries. This moves it to the second one.
            code = cursor.moveToNext()
        }
        return count
    }
}
