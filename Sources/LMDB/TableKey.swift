/// A key of fixed size, or of a few sizes. Its bytes sort in the same order as its fields.
///
/// LMDB compares keys with `memcmp`. Big-endian integers, most significant field first, sort like the fields
/// themselves. `encode(into:)`, `init(decoding:)` and `<` must agree on that order. (The default `<` compares the
/// encoded bytes, so it always agrees.)
@usableFromInline
package protocol TableKey: Comparable, Sendable {
    /// The size of an encoded key in bytes, at most 511. If keys have several sizes, that of the longest.
    static var byteCount: Int { get }

    /// The size of the shortest key.
    static var byteCountMin: Int { get }

    /// The size of this key when it is encoded.
    var encodedByteCount: Int { get }

    /// Fills `bytes`, which is `encodedByteCount` long and not aligned.
    func encode(into bytes: UnsafeMutableRawBufferPointer)

    /// Decodes a key that `encode(into:)` wrote. `bytes` has a size of `byteCounts` and is not aligned.
    init(decoding bytes: UnsafeRawBufferPointer)
}

extension TableKey {
    @inlinable
    package static var byteCountMin: Int { byteCount }

    @inlinable
    package var encodedByteCount: Int { Self.byteCount }

    /// The sizes that a key can have.
    @inlinable
    package static var byteCounts: ClosedRange<Int> { byteCountMin...byteCount }

    /// Calls `body` with the encoded key, which is on the stack.
    @inlinable
    package func withEncodedBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        withUnsafeTemporaryAllocation(byteCount: encodedByteCount, alignment: 8) { bytes in
            encode(into: bytes)
            return body(UnsafeRawBufferPointer(bytes))
        }
    }

    @inlinable
    package static func < (left: Self, right: Self) -> Bool {
        left.withEncodedBytes { leftBytes in
            right.withEncodedBytes { rightBytes in leftBytes.lexicographicallyPrecedes(rightBytes) }
        }
    }
}

extension UnsafeMutableRawBufferPointer {
    /// Writes `value` at `offset`, most significant byte first. Needs no alignment.
    @inlinable
    package func storeBigEndian<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value, at offset: Int = 0) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: Value.self)
    }
}

extension UnsafeRawBufferPointer {
    /// Reads an integer that `storeBigEndian(_:at:)` wrote. Needs no alignment.
    @inlinable
    package func loadBigEndian<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type = Value.self,
        at offset: Int = 0
    ) -> Value {
        Value(bigEndian: loadUnaligned(fromByteOffset: offset, as: Value.self))
    }
}
