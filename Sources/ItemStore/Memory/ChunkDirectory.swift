import Synchronization

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
final class ChunkDirectory: @unchecked Sendable {
    static let chunkCountMax = (1 << 32) / ItemChunk.rowCount

    private let chunks: UnsafeMutablePointer<UnsafeMutablePointer<ItemChunk>?>
    private let published = Atomic<Int>(0)
    private let dimension: Int

    init(dimension: Int) {
        self.dimension = dimension
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
            chunk.initialize(to: ItemChunk(dimension: dimension))
            chunks[index] = chunk
            published.store(index + 1, ordering: .releasing)
        }
    }

    /// The address space of all chunks, in bytes.
    var byteCount: Int {
        count * ItemChunk.byteCount(dimension: dimension)
    }
}
