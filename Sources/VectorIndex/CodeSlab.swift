/// The codes of a range of slots, in blocks of 16 slots: one byte for each dimension, and a few numbers for each slot.
///
/// A slab is a view of memory that its creator owns. It knows nothing about items: a *slot* is a place in the slab, and
/// the owner of the memory knows which row has it. `CVectorKernels.h` describes the layout and the bound.
///
/// A slot takes one byte for each dimension, rounded up to a multiple of 4, plus 16.75 bytes. Setting a slot takes 0.2
/// µs at 64 dimensions.
internal import CVectorKernels

package struct CodeSlab: @unchecked Sendable {
    package static let slotsInBlock = code_slots_in_block

    let slab: code_slab
    package let dimension: Int
    private let form: code_form
    // A static table of functions.
    private let kernels: UnsafePointer<vector_kernels>

    /// The size of the memory of a slab, in bytes.
    package static func byteCount(slotCount: Int, dimension: Int) -> Int {
        Layout(slotCount: slotCount, dimension: dimension).byteCount
    }

    /// A slab over `memory`, which has `byteCount` bytes, all zero, and starts at a multiple of 64. `slotCount` is a
    /// multiple of 16. `prepare` must empty a slot before its first use.
    package init(memory: UnsafeMutableRawPointer, slotCount: Int, dimension: Int, metric: Metric) {
        self.init(memory, slotCount, dimension, metric, vector_kernels_current())
    }

    init(
        _ memory: UnsafeMutableRawPointer,
        _ slotCount: Int,
        _ dimension: Int,
        _ metric: Metric,
        _ kernels: UnsafePointer<vector_kernels>
    ) {
        precondition(slotCount % Self.slotsInBlock == 0 && Int(bitPattern: memory) % 64 == 0)
        let layout = Layout(slotCount: slotCount, dimension: dimension)
        func floats(_ offset: Int) -> UnsafeMutablePointer<Float> {
            (memory + offset).bindMemory(to: Float.self, capacity: slotCount)
        }
        let hasOffsets: Bool
        (form, hasOffsets) =
            switch metric {
            case .dot: (code_plain, false)
            case .cosine: (code_normalized, false)
            case .l2: (code_offset, true)
            }
        slab = code_slab(
            groups: layout.groups,
            blocks: memory.bindMemory(to: UInt8.self, capacity: layout.norms),
            norms: floats(layout.norms),
            errors: floats(layout.errors),
            offsets: floats(layout.offsets),
            bounds: (memory + layout.bounds).bindMemory(to: code_terms.self, capacity: slotCount / Self.slotsInBlock),
            has_offsets: hasOffsets
        )
        self.dimension = dimension
        self.kernels = kernels
    }

    /// Encodes a vector of the slab's dimension.
    package func set(_ slot: Int, _ vector: UnsafePointer<Float>) {
        withUnsafePointer(to: slab) { vector_kernels_encode(kernels, vector, dimension, form, $0, slot) }
    }

    /// Empties a slot, so that it is never a hit.
    package func clear(_ slot: Int) {
        withUnsafePointer(to: slab) { code_slab_clear_slot($0, slot) }
    }

    /// Empties slots of fresh memory. Both ends of the range are multiples of 16.
    package func prepare(_ slots: Range<Int>) {
        precondition(slots.lowerBound % Self.slotsInBlock == 0 && slots.upperBound % Self.slotsInBlock == 0)
        withUnsafePointer(to: slab) { code_slab_clear($0, slots.lowerBound, slots.count) }
    }

    /// The offsets of the arrays in the memory. The codes come first, so that large pages hold as many of them as
    /// possible.
    private struct Layout {
        let groups: Int
        let norms: Int
        let errors: Int
        let offsets: Int
        let bounds: Int
        let byteCount: Int

        init(slotCount: Int, dimension: Int) {
            groups = (dimension + 3) / 4
            let floats = slotCount * MemoryLayout<Float>.stride
            norms = slotCount * (groups + 1) * 4
            errors = norms + floats
            offsets = errors + floats
            bounds = offsets + floats
            byteCount = bounds + slotCount / slotsInBlock * MemoryLayout<code_terms>.stride
        }
    }
}
