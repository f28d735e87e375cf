import LMDB

/// Why the store did not do what was asked. `code` is for machines, `message` for people: what was got, what expected.
package struct StoreError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: Sendable, Equatable {
        case noCollection
        case noItem
        case exists
        case dimension
        case badVector
        case badRequest
        case limit
        /// The write queue is full; nothing was changed, try again.
        case busy
        /// A search was not done by its deadline.
        case timeout
        /// The disk, a quota or a file-size limit is full; nothing was changed, later writes may succeed.
        case full
        /// Started read-only, or storage has failed and can't be trusted with another write.
        case readOnly
        /// A record does not have the checksum it was written with.
        case corrupt
        /// The directory was written by a version that this one does not know.
        case unknownSchema
        /// Another process has the directory.
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

    /// For the `catch` of closures that can't say which errors they throw.
    init(_ error: any Error) {
        switch error {
        case let error as StoreError: self = error
        case let error as LMDBError: self.init(error)
        default: self.init(.internalError, "\(error)")
        }
    }

    package var description: String { message }

    static func noCollection(_ name: String) -> StoreError {
        StoreError(.noCollection, "there is no collection '\(name)'")
    }
}
