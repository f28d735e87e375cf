import CChecksum
import LMDB

/// Reads little-endian fields one after another; a field past the end is nil, and the caller says what is corrupt.
struct ByteReader {
    private var rest: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        rest = bytes
    }

    var isAtEnd: Bool { rest.isEmpty }
    var bytesLeft: Int { rest.count }

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
}

/// Every record begins with a CRC-32C of its key and the rest of its value. The key is in it, so a page that lands in
/// the wrong place is as wrong as one with a flipped bit.
enum Checksum {
    static let byteCount = 4

    static func seal(_ value: UnsafeMutableRawBufferPointer, key: some TableKey) {
        value.storeBytes(of: compute(UnsafeRawBufferPointer(value), key: key).littleEndian, as: UInt32.self)
    }

    /// The bytes behind the checksum, or `corrupt` that names table and key.
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

    static func corrupt(_ key: some TableKey, _ table: String, _ why: String) -> StoreError {
        StoreError(.corrupt, "corrupt record in table '\(table)', key \(key): \(why)")
    }

    private static func compute<Key: TableKey>(_ value: UnsafeRawBufferPointer, key: Key) -> UInt32 {
        let ofKey = withUnsafeTemporaryAllocation(byteCount: Key.byteCount, alignment: 8) { encoded in
            key.encode(into: encoded)
            return checksum_crc32c(0, encoded.baseAddress!, Key.byteCount)
        }
        return checksum_crc32c(ofKey, value.baseAddress! + byteCount, value.count - byteCount)
    }
}
