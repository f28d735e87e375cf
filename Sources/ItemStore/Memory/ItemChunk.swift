import SamplingFrequency

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
///     touched      1,024 x 4 bytes      writer thread only, see `TouchStamp`
///     dirty        264 bytes            writer thread only, see `DirtyRecords`
///     flags        1,024 x 1 byte
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

    private let mapping: UnsafeMutableRawPointer
    private let mappingByteCount: Int

    init(dimension: Int) {
        var layout = Layout()
        let rows = Self.rowCount
        let vectorsAt = layout.reserve(MemoryLayout<Float>.stride * dimension * rows)
        let identifiersAt = layout.reserve(MemoryLayout<IdentifierSlot>.stride * rows)
        let statisticsAt = layout.reserve(MemoryLayout<FrequencyRecord>.stride * rows)
        let featuresAt = layout.reserve(MemoryLayout<FeatureText?>.stride * rows)
        let generationsAt = layout.reserve(MemoryLayout<UInt32>.stride * rows)
        let touchedAt = layout.reserve(MemoryLayout<UInt32>.stride * rows)
        let dirtyAt = layout.reserve(MemoryLayout<DirtyRecords>.stride)
        let flagsAt = layout.reserve(MemoryLayout<RowFlags>.stride * rows)

        mappingByteCount = layout.byteCount
        mapping = mapAnonymousMemory(byteCount: layout.byteCount)
        lock = ReadWriteLock()
        vectors = (mapping + vectorsAt).bindMemory(to: Float.self, capacity: dimension * rows)
        identifiers = (mapping + identifiersAt).bindMemory(to: IdentifierSlot.self, capacity: rows)
        statistics = (mapping + statisticsAt).bindMemory(to: FrequencyRecord.self, capacity: rows)
        features = (mapping + featuresAt).bindMemory(to: FeatureText?.self, capacity: rows)
        generations = (mapping + generationsAt).bindMemory(to: UInt32.self, capacity: rows)
        touched = (mapping + touchedAt).bindMemory(to: UInt32.self, capacity: rows)
        dirty = (mapping + dirtyAt).bindMemory(to: DirtyRecords.self, capacity: 1)
        flags = (mapping + flagsAt).bindMemory(to: RowFlags.self, capacity: rows)
        statistics.initialize(repeating: .unseen, count: rows)
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

    /// The bytes that a full chunk of this dimension takes, without long ids and features.
    var byteCount: Int { mappingByteCount }

    private struct Layout {
        var byteCount = 0

        mutating func reserve(_ bytes: Int) -> Int {
            let offset = (byteCount + 63) & ~63
            byteCount = offset + bytes
            return offset
        }
    }
}

/// Zeroed memory that never moves and costs nothing until it is written.
func mapAnonymousMemory(byteCount: Int) -> UnsafeMutableRawPointer {
    let address = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0)
    guard let address, address != MAP_FAILED else {
        // Like a failed malloc: there is no state to which a half-made chunk could return.
        fatalError("out of memory: could not map \(byteCount) bytes, errno \(errno)")
    }
    return address
}
