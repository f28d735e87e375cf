internal import CVectorKernels

extension CodeScanner {
    /// Something that is added to each score, another number for each slot: at least so much, for the slots of a run of
    /// blocks. The caller fills it before each call of `hits`.
    ///
    /// Cost: 0.2 ns a slot beside the filling.
    package final class Addends {
        /// In the order of the slots, the first of the first block first. From `bound(_:)`.
        package let values: UnsafeMutablePointer<Float>

        private let slotsMax: Int
        /// l2 is scanned for half its score.
        private let factor: Float
        private let offsets: UnsafeMutablePointer<Float>
        private let bounds: UnsafeMutablePointer<code_terms>

        init(blocksMax: Int, _ metric: Metric) {
            slotsMax = blocksMax * CodeSlab.slotsInBlock
            factor = metric == .l2 ? 0.5 : 1
            values = .allocate(capacity: slotsMax)
            values.initialize(repeating: 0, count: slotsMax)
            offsets = .allocate(capacity: slotsMax)
            offsets.initialize(repeating: 0, count: slotsMax)
            bounds = .allocate(capacity: blocksMax)
            bounds.initialize(repeating: code_terms(), count: blocksMax)
        }

        deinit {
            values.deallocate()
            offsets.deallocate()
            bounds.deallocate()
        }

        /// What stands for a number that is added, so that no row is lost to the rounding of a scan, nor to numbers that
        /// underflow there.
        package static func bound(_ value: Double) -> Float {
            CodeScanner.roundedUp(value + value.magnitude * CodeScanner.inflation + 0x1p-120)
        }

        /// The slab as a scan of these blocks has to see it.
        func added(to slab: code_slab, _ blocks: Range<Int>) -> code_slab {
            precondition(blocks.count * CodeSlab.slotsInBlock <= slotsMax)
            withUnsafePointer(to: slab) {
                code_slab_add($0, blocks.lowerBound, blocks.upperBound, values, factor, offsets, bounds)
            }
            var added = slab
            added.offsets = offsets - blocks.lowerBound * CodeSlab.slotsInBlock
            added.bounds = bounds - blocks.lowerBound
            added.has_offsets = true
            return added
        }
    }
}
