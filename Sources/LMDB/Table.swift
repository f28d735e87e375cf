/// A named table whose keys have one type.
///
/// Open tables once, right after the environment, in one transaction; keep the values (they are a reference to a
/// handle of the environment) and use them in every later transaction, from any thread:
///
///     struct Tables {
///         let journal: Table<JournalKey>
///         let rows: Table<RowKey>
///     }
///     let tables = try environment.write { transaction in
///         Tables(
///             journal: try Table(named: "journal", in: transaction),
///             rows: try Table(named: "rows", in: transaction)
///         )
///     }
///
/// If that transaction aborts, LMDB closes the handles it opened; using such a table stops the program.
@usableFromInline
package struct Table<Key: TableKey>: Sendable {
    @usableFromInline let handle: TableHandle

    package var name: String { handle.name }

    /// Opens the table, and creates it if it is missing.
    package init(named name: String, in transaction: borrowing WriteTransaction) throws(LMDBError) {
        handle = try transaction.core.openTable(named: name, keyByteCount: Key.byteCount, isCreated: true)
    }

    /// Opens a table that must exist (`isNotFound` otherwise).
    package init(named name: String, in transaction: borrowing ReadTransaction) throws(LMDBError) {
        handle = try transaction.core.openTable(named: name, keyByteCount: Key.byteCount, isCreated: false)
    }
}
