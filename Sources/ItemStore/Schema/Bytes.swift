import CChecksum
import LMDB

/// Reads little-endian fields one after another. A field past the end is nil; the caller then throws `corrupt`.
struct ByteReader {
    private var rest: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        rest = bytes
    }

    var isAtEnd: Bool { rest.isEmpty }

    @inline(__always)
    mutating func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) -> T? {
        guard rest.count >= MemoryLayout<T>.size else { return nil }
        let value = T(littleEndian: rest.loadUnaligned(as: T.self))
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(MemoryLayout<T>.size))
        return value
    }

    @inline(__always)
    mutating func double() -> Double? {
        integer(UInt64.self).map { Double(bitPattern: $0) }
    }

    @inline(__always)
    mutating func bytes(_ count: Int) -> UnsafeRawBufferPointer? {
        guard count >= 0, rest.count >= count else { return nil }
        let bytes = UnsafeRawBufferPointer(rebasing: rest.prefix(count))
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        return bytes
    }

    mutating func allBytes() -> UnsafeRawBufferPointer {
        defer { rest = UnsafeRawBufferPointer(start: nil, count: 0) }
        return rest
    }

    /// A name of up to 255 bytes: length 1 | UTF-8. Nil too if it is not UTF-8, because a repaired name could be longer
    /// than its length can say.
    mutating func name() -> String? {
        guard let length = integer(UInt8.self), let name = bytes(Int(length)) else { return nil }
        return String(validating: name, as: UTF8.self)
    }
}

/// Writes little-endian fields one after another into memory of a known size.
struct ByteWriter {
    private let target: UnsafeMutableRawBufferPointer
    private(set) var offset = 0

    init(_ target: UnsafeMutableRawBufferPointer) {
        self.target = target
    }

    @inline(__always)
    mutating func integer<T: FixedWidthInteger>(_ value: T) {
        precondition(offset + MemoryLayout<T>.size <= target.count, "a record is larger than its reserved space")
        target.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
        offset += MemoryLayout<T>.size
    }

    @inline(__always)
    mutating func double(_ value: Double) {
        integer(value.bitPattern)
    }

    @inline(__always)
    mutating func bytes(_ source: UnsafeRawBufferPointer) {
        precondition(offset + source.count <= target.count, "a record is larger than its reserved space")
        UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: source)
        offset += source.count
    }

    /// A name of at most 255 bytes: length 1 | UTF-8.
    mutating func name(_ name: String) {
        integer(UInt8(name.utf8.count))
        for byte in name.utf8 { integer(byte) }
    }
}

extension Transaction where Access == WriteAccess {
    /// Puts a record of `byteCount` bytes: the checksum, then the fields that `body` writes. Throws `internalError` if
    /// `body` writes too few bytes, because the rest would be old data. The transaction must not be committed then.
    func putRecord<Key: TableKey>(
        _ byteCount: Int,
        for key: Key,
        in table: Table<Key>,
        _ body: (inout ByteWriter) -> Void
    ) throws {
        var filledByteCount = 0
        try put(reserving: byteCount, for: key, in: table) { value in
            var bytes = ByteWriter(value)
            bytes.integer(UInt32(0))
            body(&bytes)
            filledByteCount = bytes.offset
            Checksum.seal(value, key: key)
        }
        guard filledByteCount == byteCount else {
            throw StoreError(
                .internalError,
                "a record in table '\(table.name)', key \(key), has \(filledByteCount) bytes, expected \(byteCount)"
            )
        }
    }

    /// Puts a record of a collection, which has the last group that it contains before its other fields. Returns its
    /// size.
    func putRecord<Key: CollectionKey>(
        _ byteCount: Int,
        applied group: UInt64,
        for key: Key,
        in table: Table<Key>,
        _ body: (inout ByteWriter) -> Void
    ) throws -> Int {
        try putRecord(byteCount, for: key, in: table) { bytes in
            bytes.integer(group)
            body(&bytes)
        }
        return byteCount
    }
}

/// Every record begins with a CRC-32C of its key and of the rest of its value. It includes the key, so it also detects
/// a correct value under a wrong key.
enum Checksum {
    static let byteCount = 4

    static func seal(_ value: UnsafeMutableRawBufferPointer, key: some TableKey) {
        value.storeBytes(of: compute(UnsafeRawBufferPointer(value), key: key).littleEndian, as: UInt32.self)
    }

    /// The bytes after the checksum. Throws `corrupt`, with the table and the key, if the checksum is wrong.
    static func verified(
        _ value: UnsafeRawBufferPointer,
        key: some TableKey,
        table: String
    ) throws(StoreError) -> UnsafeRawBufferPointer {
        guard value.count >= byteCount else { throw corrupt(key, table, "got \(value.count) bytes") }
        let stored = UInt32(littleEndian: value.loadUnaligned(as: UInt32.self))
        let computed = compute(value, key: key)
        guard stored == computed else {
            throw corrupt(key, table, "got checksum \(computed), the record says \(stored)")
        }
        return UnsafeRawBufferPointer(rebasing: value.dropFirst(byteCount))
    }

    /// The fields of a record of a collection, and the last group that it contains. Throws `corrupt`.
    static func opened(
        _ value: UnsafeRawBufferPointer,
        key: some CollectionKey,
        table: String
    ) throws(StoreError) -> (applied: UInt64, fields: ByteReader) {
        var bytes = ByteReader(try verified(value, key: key, table: table))
        guard let group = bytes.integer(UInt64.self) else { throw corrupt(key, table, "it is too short") }
        return (group, bytes)
    }

    /// The last group that a record of a collection contains. The record must be verified.
    static func appliedGroup(in value: UnsafeRawBufferPointer) -> UInt64 {
        UInt64(littleEndian: value.loadUnaligned(fromByteOffset: byteCount, as: UInt64.self))
    }

    static func corrupt(_ key: some TableKey, _ table: String, _ why: String) -> StoreError {
        StoreError(.corrupt, "corrupt record in table '\(table)', key \(key): \(why)")
    }

    private static func compute(_ value: UnsafeRawBufferPointer, key: some TableKey) -> UInt32 {
        let ofKey = key.withEncodedBytes { checksum_crc32c(0, $0.baseAddress!, $0.count) }
        return checksum_crc32c(ofKey, value.baseAddress! + byteCount, value.count - byteCount)
    }
}
