import LMDB

/// The `rows` table: id and embedding of a row.
///
///     part 0:  crc32c 4 | applied 8 | generation 4 | flags 1 | id length 1 | 0 2 | id | float32 ...
///     part n:  crc32c 4 | applied 8 | float32 ...
///
/// `applied` is the last group whose operations the record contains. A free row keeps a record without id, so that its
/// generation is never forgotten. A row whose id was observed but has no embedding has no floats. A wide embedding
/// goes on in further parts, all written in one transaction.
struct RowRecord {
    static let firstHeaderByteCount = 20
    static let nextHeaderByteCount = 12

    /// How many bytes of floats part `part` holds.
    private static func vectorBytesMax(part: Int, idByteCount: Int) -> Int {
        let header = part == 0 ? firstHeaderByteCount + idByteCount : nextHeaderByteCount
        return (Tables.valueByteCountMax - header) & ~3
    }

    static func write(
        _ chunk: ItemChunk,
        _ index: Int,
        key: RowKey,
        applied: UInt64,
        dimension: Int,
        in table: Table<RowKey>,
        _ transaction: borrowing WriteTransaction
    ) throws -> Int {
        let id = IdentifierSlot.bytes(chunk.identifiers + index)
        let flags = chunk.flags[index]
        let generation = chunk.lives[index].generation
        var vector = UnsafeRawBufferPointer(
            start: chunk.vectors + index * dimension,
            count: flags.contains(.hasVector) ? dimension * 4 : 0
        )
        var written = 0
        var part = 0
        repeat {
            let count = min(vector.count, vectorBytesMax(part: part, idByteCount: id.count))
            let floats = UnsafeRawBufferPointer(rebasing: vector.prefix(count))
            vector = UnsafeRawBufferPointer(rebasing: vector.dropFirst(count))
            let key = RowKey(collection: key.collection, row: key.row, part: UInt8(part))
            let size = (part == 0 ? firstHeaderByteCount + id.count : nextHeaderByteCount) + count
            try transaction.put(reserving: size, for: key, in: table) { value in
                var writer = ByteWriter(value)
                writer.integer(UInt32(0))
                writer.integer(applied)
                if part == 0 {
                    writer.integer(generation)
                    writer.integer(flags.rawValue)
                    writer.integer(UInt8(id.count))
                    writer.integer(UInt16(0))
                    writer.bytes(id)
                }
                writer.bytes(floats)
                Checksum.seal(value, key: key)
            }
            written += size
            part += 1
        } while !vector.isEmpty
        try eraseParts(from: part, dimension: dimension, key: key, in: table, transaction)
        return written
    }

    /// A row must not keep parts of an earlier embedding: it has none any more, or its id is shorter, which leaves more
    /// room in the first part.
    private static func eraseParts(
        from first: Int,
        dimension: Int,
        key: RowKey,
        in table: Table<RowKey>,
        _ transaction: borrowing WriteTransaction
    ) throws {
        // The longest id makes the most parts.
        guard dimension * 4 > vectorBytesMax(part: 0, idByteCount: 255) else { return }
        for part in first...UInt8.max.asInt {
            let key = RowKey(collection: key.collection, row: key.row, part: UInt8(part))
            guard try transaction.delete(key, from: table) else { return }
        }
    }

    /// The first part, decoded; the pointers are valid as long as the value.
    struct FirstPart {
        let applied: UInt64
        let generation: UInt32
        let flags: RowFlags
        let id: UnsafeRawBufferPointer
        let floats: UnsafeRawBufferPointer
    }

    static func decodeFirst(_ value: UnsafeRawBufferPointer, key: RowKey) throws(StoreError) -> FirstPart {
        var reader = ByteReader(try Checksum.verified(value, key: key, table: "rows"))
        guard let applied = reader.integer(UInt64.self), let generation = reader.integer(UInt32.self),
            let flags = reader.integer(UInt8.self), let idByteCount = reader.integer(UInt8.self),
            reader.integer(UInt16.self) != nil, let id = reader.bytes(Int(idByteCount))
        else { throw Checksum.corrupt(key, "rows", "it is too short") }
        return FirstPart(
            applied: applied,
            generation: generation,
            flags: RowFlags(rawValue: flags),
            id: id,
            floats: reader.allBytes()
        )
    }

    static func decodeNext(
        _ value: UnsafeRawBufferPointer,
        key: RowKey
    ) throws(StoreError) -> (applied: UInt64, floats: UnsafeRawBufferPointer) {
        var reader = ByteReader(try Checksum.verified(value, key: key, table: "rows"))
        guard let applied = reader.integer(UInt64.self) else {
            throw Checksum.corrupt(key, "rows", "it is too short")
        }
        return (applied, reader.allBytes())
    }
}

extension UInt8 {
    fileprivate var asInt: Int { Int(self) }
}

/// The `features` table: the JSON of a row. A row without features has no record.
///
///     crc32c 4 | applied 8 | generation 4 | JSON
///
/// The generation is the row's when the record was written: a check that the JSON belongs to the id that has the row.
struct FeatureRecord {
    static let headerByteCount = 16

    let applied: UInt64
    let generation: UInt32
    let json: UnsafeRawBufferPointer

    static func write(
        _ chunk: ItemChunk,
        _ index: Int,
        key: FeatureKey,
        applied: UInt64,
        in table: Table<FeatureKey>,
        _ transaction: borrowing WriteTransaction
    ) throws -> Int {
        guard let json = chunk.features[index]?.bytes else {
            _ = try transaction.delete(key, from: table)
            return headerByteCount
        }
        let generation = chunk.lives[index].generation
        let size = headerByteCount + json.count
        try transaction.put(reserving: size, for: key, in: table) { value in
            var writer = ByteWriter(value)
            writer.integer(UInt32(0))
            writer.integer(applied)
            writer.integer(generation)
            writer.bytes(json)
            Checksum.seal(value, key: key)
        }
        return size
    }

    init(_ value: UnsafeRawBufferPointer, key: FeatureKey) throws(StoreError) {
        var reader = ByteReader(try Checksum.verified(value, key: key, table: "features"))
        guard let applied = reader.integer(UInt64.self), let generation = reader.integer(UInt32.self) else {
            throw Checksum.corrupt(key, "features", "it is too short")
        }
        self.applied = applied
        self.generation = generation
        self.json = reader.allBytes()
    }
}
