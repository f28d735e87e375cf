import SamplingFrequency
import SystemSupport
import VectorIndex

/// The state of a row. It is stored in the `rows` table.
struct RowFlags: OptionSet {
    let rawValue: UInt8
    /// The row belongs to an id. The store's thread sets this when it reserves the row, before any data of the row is
    /// durable. The row is still empty, and readers treat an empty row as a missing id.
    static let isUsed = RowFlags(rawValue: 1)
    static let hasVector = RowFlags(rawValue: 2)
}

/// The reuse of a row. The two fields are side by side, because judging a write reads both.
struct RowReuse: BitwiseCopyable {
    /// Incremented when the row is freed, so it tells apart the ids that have had the row.
    var generation: UInt32
    /// Store thread only: see `RowStamp`. In a free row, the next free row: see `FreeRows`.
    var stamp: UInt32
}

/// 1,024 rows of a collection under one read-write lock: vectors, ids, statistics and features.
///
/// The arrays are in memory that several chunks share (`ChunkDirectory`). They never move, so readers need not wait
/// while a collection grows. This struct is a handle: copying it copies addresses.
///
///     vectors      1,024 x dimension float32, apart from the others
///     identifiers  1,024 x 16 bytes
///     statistics   1,024 x 40 bytes
///     features     1,024 x 8 bytes      address of the JSON, or nil
///     reuses       1,024 x 8 bytes      see `RowReuse`
///     flags        1,024 x 1 byte
///     slots        1,024 x 2 bytes      the slot of the row's codes, see `SlotSpan`
///
/// A slab has the codes of many chunks, but a chunk's codes are read and written under the lock of the chunk. Its span
/// of slots serves only its own rows, in any order.
struct ItemChunk {
    static let rowCount = 1024

    let lock: ReadWriteLock
    let vectors: UnsafeMutablePointer<Float>
    let identifiers: UnsafeMutablePointer<IdentifierSlot>
    let statistics: UnsafeMutablePointer<Statistics>
    let features: UnsafeMutablePointer<FeatureText?>
    let reuses: UnsafeMutablePointer<RowReuse>
    let flags: UnsafeMutablePointer<RowFlags>
    /// The slot of each row in `span`; `SlotSpan.noSlot` if the row has no embedding.
    let slots: UnsafeMutablePointer<UInt16>
    let span: SlotSpan

    /// Makes a chunk over memory that is all zero: `recordByteCount` bytes of records and `vectorByteCount(dimension:)`
    /// bytes of vectors.
    init(
        records: UnsafeMutableRawPointer,
        vectors: UnsafeMutableRawPointer,
        codes: CodeSlab,
        firstSlot: Int
    ) {
        let rows = Self.rowCount
        let layout = Layout()
        lock = ReadWriteLock()
        self.vectors = vectors.bindMemory(to: Float.self, capacity: codes.dimension * rows)
        identifiers = (records + layout.identifiers).bindMemory(to: IdentifierSlot.self, capacity: rows)
        statistics = (records + layout.statistics).bindMemory(to: Statistics.self, capacity: rows)
        features = (records + layout.features).bindMemory(to: FeatureText?.self, capacity: rows)
        reuses = (records + layout.reuses).bindMemory(to: RowReuse.self, capacity: rows)
        flags = (records + layout.flags).bindMemory(to: RowFlags.self, capacity: rows)
        slots = (records + layout.slots).bindMemory(to: UInt16.self, capacity: rows)
        span = SlotSpan(codes, firstSlot: firstSlot, slotCount: rows, memory: records + layout.span)
        statistics.initialize(repeating: .unseen, count: rows)
        slots.initialize(repeating: SlotSpan.noSlot, count: rows)
    }

    /// Whether any row has an embedding. Call under the lock.
    var hasVectors: Bool {
        let bytes = UnsafeRawPointer(flags)
        var all = SIMD64<UInt8>()
        for offset in stride(from: 0, to: Self.rowCount, by: 64) {
            all |= bytes.loadUnaligned(fromByteOffset: offset, as: SIMD64<UInt8>.self)
        }
        return all & RowFlags.hasVector.rawValue != SIMD64()
    }

    /// Frees the rows' long ids and features, and destroys the lock.
    func deallocate() {
        for row in 0..<Self.rowCount {
            IdentifierSlot.clear(identifiers + row)
            features[row]?.deallocate()
        }
        lock.destroy()
    }

    /// The size of a full chunk of this dimension in bytes: with its codes, but without long ids and features.
    static func byteCount(dimension: Int) -> Int {
        recordByteCount + vectorByteCount(dimension: dimension)
            + CodeSlab.byteCount(slotCount: rowCount, dimension: dimension)
    }

    static func vectorByteCount(dimension: Int) -> Int {
        rowCount * dimension * MemoryLayout<Float>.stride
    }

    /// The size of all arrays in bytes, without vectors and codes.
    static let recordByteCount = Layout().byteCount

    /// The offsets of the arrays. Each starts on a cache line of its own.
    private struct Layout {
        private(set) var byteCount = 0
        private(set) var identifiers = 0
        private(set) var statistics = 0
        private(set) var features = 0
        private(set) var reuses = 0
        private(set) var flags = 0
        private(set) var slots = 0
        private(set) var span = 0

        init() {
            identifiers = reserve(MemoryLayout<IdentifierSlot>.stride * rowCount)
            statistics = reserve(MemoryLayout<Statistics>.stride * rowCount)
            features = reserve(MemoryLayout<FeatureText?>.stride * rowCount)
            reuses = reserve(MemoryLayout<RowReuse>.stride * rowCount)
            flags = reserve(MemoryLayout<RowFlags>.stride * rowCount)
            slots = reserve(MemoryLayout<UInt16>.stride * rowCount)
            span = reserve(SlotSpan.byteCount(slotCount: rowCount))
            byteCount = (byteCount + 63) & ~63
        }

        private mutating func reserve(_ bytes: Int) -> Int {
            let offset = (byteCount + 63) & ~63
            byteCount = offset + bytes
            return offset
        }
    }
}
