import JSONObject
import LMDB

/// The records of the `features` table: the JSON of a row. The number of a record is the row. A row without features
/// has no record.
///
///     part 0:  crc32c 4 | applied 8 | generation 4 | JSON
///     part n:  crc32c 4 | applied 8 | JSON
///
/// The generation is that of the row when the record was written. It shows whether the JSON belongs to the id that has
/// the row. A part of 4,080 bytes is full. The JSON continues in the next part, which may be empty; after a shorter
/// part there is none. All parts of a row are written in one transaction.
final class Features: RecordKind {
    private static let firstHeaderByteCount = 16
    private static let nextHeaderByteCount = 12

    let dirty = RecordSet()
    var applied = AppliedGroups()
    /// The rows that may have further parts in the table. A row stays in it when its JSON becomes short.
    private let divided = RecordSet()
    /// By row: the generation in its loaded record, for `checkGeneration`; 0 for a row without a record. Empty once the
    /// collection has recovered.
    private var loadedGenerations: [UInt32] = []
    /// During loading: the row of the last part, if it was full.
    private var unfinished: UnfinishedFeatures?

    private struct UnfinishedFeatures {
        let row: UInt32
        let applied: UInt64
        var partCount: UInt8 = 0
        var json: [UInt8] = []
    }

    func recordCount(of collection: Collection) -> Int {
        collection.chunks.count * ItemChunk.rowCount
    }

    // MARK: - Writing

    var table: CollectionTable { .features }

    func sum(
        of record: Int,
        in collection: Collection,
        _ tables: Tables,
        _ transaction: borrowing WriteTransaction
    ) throws -> RecordSum {
        var sum = RecordSum()
        var key = FeatureKey(collection: collection.number, row: UInt32(record))
        while try transaction.add(key, of: tables.features, to: &sum), divided.contains(record) { key.part += 1 }
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
        var key = FeatureKey(collection: collection.number, row: UInt32(record))
        guard var rest = chunk.pointee.features[index]?.bytes else {
            try eraseParts(from: key, tables, transaction)
            return Self.firstHeaderByteCount
        }
        var written = 0
        while true {
            let header = key.part == 0 ? Self.firstHeaderByteCount : Self.nextHeaderByteCount
            let json = UnsafeRawBufferPointer(rebasing: rest.prefix(Tables.valueBytesMax - header))
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(json.count))
            let size = header + json.count
            written += try transaction.putRecord(size, applied: group, for: key, in: tables.features) { bytes in
                if key.part == 0 { bytes.integer(chunk.pointee.reuses[index].generation) }
                bytes.bytes(json)
            }
            key.part += 1
            guard size == Tables.valueBytesMax else { break }
            divided.insert(record)
        }
        if divided.contains(record) { try eraseParts(from: key, tables, transaction) }
        return written
    }

    /// Erases this part and all later ones.
    private func eraseParts(
        from first: FeatureKey,
        _ tables: Tables,
        _ transaction: borrowing WriteTransaction
    ) throws {
        var key = first
        while try transaction.delete(key, from: tables.features), divided.contains(Int(key.row)) { key.part += 1 }
    }

    // MARK: - Loading

    /// Loads one part of a row. Parts must come in the order of their keys. Throws `corrupt`.
    func load(_ value: UnsafeRawBufferPointer, key: FeatureKey, into collection: Collection) throws(StoreError) {
        var (group, bytes) = try Checksum.opened(value, key: key, table: "features")
        var last = UnfinishedFeatures(row: key.row, applied: group)
        if key.part == 0 {
            try checkLastRowIsWhole(of: collection)
            guard key.row <= Collection.rowCountMax else {
                throw Checksum.corrupt(key, "features", "the row is too high")
            }
            guard let generation = bytes.integer(UInt32.self) else {
                throw Checksum.corrupt(key, "features", "it is too short")
            }
            collection.makeRoom(for: key.row)
            applied.note(group, for: Int(key.row))
            noteGeneration(generation, of: Int(key.row))
        } else {
            guard let unfinished, unfinished.row == key.row, unfinished.applied == group,
                unfinished.partCount == key.part
            else { throw Checksum.corrupt(key, "features", "it does not belong to the part before it") }
            last = unfinished
        }
        try load(bytes.allBytes(), isFull: value.count == Tables.valueBytesMax, &last, key, into: collection)
    }

    private func noteGeneration(_ generation: UInt32, of row: Int) {
        let missingCount = row + 1 - loadedGenerations.count
        if missingCount > 0 { loadedGenerations.append(contentsOf: repeatElement(0, count: missingCount)) }
        loadedGenerations[row] = generation
    }

    private func load(
        _ part: UnsafeRawBufferPointer,
        isFull: Bool,
        _ last: inout UnfinishedFeatures,
        _ key: FeatureKey,
        into collection: Collection
    ) throws(StoreError) {
        unfinished = nil
        guard last.json.count + part.count <= JSONLimits.bytesMax else {
            throw Checksum.corrupt(key, "features", "got more than \(JSONLimits.bytesMax) bytes of JSON")
        }
        let (chunk, index) = collection.place(of: key.row)
        if !isFull, key.part == 0 { return chunk.pointee.setFeatures(index, part) }
        last.json.append(contentsOf: part)
        last.partCount += 1
        divided.insert(Int(key.row))
        if isFull {
            unfinished = last
        } else {
            last.json.withUnsafeBytes { chunk.pointee.setFeatures(index, $0) }
        }
    }

    /// Throws `corrupt` if the last loaded part was full, but no further part has come.
    func checkLastRowIsWhole(of collection: Collection) throws(StoreError) {
        guard let unfinished else { return }
        let key = FeatureKey(collection: collection.number, row: unfinished.row, part: unfinished.partCount)
        throw Checksum.corrupt(key, "features", "the part is missing")
    }

    /// Called after replay. Throws `corrupt` if the row has features but no id, or if its loaded features belong to
    /// another id.
    func checkGeneration(of row: UInt32, in collection: Collection) throws(StoreError) {
        let (chunk, index) = collection.place(of: row)
        let key = FeatureKey(collection: collection.number, row: row)
        let expected = chunk.pointee.reuses[index].generation
        guard chunk.pointee.features[index] != nil else { return }
        // If the row is dirty, replay has replaced the loaded features.
        if !dirty.contains(Int(row)), loadedGenerations[Int(row)] != expected {
            let got = loadedGenerations[Int(row)]
            throw Checksum.corrupt(key, "features", "got generation \(got), the row has \(expected)")
        }
        if !chunk.pointee.flags[index].contains(.isUsed) {
            throw Checksum.corrupt(key, "features", "the row is free")
        }
    }

    func finishLoading() {
        loadedGenerations = []
    }
}
