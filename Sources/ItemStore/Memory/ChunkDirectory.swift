import Synchronization
import VectorIndex

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The chunks of a collection, by number. Grows at the end, by the writer thread, while others read.
///
/// The addresses stand in a mapping that is large enough for 2^32 rows and of which only touched pages exist, so it
/// never moves. A new chunk is published by raising `count`: whoever has read the count may use every chunk below it.
///
/// Many chunks share a slab, so that scanning codes is one long run over large pages, and finding a row among millions does
/// not begin with finding its page. Slabs grow with the collection, each twice the one before up to 128 chunks or 64 MiB of
/// codes, so that what a slab holds ready stays in proportion; the records and vectors of the first are on small pages: there
/// may be a thousand collections with a handful of items.
final class ChunkDirectory: @unchecked Sendable {
    static let chunkCountMax = (1 << 32) / ItemChunk.rowCount

    private let chunks: UnsafeMutablePointer<UnsafeMutablePointer<ItemChunk>?>
    private let published = Atomic<Int>(0)
    private let dimension: Int
    private let metric: Metric
    private static let chunksInFirstSlab = 8
    private static let chunksInSlabMax = 128
    private static let slabBytesMax = 64 << 20
    /// Writer thread only, like all that grows.
    private var slabs: [Slab] = []
    /// The chunks of the last slab.
    private var lastSlabChunks = 0..<0

    init(dimension: Int, metric: Metric) {
        self.dimension = dimension
        self.metric = metric
        let byteCount = Self.chunkCountMax * MemoryLayout<UnsafeMutablePointer<ItemChunk>?>.stride
        chunks = mapAnonymousMemory(byteCount: byteCount)
            .bindMemory(to: UnsafeMutablePointer<ItemChunk>?.self, capacity: Self.chunkCountMax)
    }

    deinit {
        for index in 0..<count {
            chunks[index]!.pointee.deallocate()
            chunks[index]!.deallocate()
        }
        munmap(chunks, Self.chunkCountMax * MemoryLayout<UnsafeMutablePointer<ItemChunk>?>.stride)
        for slab in slabs { slab.deallocate() }
    }

    var count: Int { published.load(ordering: .acquiring) }

    /// Chunk `index`, below `count`.
    @inline(__always)
    subscript(index: Int) -> UnsafeMutablePointer<ItemChunk> { chunks[index].unsafelyUnwrapped }

    /// Makes chunks until `row` has a place. Writer thread only.
    func grow(toHold row: UInt32) {
        let wanted = Int(row) / ItemChunk.rowCount + 1
        for index in count..<max(count, wanted) {
            let chunk = UnsafeMutablePointer<ItemChunk>.allocate(capacity: 1)
            if index == lastSlabChunks.upperBound { addSlab() }
            chunk.initialize(to: slabs.last!.chunk(index - lastSlabChunks.lowerBound))
            chunks[index] = chunk
            published.store(index + 1, ordering: .releasing)
        }
    }

    private func addSlab() {
        let chunkByteCount = CodeSlab.byteCount(slotCount: ItemChunk.rowCount, dimension: dimension)
        let wanted = min(max(2 * lastSlabChunks.count, Self.chunksInFirstSlab), Self.chunksInSlabMax)
        let chunkCount = max(1, min(wanted, Self.slabBytesMax / chunkByteCount))
        lastSlabChunks = lastSlabChunks.upperBound..<lastSlabChunks.upperBound + chunkCount
        slabs.append(Slab(chunkCount: chunkCount, dimension: dimension, metric: metric, isFirst: slabs.isEmpty))
    }

    /// The address space of all chunks, in bytes.
    var byteCount: Int {
        count * ItemChunk.byteCount(dimension: dimension)
    }
}

/// The memory of some chunks. Records, vectors and codes lie apart: ids without an embedding take no memory for one.
private struct Slab {
    private let dimension: Int
    private let records: LargePageMemory
    private let vectors: LargePageMemory
    private let codeMemory: LargePageMemory
    private let codes: CodeSlab

    init(chunkCount: Int, dimension: Int, metric: Metric, isFirst: Bool) {
        let slotCount = chunkCount * ItemChunk.rowCount
        self.dimension = dimension
        records = LargePageMemory(byteCount: chunkCount * ItemChunk.recordByteCount, isSparse: isFirst)
        vectors = LargePageMemory(
            byteCount: chunkCount * ItemChunk.vectorByteCount(dimension: dimension),
            isSparse: isFirst
        )
        // Scanned from end to end, however few there are.
        codeMemory = LargePageMemory(
            byteCount: CodeSlab.byteCount(slotCount: slotCount, dimension: dimension),
            isSparse: false
        )
        codes = CodeSlab(memory: codeMemory.start, slotCount: slotCount, dimension: dimension, metric: metric)
    }

    /// A new chunk in the place of this number.
    func chunk(_ number: Int) -> ItemChunk {
        ItemChunk(
            records: records.start + number * ItemChunk.recordByteCount,
            vectors: vectors.start + number * ItemChunk.vectorByteCount(dimension: dimension),
            codes: codes,
            firstSlot: number * ItemChunk.rowCount
        )
    }

    func deallocate() {
        records.deallocate()
        vectors.deallocate()
        codeMemory.deallocate()
    }
}
