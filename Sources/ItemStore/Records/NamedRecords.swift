import LMDB
import SystemSupport

/// An entry that a collection knows by its name: a producer or a run.
protocol NamedEntry: Equatable, Sendable {
    /// What the entry is, for messages.
    static var kind: String { get }
    var name: String { get }
    var encodedByteCount: Int { get }
    /// About how many bytes of memory an entry with this name takes.
    static func byteCount(of name: String) -> Int
    func encode(into bytes: inout ByteWriter)
    /// Nil if the bytes are no entry.
    static func decode(_ bytes: inout ByteReader) -> Self?
}

/// Entries with names, in the `frequency` table. A record has 32 of them, so a change of one rewrites only these.
///
///     crc32c 4 | applied 8 | entry ...
final class NamedRecords<Entry: NamedEntry>: FrequencyTableKind {
    let dirty = RecordSet()
    var applied = AppliedGroups()
    let keys: ClosedRange<UInt32>
    private(set) var list = NamedList<Entry>()
    /// `list` changes only on the store's thread, under this lock. Other threads hold it to read.
    private let lock = ReadWriteLock()

    init(keys: ClosedRange<UInt32>) {
        self.keys = keys
    }

    deinit {
        lock.destroy()
    }

    /// The most entries that the keys have room for.
    var countMax: Int { keys.count * NamedList<Entry>.countInRecord }

    /// A copy, from any thread.
    var snapshot: [Entry] {
        lock.withReadLock { list.entries }
    }

    /// Sets the entry at a place. Without a place, the entry has its present one or the next. Throws `corrupt` if the
    /// place can't follow the entries so far.
    func set(_ entry: Entry, at place: Int?, group: UInt64) throws(StoreError) {
        let place = place ?? list.place(of: entry.name) ?? list.count
        guard place < countMax else { throw Self.missing(place, group) }
        guard isDue(group, for: place / NamedList<Entry>.countInRecord) else { return }
        guard list.canSet(place) else { throw Self.missing(place, group) }
        lock.withWriteLock { list.set(entry, at: place) }
        dirty.insert(place / NamedList<Entry>.countInRecord)
    }

    /// Removes all entries. Their records stay, without entries.
    func removeAll(group: UInt64) {
        for record in 0..<list.recordCount where isDue(group, for: record) {
            lock.withWriteLock { list.removeEntries(ofRecord: record) }
            dirty.insert(record)
        }
    }

    /// Ends the recovery. Throws `corrupt` if entries are missing before others.
    func finishRecovery() throws(StoreError) {
        guard list.isGapless else {
            throw StoreError(.corrupt, "corrupt records in table 'frequency': a \(Entry.kind) is missing")
        }
    }

    private static func missing(_ place: Int, _ group: UInt64) -> StoreError {
        .corruptOperation(group: group, "there is no \(Entry.kind) \(place)")
    }

    func recordCount(of collection: Collection) -> Int { list.recordCount }

    func write(
        _ record: Int,
        of collection: Collection,
        applied group: UInt64,
        to tables: Tables,
        _ transaction: borrowing WriteTransaction
    ) throws -> Int {
        let entries = list.entries(ofRecord: record)
        let size = 12 + entries.reduce(0) { $0 + $1.encodedByteCount }
        let key = key(of: record, in: collection)
        return try transaction.putRecord(size, applied: group, for: key, in: tables.frequency) { bytes in
            for entry in entries { entry.encode(into: &bytes) }
        }
    }

    func load(_ value: UnsafeRawBufferPointer, key: FrequencyKey, into collection: Collection) throws(StoreError) {
        var (group, bytes) = try Checksum.opened(value, key: key, table: "frequency")
        let record = record(of: key)
        let first = record * NamedList<Entry>.countInRecord
        var count = 0
        while !bytes.isAtEnd {
            guard count < NamedList<Entry>.countInRecord, let entry = Entry.decode(&bytes) else {
                throw Checksum.corrupt(key, "frequency", "a \(Entry.kind) is cut off")
            }
            list.set(entry, at: first + count)
            count += 1
        }
        applied.note(group, for: record)
    }
}

/// Entries with names, each at the place in which its record is.
///
/// Records are written at different moments. So during recovery, others may follow a record that is not full.
struct NamedList<Entry: NamedEntry> {
    static var countInRecord: Int { 32 }

    private var records: [[Entry]] = []
    private var places: [String: Int] = [:]
    /// The memory of all entries in bytes, as `Entry.byteCount(of:)` counts it.
    private(set) var byteCount = 0
    /// The number of entries.
    private(set) var count = 0

    var recordCount: Int { records.count }
    var entries: [Entry] { Array(records.joined()) }

    /// Whether no place below the last entry is empty.
    var isGapless: Bool {
        records.drop { $0.count == Self.countInRecord }.dropFirst().allSatisfy { $0.isEmpty }
    }

    func entries(ofRecord record: Int) -> [Entry] { records[record] }

    func place(of name: String) -> Int? { places[name] }

    subscript(name: String) -> Entry? {
        places[name].map { records[$0 / Self.countInRecord][$0 % Self.countInRecord] }
    }

    /// Whether the place has an entry, or is the next one of its record.
    func canSet(_ place: Int) -> Bool {
        let record = place / Self.countInRecord
        return place % Self.countInRecord <= (record < records.count ? records[record].count : 0)
    }

    mutating func set(_ entry: Entry, at place: Int) {
        precondition(canSet(place), "there is no place \(place) for a \(Entry.kind)")
        let (record, index) = (place / Self.countInRecord, place % Self.countInRecord)
        while record >= records.count { records.append([]) }
        if index == records[record].count {
            records[record].append(entry)
            count += 1
        } else {
            forget(records[record][index], at: place)
            records[record][index] = entry
        }
        byteCount += Entry.byteCount(of: entry.name)
        places[entry.name] = place
    }

    mutating func removeEntries(ofRecord record: Int) {
        for (index, entry) in records[record].enumerated() {
            forget(entry, at: record * Self.countInRecord + index)
        }
        count -= records[record].count
        records[record] = []
    }

    private mutating func forget(_ entry: Entry, at place: Int) {
        byteCount -= Entry.byteCount(of: entry.name)
        if places[entry.name] == place { places[entry.name] = nil }
    }
}
