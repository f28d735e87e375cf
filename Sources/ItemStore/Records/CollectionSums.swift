import LMDB

/// The records of a collection in one table: their number, and the sum of their checksums. A checksum includes the key,
/// so records that are missing, of another time or in each other's place change the sum.
struct RecordSum: Equatable, Sendable {
    var count: UInt64 = 0
    var checksums: UInt64 = 0

    /// `value` is the value of a record, which begins with its checksum.
    mutating func add(_ value: UnsafeRawBufferPointer) {
        guard value.count >= Checksum.byteCount else { return }
        count += 1
        checksums &+= UInt64(UInt32(littleEndian: value.loadUnaligned(as: UInt32.self)))
    }

    mutating func replace(_ old: RecordSum, by new: RecordSum) {
        count = count &- old.count &+ new.count
        checksums = checksums &- old.checksums &+ new.checksums
    }
}

extension Transaction {
    /// Adds a record to a sum. Returns false if there is none with this key.
    @discardableResult
    func add<Key: CollectionKey>(_ key: Key, of table: Table<Key>, to sum: inout RecordSum) throws -> Bool {
        try withValue(of: key, in: table) { value in
            if let value { sum.add(value) }
            return value != nil
        }
    }
}

/// A table with records of collections.
enum CollectionTable: Int, CaseIterable, Sendable {
    case rows, features, frequency
}

/// The number of records that a collection has in each table, and the sum of their checksums. Each slice of the
/// checkpoint writes it, in the same transaction as the records. So an intact page of another time is noticed. In the
/// `meta` table:
///
///     crc32c 4 | (number of records 8 | sum of their checksums 8) for rows, features, frequency
struct CollectionSums: Equatable, Sendable {
    private static let byteCount = Checksum.byteCount + 16 * CollectionTable.allCases.count

    private var sums = [RecordSum](repeating: RecordSum(), count: CollectionTable.allCases.count)

    subscript(table: CollectionTable) -> RecordSum {
        get { sums[table.rawValue] }
        set { sums[table.rawValue] = newValue }
    }

    func write(number: UInt32, in table: Table<MetaKey>, _ transaction: borrowing WriteTransaction) throws {
        try transaction.putRecord(Self.byteCount, for: MetaKey(.sums, number: number), in: table) { bytes in
            for sum in sums {
                bytes.integer(sum.count)
                bytes.integer(sum.checksums)
            }
        }
    }

    /// Nil for a collection whose records were never counted, in a directory of an older version. Throws `corrupt`.
    static func read(
        number: UInt32,
        in table: Table<MetaKey>,
        _ transaction: borrowing ReadTransaction
    ) throws -> CollectionSums? {
        let key = MetaKey(.sums, number: number)
        return try transaction.withValue(of: key, in: table) { value in
            guard let value else { return nil }
            var bytes = ByteReader(try Checksum.verified(value, key: key, table: "meta"))
            var sums = CollectionSums()
            for table in CollectionTable.allCases {
                guard let count = bytes.integer(UInt64.self), let checksums = bytes.integer(UInt64.self) else {
                    throw Checksum.corrupt(key, "meta", "it is too short")
                }
                sums[table] = RecordSum(count: count, checksums: checksums)
            }
            return sums
        }
    }
}
