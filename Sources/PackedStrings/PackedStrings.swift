/// A list of byte strings in one allocation.
///
/// A request names thousands of ids. As `[[UInt8]]` that is thousands of allocations and as many reference counts;
/// here the bytes lie one after another in `bytes`, and `ends[i]` is where string `i` stops (string `i` begins where
/// string `i - 1` stops). The parser appends, the store reads, the reply writer reads: nobody copies a string twice.
package struct PackedStrings: Sendable, Equatable {
    @usableFromInline package var bytes: [UInt8]
    @usableFromInline package var ends: [Int32]

    @inlinable
    package init() {
        bytes = []
        ends = []
    }

    /// Packs `strings`. For tests and small lists; hot paths append.
    package init(_ strings: some Sequence<some Sequence<UInt8>>) {
        self.init()
        for string in strings {
            bytes.append(contentsOf: string)
            ends.append(Int32(bytes.count))
        }
    }

    /// The number of strings.
    @inlinable
    package var count: Int { ends.count }

    @inlinable
    package var isEmpty: Bool { ends.isEmpty }

    /// The bytes of all strings together.
    @inlinable
    package var byteCount: Int { bytes.count }

    @inlinable
    package mutating func reserveCapacity(strings: Int, bytes byteCount: Int) {
        bytes.reserveCapacity(byteCount)
        ends.reserveCapacity(strings)
    }

    /// Appends a copy of `string`. Together the strings hold at most 2 GiB.
    @inlinable
    package mutating func append(_ string: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: string)
        ends.append(Int32(bytes.count))
    }

    @inlinable
    package mutating func append(_ string: some Collection<UInt8>) {
        bytes.append(contentsOf: string)
        ends.append(Int32(bytes.count))
    }

    /// Appends one byte to the string that is under way: `finishString()` ends it.
    @inlinable
    package mutating func appendByte(_ byte: UInt8) {
        bytes.append(byte)
    }

    /// Appends bytes to the string that is under way: `finishString()` ends it.
    @inlinable
    package mutating func appendBytes(_ part: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: part)
    }

    /// Ends the string that `appendByte(_:)` and `appendBytes(_:)` have built.
    @inlinable
    package mutating func finishString() {
        ends.append(Int32(bytes.count))
    }

    @inlinable
    package func range(_ index: Int) -> Range<Int> {
        (index == 0 ? 0 : Int(ends[index - 1]))..<Int(ends[index])
    }

    /// String `index`, as a slice of the shared bytes.
    @inlinable
    package subscript(index: Int) -> ArraySlice<UInt8> {
        bytes[range(index)]
    }

    /// Calls `body` with the bytes of string `index`, which are valid only within the call.
    @inlinable
    package func withString<R>(_ index: Int, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        let range = range(index)
        return try bytes.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[range])) }
    }

    /// Calls `body` once with the bytes of all strings; cut them with `range(_:)`. For loops over thousands of strings.
    @inlinable
    package func withAllBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try bytes.withUnsafeBytes(body)
    }
}
