internal import CVectorKernels

/// A range of slots of a `CodeSlab`, and which row of their owner has each slot.
///
/// The span assigns the slots: a row gets the slot with its own number if that is free, otherwise the lowest free one,
/// and keeps it until the slot is released. The owner keeps the slot of each row; `row(of:)` leads back.
///
/// Rows are numbered from 0 within the span. There are as many slots as rows, so there is always a free one. A span is
/// a handle: its memory belongs to the owner, and the owner's lock guards it together with the rows.
///
/// Cost: 2.1 bytes a slot. Taking a slot reads at most one word for each 64 slots.
@usableFromInline
package struct SlotSpan: @unchecked Sendable {
    /// Means "no slot" where the owner keeps the slot of a row.
    package static let noSlot = UInt16.max

    private let codes: CodeSlab
    @usableFromInline let firstSlot: Int
    @usableFromInline let slotsInBlock = CodeSlab.slotsInBlock
    private let slotCount: Int
    @usableFromInline let rows: UnsafeMutablePointer<UInt16>
    /// A bit for each slot: 1 if a row has it.
    @usableFromInline let taken: UnsafeMutablePointer<UInt64>

    /// The size of the span's own memory, in bytes, without the codes.
    package static func byteCount(slotCount: Int) -> Int {
        slotCount * MemoryLayout<UInt16>.stride + slotCount / 64 * MemoryLayout<UInt64>.stride
    }

    /// Covers the slots from `firstSlot` on, all free. `memory` has `byteCount` bytes, all zero, aligned to 8.
    /// `slotCount` is a multiple of 64 and below 65,535.
    package init(_ codes: CodeSlab, firstSlot: Int, slotCount: Int, memory: UnsafeMutableRawPointer) {
        precondition(slotCount % 64 == 0 && slotCount < Int(Self.noSlot))
        self.codes = codes
        self.firstSlot = firstSlot
        self.slotCount = slotCount
        taken = memory.bindMemory(to: UInt64.self, capacity: slotCount / 64)
        rows = (memory + slotCount / 8).bindMemory(to: UInt16.self, capacity: slotCount)
        codes.prepare(firstSlot..<firstSlot + slotCount)
    }

    /// The blocks of the span, for `CodeScanner.hits`.
    package var blocks: Range<Int> {
        firstSlot / CodeSlab.slotsInBlock..<(firstSlot + slotCount) / CodeSlab.slotsInBlock
    }

    package var slab: CodeSlab { codes }

    /// The row that has the slot of a hit. If the slot is free, the result is an arbitrary row.
    @inlinable @inline(__always)
    package func row(of hit: CodeHit) -> Int {
        Int(rows[Int(hit.slot) - firstSlot])
    }

    /// The vectors of the rows, which are one after another, as the kernels find them by slot.
    func places(of vectors: UnsafePointer<Float>) -> code_vectors {
        code_vectors(
            first: UInt(bitPattern: vectors),
            stride: codes.dimension * MemoryLayout<Float>.size,
            rows: rows,
            first_slot: firstSlot
        )
    }

    /// Calls `body` for each taken slot of these blocks, with its place (counted from 0 in `blocks`) and its row.
    @inlinable @inline(__always)
    package func forEachRow(in blocks: Range<Int>, _ body: (_ place: Int, _ row: Int) -> Void) {
        let first = blocks.lowerBound * slotsInBlock - firstSlot
        for place in 0..<blocks.count * slotsInBlock where isTaken(first + place) {
            body(place, Int(rows[first + place]))
        }
    }

    @inlinable @inline(__always)
    func isTaken(_ slot: Int) -> Bool {
        taken[slot >> 6] & 1 << UInt64(slot & 63) != 0
    }

    /// Assigns a slot to a row that has none. A scan prefetches as if the row had the slot with its own number.
    package func take(for row: Int) -> UInt16 {
        let slot = isTaken(row) ? lowestFreeSlot : row
        taken[slot >> 6] |= 1 << UInt64(slot & 63)
        rows[slot] = UInt16(row)
        return UInt16(slot)
    }

    private var lowestFreeSlot: Int {
        var word = 0
        while taken[word] == .max { word += 1 }
        return word * 64 + (~taken[word]).trailingZeroBitCount
    }

    /// Frees the slot and empties it, so that it is not a hit any more.
    package func release(_ slot: UInt16) {
        codes.clear(firstSlot + Int(slot))
        taken[Int(slot) >> 6] &= ~(1 << UInt64(slot & 63))
    }

    /// Encodes the vector of the row that has this slot.
    package func set(_ slot: UInt16, _ vector: UnsafePointer<Float>) {
        codes.set(firstSlot + Int(slot), vector)
    }
}
