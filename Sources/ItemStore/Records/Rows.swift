import LMDB
import SystemSupport

/// The records of the `rows` table. A record is the id and the embedding of a row, and its number is the row.
///
///     part 0:  crc32c 4 | applied 8 | generation 4 | flags 1 | id length 1 | 0 2 | id | float32 ...
///     part n:  crc32c 4 | applied 8 | float32 ...
///
/// `applied` is the last group that the record contains. A free row keeps a record without an id, because its
/// generation must not be lost. A row without an embedding has no floats. A long embedding continues in further parts.
/// All parts of a row are written in one transaction.
final class Rows: RecordKind {
    private static let firstHeaderByteCount = 20
    private static let nextHeaderByteCount = 12

    let dirty = RecordSet()
    var applied = AppliedGroups()
    /// During loading: the row of the last part, if more parts of it must follow.
    private var unfinished: UnfinishedRow?

    private struct UnfinishedRow {
        let row: UInt32
        let applied: UInt64
        var loadedByteCount = 0
    }

    func recordCount(of collection: Collection) -> Int {
        collection.chunks.count * ItemChunk.rowCount
    }

    // MARK: - Writing

    var table: CollectionTable { .rows }

    func sum(
        of record: Int,
        in collection: Collection,
        _ tables: Tables,
        _ transaction: borrowing WriteTransaction
    ) throws -> RecordSum {
        var sum = RecordSum()
        var part = 0
        var isFound = false
        repeat {
            let key = RowKey(collection: collection.number, row: UInt32(record), part: UInt8(part))
            isFound = try transaction.add(key, of: tables.rows, to: &sum)
            part += 1
        } while isFound && part <= Int(UInt8.max) && Self.mayHaveParts(collection)
        return sum
    }

    func write(
        _ record: Int,
        of collection: Collection,
        applied group: UInt64,
        to tables: Tables,
        _ transaction: borrowing WriteTransaction
    ) throws -> Int {
        let row = UInt32(record)
        let (chunk, index) = collection.place(of: row)
        let dimension = collection.configuration.dimension
        let id = IdentifierSlot.bytes(chunk.pointee.identifiers + index)
        let flags = chunk.pointee.flags[index]
        var vector = UnsafeRawBufferPointer(
            start: chunk.pointee.vectors + index * dimension,
            count: flags.contains(.hasVector) ? dimension * MemoryLayout<Float>.size : 0
        )
        var written = 0
        var part = 0
        repeat {
            let count = min(vector.count, Self.vectorBytesMax(part: part, idByteCount: id.count))
            let floats = UnsafeRawBufferPointer(rebasing: vector.prefix(count))
            vector = UnsafeRawBufferPointer(rebasing: vector.dropFirst(count))
            let key = RowKey(collection: collection.number, row: row, part: UInt8(part))
            let size = (part == 0 ? Self.firstHeaderByteCount + id.count : Self.nextHeaderByteCount) + count
            written += try transaction.putRecord(size, applied: group, for: key, in: tables.rows) { bytes in
                if part == 0 {
                    bytes.integer(chunk.pointee.reuses[index].generation)
                    bytes.integer(flags.rawValue)
                    bytes.integer(UInt8(id.count))
                    bytes.integer(UInt16(0))
                    bytes.bytes(id)
                }
                bytes.bytes(floats)
            }
            part += 1
        } while !vector.isEmpty
        try eraseParts(from: part, of: row, in: collection, tables, transaction)
        return written
    }

    /// The most bytes of floats that fit in part `part`.
    private static func vectorBytesMax(part: Int, idByteCount: Int) -> Int {
        let header = part == 0 ? firstHeaderByteCount + idByteCount : nextHeaderByteCount
        return (Tables.valueBytesMax - header) & ~3
    }

    /// Whether an embedding may not fit in part 0, with the longest id.
    private static func mayHaveParts(_ collection: Collection) -> Bool {
        collection.configuration.dimension * MemoryLayout<Float>.size > vectorBytesMax(part: 0, idByteCount: 255)
    }

    /// Erases the parts of an earlier embedding. There are some if the row has no embedding any more. There may also be
    /// one if the id is shorter now, because the first part then has more room.
    private func eraseParts(
        from first: Int,
        of row: UInt32,
        in collection: Collection,
        _ tables: Tables,
        _ transaction: borrowing WriteTransaction
    ) throws {
        guard Self.mayHaveParts(collection) else { return }
        for part in first...Int(UInt8.max) {
            let key = RowKey(collection: collection.number, row: row, part: UInt8(part))
            guard try transaction.delete(key, from: tables.rows) else { return }
        }
    }

    // MARK: - Loading

    /// Loads one part of a row. Parts must come in the order of their keys. Throws `corrupt`.
    func load(_ value: UnsafeRawBufferPointer, key: RowKey, into collection: Collection) throws(StoreError) {
        var (group, bytes) = try Checksum.opened(value, key: key, table: "rows")
        if key.part == 0 {
            try checkLastRowIsWhole(of: collection)
            try loadFirstPart(&bytes, group, key: key, into: collection)
        } else {
            guard unfinished?.row == key.row, unfinished?.applied == group else {
                throw Checksum.corrupt(key, "rows", "it does not belong to the part before it")
            }
        }
        if unfinished != nil { try loadFloats(bytes.allBytes(), key: key, into: collection) }
    }

    private func loadFirstPart(
        _ bytes: inout ByteReader,
        _ group: UInt64,
        key: RowKey,
        into collection: Collection
    ) throws(StoreError) {
        guard key.row <= Collection.rowCountMax else { throw Checksum.corrupt(key, "rows", "the row is too high") }
        guard let generation = bytes.integer(UInt32.self), let flagBits = bytes.integer(UInt8.self),
            let idByteCount = bytes.integer(UInt8.self), bytes.integer(UInt16.self) != nil,
            let id = bytes.bytes(Int(idByteCount))
        else { throw Checksum.corrupt(key, "rows", "it is too short") }
        let flags = RowFlags(rawValue: flagBits)
        guard flags.contains(.isUsed) == !id.isEmpty else {
            throw Checksum.corrupt(key, "rows", "got flags \(flagBits) and \(idByteCount) bytes of id")
        }
        collection.makeRoom(for: key.row)
        let (chunk, index) = collection.place(of: key.row)
        applied.note(group, for: Int(key.row))
        chunk.pointee.reuses[index].generation = generation
        chunk.pointee.flags[index] = flags
        if !id.isEmpty { IdentifierSlot.set(chunk.pointee.identifiers + index, id) }
        if flags.contains(.hasVector) { unfinished = UnfinishedRow(row: key.row, applied: group) }
    }

    private func loadFloats(
        _ floats: UnsafeRawBufferPointer,
        key: RowKey,
        into collection: Collection
    ) throws(StoreError) {
        let vectorByteCount = collection.configuration.dimension * MemoryLayout<Float>.size
        let loaded = unfinished!.loadedByteCount
        guard loaded + floats.count <= vectorByteCount else {
            throw Checksum.corrupt(key, "rows", "got more than \(vectorByteCount) bytes of vector")
        }
        let (chunk, index) = collection.place(of: key.row)
        let vector = UnsafeMutableRawPointer(chunk.pointee.vectors + index * collection.configuration.dimension)
        if let start = floats.baseAddress { memcpy(vector + loaded, start, floats.count) }
        if loaded + floats.count == vectorByteCount {
            unfinished = nil
        } else {
            unfinished!.loadedByteCount += floats.count
        }
    }

    /// Throws `corrupt` if parts of the last loaded row are missing.
    func checkLastRowIsWhole(of collection: Collection) throws(StoreError) {
        guard let unfinished else { return }
        let key = RowKey(collection: collection.number, row: unfinished.row)
        let expected = collection.configuration.dimension * MemoryLayout<Float>.size
        throw Checksum.corrupt(
            key,
            "rows",
            "got \(unfinished.loadedByteCount) bytes of vector, expected \(expected)"
        )
    }
}
