import LMDB
import SystemSupport

/// Why a request to the store failed. `code` is for programs. `message` is for people, and says what was got and what
/// was expected.
package struct StoreError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: Sendable, Equatable {
        case noCollection
        case noItem
        case exists
        case dimension
        case badVector
        case badRequest
        /// A step is much too late, or far ahead of the clock of its collection.
        case step
        case limit
        /// The write queue is full. Nothing was changed, and a later attempt may succeed.
        case busy
        /// A search did not end before its deadline.
        case timeout
        /// The memory limit, the disk, a quota or a file-size limit is exhausted. Nothing was changed, and a later
        /// write may succeed.
        case full
        /// The store was opened read-only, or storage has failed and can't be trusted with another write.
        case readOnly
        /// A record or an operation has a wrong checksum, or its content makes no sense.
        case corrupt
        /// The directory was written by a version that this version can't read.
        case unknownSchema
        /// Another process has locked the directory.
        case directoryInUse
        case draining
        case internalError
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    init(_ error: LMDBError) {
        if error.isFull {
            self.init(.full, "no room left, nothing was changed: \(error)")
        } else if error.isFatal {
            self.init(.readOnly, "storage failed, no more writes are served: \(error)")
        } else {
            self.init(.internalError, "\(error)")
        }
    }

    /// Converts an error of a call without typed errors.
    init(_ error: any Error) {
        switch error {
        case let error as StoreError: self = error
        case let error as LMDBError: self.init(error)
        default: self.init(.internalError, "\(error)")
        }
    }

    package var description: String { message }

    /// A system call failed with this `errno`.
    static func system(_ what: String, _ reason: Int32) -> StoreError {
        let isFull = reason == ENOSPC || reason == EDQUOT || reason == EFBIG
        return StoreError(isFull ? .full : .internalError, "\(what): \(String(cString: strerror(reason)))")
    }

    /// An operation in the journal does not fit the state of the store.
    static func corruptOperation(group: UInt64, _ why: String) -> StoreError {
        StoreError(.corrupt, "corrupt operation in table 'journal', group \(group): \(why)")
    }

    static func noCollection(_ name: String) -> StoreError {
        StoreError(.noCollection, "there is no collection '\(name)'")
    }
}
