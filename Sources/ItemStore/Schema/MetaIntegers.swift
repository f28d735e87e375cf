import LMDB

/// Single integers in the `meta` table: crc32c 4 | value, little-endian.
extension Tables {
    func putInteger<T: FixedWidthInteger>(
        _ value: T,
        for key: MetaKey,
        _ transaction: borrowing WriteTransaction
    ) throws {
        try transaction.putRecord(Checksum.byteCount + MemoryLayout<T>.size, for: key, in: meta) { $0.integer(value) }
    }

    /// The integer with this key, or nil if there is none. Throws `corrupt`.
    func integer<T: FixedWidthInteger, Access>(
        _ type: T.Type,
        for key: MetaKey,
        _ transaction: borrowing Transaction<Access>
    ) throws -> T? {
        try transaction.withValue(of: key, in: meta) { value in
            guard let value else { return nil }
            var bytes = ByteReader(try Checksum.verified(value, key: key, table: "meta"))
            guard let integer = bytes.integer(T.self) else {
                throw Checksum.corrupt(key, "meta", "it is too short")
            }
            return integer
        }
    }

    func putIdentity(_ identity: DirectoryIdentity, _ transaction: borrowing WriteTransaction) throws {
        try transaction.putRecord(Checksum.byteCount + 16, for: MetaKey(.identity), in: meta) { bytes in
            bytes.integer(identity.high)
            bytes.integer(identity.low)
        }
    }

    /// The identity of the directory, or nil in one of an older version. Throws `corrupt`.
    func identity<Access>(_ transaction: borrowing Transaction<Access>) throws -> DirectoryIdentity? {
        let key = MetaKey(.identity)
        return try transaction.withValue(of: key, in: meta) { value in
            guard let value else { return nil }
            var bytes = ByteReader(try Checksum.verified(value, key: key, table: "meta"))
            guard let high = bytes.integer(UInt64.self), let low = bytes.integer(UInt64.self) else {
                throw Checksum.corrupt(key, "meta", "it is too short")
            }
            return DirectoryIdentity(high: high, low: low)
        }
    }
}
