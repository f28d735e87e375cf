import LMDB

/// The records of the `features` table. A record is the JSON of a row, and its number is the row. A row without
/// features has no record.
///
///     crc32c 4 | applied 8 | generation 4 | JSON
///
/// The generation is that of the row when the record was written. It shows whether the JSON belongs to the id that has
/// the row.
final class Features: RecordKind {
    private static let headerByteCount = 16
    static let jsonBytesMax = Tables.valueBytesMax - headerByteCount

    let dirty = RecordSet()
    var applied = AppliedGroups()
    /// By row: the generations in the loaded records, for `checkGeneration`. Empty once the collection has recovered.
    private var loadedGenerations: [UInt32: UInt32] = [:]

    func recordCount(of collection: Collection) -> Int {
        collection.chunks.count * ItemChunk.rowCount
    }

    var table: CollectionTable { .features }

    func sum(
        of record: Int,
        in collection: Collection,
        _ tables: Tables,
        _ transaction: borrowing WriteTransaction
    ) throws -> RecordSum {
        var sum = RecordSum()
        let key = FeatureKey(collection: collection.number, row: UInt32(record))
        try transaction.add(key, of: tables.features, to: &sum)
        return sum
    }

    func write(
        _ record: Int,
        of collection: Collection,
        applied group: UInt64,
        to tables: Tables,
        _ transaction: borrowing WriteTransaction
    ) throws -> Int {
        let (chunk, index) = collection.place(of: UInt32(record))
        let key = FeatureKey(collection: collection.number, row: UInt32(record))
        guard let json = chunk.pointee.features[index]?.bytes else {
            try transaction.delete(key, from: tables.features)
            return Self.headerByteCount
        }
        let size = Self.headerByteCount + json.count
        return try transaction.putRecord(size, applied: group, for: key, in: tables.features) { bytes in
            bytes.integer(chunk.pointee.reuses[index].generation)
            bytes.bytes(json)
        }
    }

    /// Throws `corrupt`.
    func load(_ value: UnsafeRawBufferPointer, key: FeatureKey, into collection: Collection) throws(StoreError) {
        guard key.row <= Collection.rowCountMax else { throw Checksum.corrupt(key, "features", "the row is too high") }
        var (group, bytes) = try Checksum.opened(value, key: key, table: "features")
        guard let generation = bytes.integer(UInt32.self) else {
            throw Checksum.corrupt(key, "features", "it is too short")
        }
        collection.makeRoom(for: key.row)
        applied.note(group, for: Int(key.row))
        loadedGenerations[key.row] = generation
        let (chunk, index) = collection.place(of: key.row)
        chunk.pointee.setFeatures(index, bytes.allBytes())
    }

    /// Called after replay. Throws `corrupt` if the row has features but no id, or if its loaded features belong to
    /// another id.
    func checkGeneration(of row: UInt32, in collection: Collection) throws(StoreError) {
        let (chunk, index) = collection.place(of: row)
        let key = FeatureKey(collection: collection.number, row: row)
        let expected = chunk.pointee.reuses[index].generation
        // If the row is dirty, replay has replaced the loaded features.
        if let got = loadedGenerations[row], got != expected, !dirty.contains(Int(row)) {
            throw Checksum.corrupt(key, "features", "got generation \(got), the row has \(expected)")
        }
        if chunk.pointee.features[index] != nil, !chunk.pointee.flags[index].contains(.isUsed) {
            throw Checksum.corrupt(key, "features", "the row is free")
        }
    }

    func finishLoading() {
        loadedGenerations = [:]
    }
}
