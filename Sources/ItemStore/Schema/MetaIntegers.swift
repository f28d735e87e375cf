import LMDB

/// Single numbers in the `meta` table: crc32c 4 | value, little-endian.
extension Tables {
    func putInteger<T: FixedWidthInteger>(
        _ value: T,
        for key: MetaKey,
        _ transaction: borrowing WriteTransaction
    ) throws {
        try transaction.put(reserving: Checksum.byteCount + MemoryLayout<T>.size, for: key, in: meta) { bytes in
            var writer = ByteWriter(bytes)
            writer.integer(UInt32(0))
            writer.integer(value)
            Checksum.seal(bytes, key: key)
        }
    }

    /// Nil if there is none.
    func integer<T: FixedWidthInteger, Access>(
        _ type: T.Type,
        for key: MetaKey,
        _ transaction: borrowing Transaction<Access>
    ) throws -> T? {
        try transaction.withValue(of: key, in: meta) { value in
            guard let value else { return nil }
            var reader = ByteReader(try Checksum.verified(value, key: key, table: "meta"))
            guard let integer = reader.integer(T.self) else {
                throw Checksum.corrupt(key, "meta", "it is too short")
            }
            return integer
        }
    }
}
