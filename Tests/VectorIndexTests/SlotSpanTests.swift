import TestSupport
import Testing

@testable import VectorIndex

/// A span gives every row a slot of its own, and knows the row of each.
@Suite struct SlotSpanTests {
    private static let slotCount = 128
    private static let dimension = 4

    /// The rows that a scan finds for a query, with the threshold.
    private static func scan(_ span: SlotSpan, _ vector: [Float], scoreMin: Double) -> Set<Int> {
        let scanner = CodeScanner([QueryVector(vector, metric: .dot)])
        scanner.setThreshold(scoreMin, of: 0)
        var blocks = span.blocks
        var rows: Set<Int> = []
        while !blocks.isEmpty {
            for hit in scanner.hits(in: span, &blocks, vectors: vector) { rows.insert(span.row(of: hit)) }
        }
        return rows
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func rowsKeepTheirSlotsAndAScanFindsThem(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let byteCount = CodeSlab.byteCount(slotCount: 2 * Self.slotCount, dimension: Self.dimension)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        let own = UnsafeMutableRawPointer.allocate(
            byteCount: SlotSpan.byteCount(slotCount: Self.slotCount),
            alignment: 8
        )
        own.initializeMemory(as: UInt8.self, repeating: 0, count: SlotSpan.byteCount(slotCount: Self.slotCount))
        defer {
            memory.deallocate()
            own.deallocate()
        }
        let slab = CodeSlab(memory: memory, slotCount: 2 * Self.slotCount, dimension: Self.dimension, metric: .dot)
        // The second half of the slab.
        let span = SlotSpan(slab, firstSlot: Self.slotCount, slotCount: Self.slotCount, memory: own)
        var slots: [Int: UInt16] = [:]
        var lengths: [Int: Float] = [:]
        // While others have the first half of the slots, the rows with their numbers get slots of the second half.
        let others = (0..<Self.slotCount / 2).map { span.take(for: $0) }
        for row in 0..<Self.slotCount / 2 {
            slots[row] = span.take(for: row)
            lengths[row] = 1
            span.set(slots[row]!, [1, 0, 0, 0])
        }
        for slot in others { span.release(slot) }
        for _ in 0..<2_000 {
            let row = Int.random(in: 0..<Self.slotCount, using: &random)
            if let slot = slots[row], Bool.random(using: &random) {
                span.release(slot)
                slots[row] = nil
                lengths[row] = nil
                continue
            }
            if slots[row] == nil { slots[row] = span.take(for: row) }
            let length = Float.random(in: 1...100, using: &random)
            lengths[row] = length
            span.set(slots[row]!, [length, 0, 0, 0])
            #expect(Set(slots.values).count == slots.count, "two rows have one slot")
        }
        #expect(slots.contains { $0.key != Int($0.value) }, "every slot has the number of its row: nothing was tested")
        #expect(Self.scan(span, [1, 0, 0, 0], scoreMin: 0) == Set(slots.keys))
        let long = lengths.filter { $0.value >= 50 }.map(\.key)
        let found = Self.scan(span, [1, 0, 0, 0], scoreMin: 50)
        #expect(found.isSuperset(of: long) && found.count < slots.count)
        var seen: [Int: Int] = [:]
        span.forEachRow(in: span.blocks) { place, row in seen[row] = place }
        #expect(seen == slots.mapValues(Int.init))
    }

    @Test func everyRowFindsASlot() {
        let byteCount = CodeSlab.byteCount(slotCount: Self.slotCount, dimension: 1)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        let own = UnsafeMutableRawPointer.allocate(byteCount: 1_024, alignment: 8)
        own.initializeMemory(as: UInt8.self, repeating: 0, count: 1_024)
        defer {
            memory.deallocate()
            own.deallocate()
        }
        let slab = CodeSlab(memory: memory, slotCount: Self.slotCount, dimension: 1, metric: .l2)
        let span = SlotSpan(slab, firstSlot: 0, slotCount: Self.slotCount, memory: own)
        #expect(Set((0..<Self.slotCount).map { span.take(for: $0) }).count == Self.slotCount)
        span.release(77)
        #expect(span.take(for: 5) == 77)
    }
}
