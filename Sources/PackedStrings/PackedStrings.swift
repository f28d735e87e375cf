/// A list of byte strings in one allocation.
///
/// A request may have thousands of ids. As `[[UInt8]]` they would need thousands of allocations and reference counts.
/// Here all strings are in `bytes`, one after another. String `i` ends at `ends[i]`, and begins where the string before
/// it ends. All strings together have at most 2 GiB.
@usableFromInline
package struct PackedStrings: Sendable, Equatable {
    @usableFromInline package var bytes: [UInt8]
    @usableFromInline package var ends: [Int32]

    @inlinable
    package init() {
        bytes = []
        ends = []
    }

    /// Packs `strings`. Meant for tests and small lists.
    package init(_ strings: some Sequence<some Sequence<UInt8>>) {
        self.init()
        for string in strings {
            bytes.append(contentsOf: string)
            ends.append(Int32(bytes.count))
        }
    }

    @inlinable
    package var count: Int { ends.count }

    @inlinable
    package var isEmpty: Bool { ends.isEmpty }

    /// The size of all strings together, in bytes.
    @inlinable
    package var byteCount: Int { bytes.count }

    @inlinable
    package mutating func reserveCapacity(strings: Int, bytes byteCount: Int) {
        bytes.reserveCapacity(byteCount)
        ends.reserveCapacity(strings)
    }

    /// Removes all strings. The memory is used again, unless a copy shares it.
    @inlinable
    package mutating func removeAllKeepingCapacity() {
        bytes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
    }

    /// Appends a copy of `string`.
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

    /// Appends a byte to the unfinished string, which `finishString()` ends.
    @inlinable
    package mutating func appendByte(_ byte: UInt8) {
        bytes.append(byte)
    }

    /// Appends bytes to the unfinished string, which `finishString()` ends.
    @inlinable
    package mutating func appendBytes(_ part: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: part)
    }

    /// Ends the unfinished string. Without any appended bytes it is empty.
    @inlinable
    package mutating func finishString() {
        ends.append(Int32(bytes.count))
    }

    /// The place of string `index` in `bytes`.
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

    /// Calls `body` once with the bytes of all strings, which `range(_:)` slices. A loop over thousands of strings is
    /// faster with it than with `withString`.
    @inlinable
    package func withAllBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try bytes.withUnsafeBytes(body)
    }
}
