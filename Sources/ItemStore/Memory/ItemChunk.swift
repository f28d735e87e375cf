import SamplingFrequency
import VectorIndex

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What a row holds.
struct RowFlags: OptionSet {
    let rawValue: UInt8
    /// The row belongs to an id. Set when the writer hands the row out, before anything of it is durable: such a row is
    /// empty, and readers take an empty row for a missing id.
    static let isUsed = RowFlags(rawValue: 1)
    static let hasVector = RowFlags(rawValue: 2)
}

/// 1,024 rows of a collection: vectors, ids, statistics, features, under one read-write lock.
///
/// All arrays of a chunk lie in one anonymous mapping that never moves, so growing a collection disturbs no reader, and
/// pages that were never written cost nothing. This is a handle: copying it copies addresses.
///
///     vectors      1,024 x dimension float32
///     identifiers  1,024 x 16 bytes
///     statistics   1,024 x 32 bytes
///     features     1,024 x 8 bytes      address of the JSON, or nil
///     generations  1,024 x 4 bytes      raised when a row is freed
///     touched      1,024 x 4 bytes      writer thread only, see `FreeStamp`
///     dirty        264 bytes            writer thread only, see `DirtyRecords`
///     flags        1,024 x 1 byte
///
/// The codes of the vectors lie elsewhere, in a slab that several chunks share (`ChunkDirectory`), but under this lock:
/// slot `firstSlot + i` of the slab belongs to row i of the chunk.
struct ItemChunk {
    static let rowCount = 1024

    let lock: ReadWriteLock
    let vectors: UnsafeMutablePointer<Float>
    let identifiers: UnsafeMutablePointer<IdentifierSlot>
    let statistics: UnsafeMutablePointer<FrequencyRecord>
    let features: UnsafeMutablePointer<FeatureText?>
    let generations: UnsafeMutablePointer<UInt32>
    let touched: UnsafeMutablePointer<UInt32>
    let flags: UnsafeMutablePointer<RowFlags>
    let dirty: UnsafeMutablePointer<DirtyRecords>
    let codes: CodeSlab
    let firstSlot: Int

    private let mapping: UnsafeMutableRawPointer
    private let mappingByteCount: Int

    init(dimension: Int, codes: CodeSlab, firstSlot: Int) {
        let rows = Self.rowCount
        let layout = Layout(dimension: dimension)
        mappingByteCount = layout.byteCount
        mapping = mapAnonymousMemory(byteCount: layout.byteCount)
        lock = ReadWriteLock()
        vectors = (mapping + layout.vectors).bindMemory(to: Float.self, capacity: dimension * rows)
        identifiers = (mapping + layout.identifiers).bindMemory(to: IdentifierSlot.self, capacity: rows)
        statistics = (mapping + layout.statistics).bindMemory(to: FrequencyRecord.self, capacity: rows)
        features = (mapping + layout.features).bindMemory(to: FeatureText?.self, capacity: rows)
        generations = (mapping + layout.generations).bindMemory(to: UInt32.self, capacity: rows)
        touched = (mapping + layout.touched).bindMemory(to: UInt32.self, capacity: rows)
        dirty = (mapping + layout.dirty).bindMemory(to: DirtyRecords.self, capacity: 1)
        flags = (mapping + layout.flags).bindMemory(to: RowFlags.self, capacity: rows)
        statistics.initialize(repeating: .unseen, count: rows)
        self.codes = codes
        self.firstSlot = firstSlot
        codes.prepare(firstSlot..<firstSlot + rows)
    }

    func deallocate() {
        for row in 0..<Self.rowCount {
            IdentifierSlot.clear(identifiers + row)
            features[row]?.deallocate()
        }
        lock.destroy()
        let status = munmap(mapping, mappingByteCount)
        precondition(status == 0, "munmap of a chunk: errno \(errno)")
    }

    /// The bytes that a full chunk of this dimension takes with its codes, without long ids and features.
    static func byteCount(dimension: Int) -> Int {
        Layout(dimension: dimension).byteCount + CodeSlab.byteCount(slotCount: rowCount, dimension: dimension)
    }

    /// Where the arrays begin, each on a cache line of its own.
    private struct Layout {
        private(set) var byteCount = 0
        private(set) var vectors = 0
        private(set) var identifiers = 0
        private(set) var statistics = 0
        private(set) var features = 0
        private(set) var generations = 0
        private(set) var touched = 0
        private(set) var dirty = 0
        private(set) var flags = 0

        init(dimension: Int) {
            vectors = reserve(MemoryLayout<Float>.stride * dimension * rowCount)
            identifiers = reserve(MemoryLayout<IdentifierSlot>.stride * rowCount)
            statistics = reserve(MemoryLayout<FrequencyRecord>.stride * rowCount)
            features = reserve(MemoryLayout<FeatureText?>.stride * rowCount)
            generations = reserve(MemoryLayout<UInt32>.stride * rowCount)
            touched = reserve(MemoryLayout<UInt32>.stride * rowCount)
            dirty = reserve(MemoryLayout<DirtyRecords>.stride)
            flags = reserve(MemoryLayout<RowFlags>.stride * rowCount)
        }

        private mutating func reserve(_ bytes: Int) -> Int {
            let offset = (byteCount + 63) & ~63
            byteCount = offset + bytes
            return offset
        }
    }
}
