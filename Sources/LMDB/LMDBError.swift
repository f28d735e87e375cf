/// An error that LMDB returned, with the attempted action and the table.
///
/// LMDB returns a number: one of its own (negative) or an `errno`. An operator can't act on a number alone, so every
/// call adds its action and the name of the table.
internal import CLMDB
internal import SystemSupport

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
        case copy = "copy the data file"
    }

    /// `MDB_…` (negative) or an `errno`.
    package let code: Int32
    package let attempt: Attempt
    /// The name of the table, if the attempt concerned one.
    package let table: String?

    /// Whether LMDB refuses every later transaction, whatever the code.
    package let isEnvironmentLost: Bool

    package init(code: Int32, attempt: Attempt, table: String? = nil, isEnvironmentLost: Bool = false) {
        self.code = code
        self.attempt = attempt
        self.table = table
        self.isEnvironmentLost = isEnvironmentLost
    }

    /// Whether the map, the disk, the quota or the limit on file sizes is exhausted. The transaction changed nothing,
    /// and a later one may succeed.
    package var isFull: Bool {
        !isEnvironmentLost && [MDB_MAP_FULL, ENOSPC, EDQUOT, EFBIG].contains(code)
    }

    /// Whether the caller must stop writing: the stored data can't be trusted any more, it is unknown what was stored,
    /// or LMDB serves no more transactions. That is so for every code but those of which it is certain that a
    /// transaction has changed nothing, and that a later one may succeed.
    package var isFatal: Bool {
        guard !isEnvironmentLost else { return true }
        return switch code {
        case MDB_NOTFOUND, MDB_TXN_FULL, MDB_READERS_FULL, MDB_DBS_FULL, MDB_BAD_VALSIZE, EBUSY, ENOMEM: false
        // A write transaction of an environment that was opened for reading.
        case EACCES: attempt != .begin
        default: !isFull
        }
    }

    @usableFromInline
    package var description: String {
        let reason = String(cString: mdb_strerror(code))
        guard let table else { return "could not \(attempt.rawValue): \(reason)" }
        return "could not \(attempt.rawValue) table '\(table)': \(reason)"
    }
}
