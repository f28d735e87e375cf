/// A key of fixed size whose bytes sort as its fields do.
///
/// LMDB compares keys with `memcmp`. Integers written big-endian, most significant field first, then sort like the
/// fields themselves: `encode(into:)` and `init(decoding:)` must agree on that, and `<` must say the same. (The
/// default `<` compares the encoded bytes, so it can't disagree.)
@usableFromInline
package protocol TableKey: Comparable, Sendable {
    /// The size of every encoded key, at most 511.
    static var byteCount: Int { get }

    /// Writes exactly `byteCount` bytes. `bytes` is as large as that, and not aligned.
    func encode(into bytes: UnsafeMutableRawBufferPointer)

    /// Reads what `encode(into:)` wrote. `bytes` is `byteCount` long, and not aligned.
    init(decoding bytes: UnsafeRawBufferPointer)
}

extension TableKey {
    /// Calls `body` with the encoded key, which lives on the stack.
    @inlinable
    package func withEncodedBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        withUnsafeTemporaryAllocation(byteCount: Self.byteCount, alignment: 8) { bytes in
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
    /// Writes `value`, most significant byte first, at `offset`. Any alignment.
    @inlinable
    package func storeBigEndian<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value, at offset: Int = 0) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: Value.self)
    }
}

extension UnsafeRawBufferPointer {
    /// Reads an integer written by `storeBigEndian(_:at:)`. Any alignment.
    @inlinable
    package func loadBigEndian<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type = Value.self,
        at offset: Int = 0
    ) -> Value {
        Value(bigEndian: loadUnaligned(fromByteOffset: offset, as: Value.self))
    }
}
