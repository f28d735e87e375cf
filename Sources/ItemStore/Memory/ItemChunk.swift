import SamplingFrequency
import VectorIndex

/// What a row holds.
struct RowFlags: OptionSet {
    let rawValue: UInt8
    /// The row belongs to an id. Set when the writer hands the row out, before anything of it is durable: such a row is
    /// empty, and readers take an empty row for a missing id.
    static let isUsed = RowFlags(rawValue: 1)
    static let hasVector = RowFlags(rawValue: 2)
}

/// Which of the ids that had a row one after another it belongs to. Side by side, for every write looks at both.
struct RowLife: BitwiseCopyable {
    /// Raised when the row is freed.
    var generation: UInt32
    /// Writer thread only: see `FreeStamp`.
    var freeStamp: UInt32
}

/// 1,024 rows of a collection: vectors, ids, statistics, features, under one read-write lock.
///
/// The arrays lie in memory that several chunks share (`ChunkDirectory`) and that never moves, so growing a collection
/// disturbs no reader. This is a handle: copying it copies addresses.
///
///     vectors      1,024 x dimension float32, apart from the others
///     identifiers  1,024 x 16 bytes
///     statistics   1,024 x 32 bytes
///     features     1,024 x 8 bytes      address of the JSON, or nil
///     lives        1,024 x 8 bytes      see `RowLife`
///     dirty        264 bytes            writer thread only, see `DirtyRecords`
///     flags        1,024 x 1 byte
///
/// The codes of the vectors are scanned many chunks at a time, but under this lock: slot `firstSlot + i` of the code slab
/// belongs to row i of the chunk.
struct ItemChunk {
    static let rowCount = 1024

    let lock: ReadWriteLock
    let vectors: UnsafeMutablePointer<Float>
    let identifiers: UnsafeMutablePointer<IdentifierSlot>
    let statistics: UnsafeMutablePointer<FrequencyRecord>
    let features: UnsafeMutablePointer<FeatureText?>
    let lives: UnsafeMutablePointer<RowLife>
    let flags: UnsafeMutablePointer<RowFlags>
    let dirty: UnsafeMutablePointer<DirtyRecords>
    let codes: CodeSlab
    let firstSlot: Int

    /// A chunk over memory that is all zero: `recordByteCount` and `vectorByteCount(dimension:)` bytes.
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
        statistics = (records + layout.statistics).bindMemory(to: FrequencyRecord.self, capacity: rows)
        features = (records + layout.features).bindMemory(to: FeatureText?.self, capacity: rows)
        lives = (records + layout.lives).bindMemory(to: RowLife.self, capacity: rows)
        dirty = (records + layout.dirty).bindMemory(to: DirtyRecords.self, capacity: 1)
        flags = (records + layout.flags).bindMemory(to: RowFlags.self, capacity: rows)
        statistics.initialize(repeating: .unseen, count: rows)
        self.codes = codes
        self.firstSlot = firstSlot
        codes.prepare(firstSlot..<firstSlot + rows)
    }

    /// Whether any row has an embedding. Under the lock.
    var hasVectors: Bool {
        let bytes = UnsafeRawPointer(flags)
        var all = SIMD64<UInt8>()
        for offset in stride(from: 0, to: Self.rowCount, by: 64) {
            all |= bytes.loadUnaligned(fromByteOffset: offset, as: SIMD64<UInt8>.self)
        }
        return all & RowFlags.hasVector.rawValue != SIMD64()
    }

    /// Gives back what the rows hold elsewhere, and the lock.
    func deallocate() {
        for row in 0..<Self.rowCount {
            IdentifierSlot.clear(identifiers + row)
            features[row]?.deallocate()
        }
        lock.destroy()
    }

    /// The bytes that a full chunk of this dimension takes with its codes, without long ids and features.
    static func byteCount(dimension: Int) -> Int {
        recordByteCount + vectorByteCount(dimension: dimension)
            + CodeSlab.byteCount(slotCount: rowCount, dimension: dimension)
    }

    static func vectorByteCount(dimension: Int) -> Int {
        rowCount * dimension * MemoryLayout<Float>.stride
    }

    /// The bytes of all arrays but the vectors.
    static let recordByteCount = Layout().byteCount

    /// Where the arrays begin, each on a cache line of its own.
    private struct Layout {
        private(set) var byteCount = 0
        private(set) var identifiers = 0
        private(set) var statistics = 0
        private(set) var features = 0
        private(set) var lives = 0
        private(set) var dirty = 0
        private(set) var flags = 0

        init() {
            identifiers = reserve(MemoryLayout<IdentifierSlot>.stride * rowCount)
            statistics = reserve(MemoryLayout<FrequencyRecord>.stride * rowCount)
            features = reserve(MemoryLayout<FeatureText?>.stride * rowCount)
            lives = reserve(MemoryLayout<RowLife>.stride * rowCount)
            dirty = reserve(MemoryLayout<DirtyRecords>.stride)
            flags = reserve(MemoryLayout<RowFlags>.stride * rowCount)
            byteCount = (byteCount + 63) & ~63
        }

        private mutating func reserve(_ bytes: Int) -> Int {
            let offset = (byteCount + 63) & ~63
            byteCount = offset + bytes
            return offset
        }
    }
}
