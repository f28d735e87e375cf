/// A named table with keys of one type.
///
/// Open all tables once, in one transaction, right after opening the environment. Then use the values in every later
/// transaction, on any thread:
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
/// If that transaction aborts, LMDB closes its tables, and any use of them stops the program.
@usableFromInline
package struct Table<Key: TableKey>: Sendable {
    @usableFromInline let handle: TableHandle

    package var name: String { handle.name }

    /// Opens the table, or creates it if it does not exist.
    package init(named name: String, in transaction: borrowing WriteTransaction) throws(LMDBError) {
        handle = try transaction.core.openTable(named: name, keyByteCount: Key.byteCount, isCreated: true)
    }

    /// Opens an existing table. Throws `MDB_NOTFOUND` if there is none.
    package init(named name: String, in transaction: borrowing ReadTransaction) throws(LMDBError) {
        handle = try transaction.core.openTable(named: name, keyByteCount: Key.byteCount, isCreated: false)
    }
}
