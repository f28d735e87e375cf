/// Why a data file can't be given to LMDB.
package struct DataFileError: Error, Equatable, Sendable, CustomStringConvertible {
    package let path: String
    package let reason: String
    /// Whether the content is wrong. Otherwise the file could not be opened, and nothing is known about its content.
    package var isDamage = true

    package var description: String { "the data file '\(path)'\(isDamage ? " is damaged" : ""): \(reason)" }
}

/// The content of a data file that has no damage.
package struct DataFileReport: Sendable, Equatable {
    /// The number of the last transaction.
    package var lastTransaction: UInt64 = 0
    package var pageByteCount = 0
    /// The number of pages up to the last one, with the two meta pages.
    package var pageCount = 0
    /// The pages that the list of free pages names.
    package var freePageCount = 0
    /// The pages that are neither free nor in a tree. They are lost space, and no damage.
    package var strayPageCount = 0
    /// The number of entries of each table.
    package var entryCounts: [String: Int] = [:]
}
