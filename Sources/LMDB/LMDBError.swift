/// What went wrong, while attempting what, on which table.
///
/// LMDB answers with a number: one of its own (negative) or an `errno`. A number alone tells an operator nothing, so
/// every call adds what it attempted and the name of the table.
internal import CLMDB

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

@usableFromInline
package struct LMDBError: Error, Equatable, Sendable, CustomStringConvertible {
    @usableFromInline
    package enum Attempt: String, Sendable {
        case open = "open the environment"
        case begin = "begin a transaction"
        case openTable = "open"
        case get = "read from"
        case put = "put into"
        case append = "append to"
        case delete = "delete from"
        case iterate = "iterate over"
        case count = "count the entries of"
        case commit = "commit"
    }

    /// `MDB_…` (negative) or an `errno`.
    package let code: Int32
    package let attempt: Attempt
    /// The table, where the attempt was about one; the directory is the caller's to add.
    package let table: String?

    package init(code: Int32, attempt: Attempt, table: String? = nil) {
        self.code = code
        self.attempt = attempt
        self.table = table
    }

    /// No room: the map, the disk, the quota or the limit on the size of files. The transaction changed nothing, and
    /// a later one may succeed.
    package var isFull: Bool {
        [MDB_MAP_FULL, ENOSPC, EDQUOT, EFBIG].contains(code)
    }

    /// What is stored, or whether it was stored, can't be trusted any more: no further write makes sense.
    package var isFatal: Bool {
        [
            EIO, MDB_PANIC, MDB_CORRUPTED, MDB_PAGE_NOTFOUND, MDB_INVALID, MDB_VERSION_MISMATCH, MDB_CURSOR_FULL,
            MDB_PAGE_FULL,
        ].contains(code)
    }

    /// The table, or the key, is not there.
    package var isNotFound: Bool {
        code == MDB_NOTFOUND
    }

    @usableFromInline
    package var description: String {
        let reason = String(cString: mdb_strerror(code))
        guard let table else { return "could not \(attempt.rawValue): \(reason)" }
        return "could not \(attempt.rawValue) table '\(table)': \(reason)"
    }
}
