/// A transaction, lent to the body of `Environment.read` or `Environment.write`.
///
/// It can't be copied and is only lent, so it can't outlive the body; it isn't `Sendable`, and every use checks that
/// it happens on the thread that began it (a comparison of two numbers), for LMDB would corrupt its state silently.
///
/// The type says what is allowed: everything that reads works on both kinds, what writes only on `WriteTransaction`.
/// A function that reads takes `borrowing Transaction<some Any>`.
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
    /// Calls `body` with the value of `key`, or nil. The bytes are LMDB's own pages: valid until the transaction
    /// writes or ends, and aligned to two bytes only.
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

    /// Calls `body` with each entry in the order of keys, from `first` (or the key after it) on, while `body` says
    /// true. The bytes are valid as for `withValue`. A write transaction may change the table meanwhile.
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
    package func last<Key>(in table: Table<Key>) throws(LMDBError) -> Key? {
        var cursor = try core.openCursor(in: table.handle)
        guard try isFound(cursor.moveToLast(), .iterate, table) else { return nil }
        return try decode(cursor.key, of: table)
    }

    @inlinable
    package func entryCount<Key>(in table: Table<Key>) throws(LMDBError) -> Int {
        try core.size(of: table.handle).entryCount
    }

    /// The bytes of the pages that the table takes; 0 when it is empty.
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

    /// A key of another size was never written through this table: the file is not what we take it for.
    @inlinable
    func decode<Key>(_ bytes: UnsafeRawBufferPointer, of table: Table<Key>) throws(LMDBError) -> Key {
        guard bytes.count == Key.byteCount else {
            throw table.handle.error(TransactionCore.corrupted, .iterate)
        }
        return Key(decoding: bytes)
    }
}

// MARK: - Writing

extension Transaction where Access == WriteAccess {
    /// Sets the value of `key`.
    @inlinable
    package func put<Key>(
        _ value: UnsafeRawBufferPointer,
        for key: Key,
        in table: Table<Key>
    ) throws(LMDBError) {
        try store(value, for: key, in: table, .put)
    }

    /// Sets the value of `key` to `count` bytes that `body` writes in place: no copy. It must write them all, for
    /// they hold whatever was there before.
    @inlinable
    package func put<Key>(
        reserving count: Int,
        for key: Key,
        in table: Table<Key>,
        _ body: (UnsafeMutableRawBufferPointer) -> Void
    ) throws(LMDBError) {
        body(try reserve(count, for: key, in: table, .put))
    }

    /// Adds an entry after all others: much faster than `put`, and it fills pages. `key` must be above the last one.
    @inlinable
    package func append<Key>(
        _ value: UnsafeRawBufferPointer,
        for key: Key,
        in table: Table<Key>
    ) throws(LMDBError) {
        try store(value, for: key, in: table, .append)
    }

    /// `append`, with `count` bytes that `body` writes in place; it must write them all.
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

    /// Room for a value, valid until the next change of the transaction. `attempt` is `put` or `append`.
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

    /// Deletes `key`; false if it was not there.
    @inlinable
    @discardableResult
    package func delete<Key>(_ key: Key, from table: Table<Key>) throws(LMDBError) -> Bool {
        let code = key.withEncodedBytes { bytes in core.delete(bytes, from: table.handle) }
        return try isFound(code, .delete, table)
    }

    /// Deletes entries in the order of keys, from `first` (or the key after it) on, while `isIncluded`, at most
    /// `limit`. Returns how many: fewer than `limit` means that none is left.
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
            // After a deletion the cursor stands between two entries: this moves to the second.
            code = cursor.moveToNext()
        }
        return count
    }
}
