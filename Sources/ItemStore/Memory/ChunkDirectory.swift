import Synchronization
import SystemSupport
import VectorIndex

/// The chunks of a collection, by number. The store's thread appends chunks while other threads read.
///
/// The addresses of the chunks are in a memory mapping that is large enough for 2^32 rows, so it never moves. Only
/// pages that were written take memory. A new chunk is published by raising `count`: a thread that has read the count
/// may use every chunk below it.
///
/// Many chunks share a slab of memory. So a scan of codes reads long ranges of large pages, and lookups among millions
/// of rows rarely miss the TLB. Each slab is twice as large as the one before, up to 128 chunks or 64 MiB of codes. So
/// the unused part of a slab stays in proportion to the collection. The records and vectors of the first slab are on
/// small pages, because a store may have a thousand collections with few items.
final class ChunkDirectory: @unchecked Sendable {
    static let chunkCountMax = (1 << 32) / ItemChunk.rowCount

    private let chunks: UnsafeMutablePointer<UnsafeMutablePointer<ItemChunk>?>
    private let published = Atomic<Int>(0)
    private let dimension: Int
    private let metric: Metric
    private static let chunksInFirstSlab = 8
    private static let chunksInSlabMax = 128
    private static let slabBytesMax = 64 << 20
    /// Store thread only, like the next field.
    private var slabs: [Slab] = []
    /// The numbers of the chunks in the last slab.
    private var lastSlabChunks = 0..<0

    /// Throws `full` if the system has no address space for the addresses of all chunks.
    init(dimension: Int, metric: Metric) throws(StoreError) {
        self.dimension = dimension
        self.metric = metric
        let byteCount = Self.chunkCountMax * MemoryLayout<UnsafeMutablePointer<ItemChunk>?>.stride
        guard let memory = tryMapAnonymousMemory(byteCount: byteCount) else {
            throw StoreError(.full, "the system has no \(byteCount) bytes of address space for a collection")
        }
        chunks = memory.bindMemory(to: UnsafeMutablePointer<ItemChunk>?.self, capacity: Self.chunkCountMax)
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

    /// Chunk `index`, which must be below `count`.
    @inline(__always)
    subscript(index: Int) -> UnsafeMutablePointer<ItemChunk> { chunks[index].unsafelyUnwrapped }

    /// Appends chunks until there is one for `row`. Store thread only.
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

    /// The size of all chunks in bytes, each counted as if it were full.
    var byteCount: Int {
        count * ItemChunk.byteCount(dimension: dimension)
    }
}

/// The memory of a range of chunks. Records, vectors and codes are in separate arrays, so an id without an embedding
/// takes no memory for one.
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
        // Large pages even for a few chunks, because codes are always scanned from end to end.
        codeMemory = LargePageMemory(
            byteCount: CodeSlab.byteCount(slotCount: slotCount, dimension: dimension),
            isSparse: false
        )
        codes = CodeSlab(memory: codeMemory.start, slotCount: slotCount, dimension: dimension, metric: metric)
    }

    /// Makes chunk `number` of the slab, counted from 0.
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
