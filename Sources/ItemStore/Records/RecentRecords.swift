import LMDB

/// The bank of recent observations, in the `frequency` table. A record has 500 observations, by their place in the
/// bank. The position of the bank is in `TotalsRecord`.
///
///     crc32c 4 | applied 8 | (row 4 | generation 4) ...
final class RecentRecords: FrequencyTableKind {
    let dirty = RecordSet()
    var applied = AppliedGroups()
    let keys = FrequencyKey.recent

    func recordCount(of collection: Collection) -> Int {
        (collection.recent.capacity + RecentBank.entriesInRecord - 1) / RecentBank.entriesInRecord
    }

    func write(
        _ record: Int,
        of collection: Collection,
        applied group: UInt64,
        to tables: Tables,
        _ transaction: borrowing WriteTransaction
    ) throws -> Int {
        let key = key(of: record, in: collection)
        let entries = collection.recent.entries(ofRecord: record)
        let size = 12 + entries.count * RecentBank.Entry.byteCount
        return try transaction.putRecord(size, applied: group, for: key, in: tables.frequency) { bytes in
            for entry in entries {
                bytes.integer(entry.row)
                bytes.integer(entry.generation)
            }
        }
    }

    func load(_ value: UnsafeRawBufferPointer, key: FrequencyKey, into collection: Collection) throws(StoreError) {
        let record = record(of: key)
        var (group, bytes) = try Checksum.opened(value, key: key, table: "frequency")
        var entries: [RecentBank.Entry] = []
        while !bytes.isAtEnd {
            guard let row = bytes.integer(UInt32.self), let generation = bytes.integer(UInt32.self) else {
                throw Checksum.corrupt(key, "frequency", "an observation is cut off")
            }
            entries.append(RecentBank.Entry(row: row, generation: generation))
        }
        guard collection.recent.restore(entries, record: record) else {
            throw Checksum.corrupt(key, "frequency", "the bank of recent observations has no room for it")
        }
        applied.note(group, for: record)
    }
}
