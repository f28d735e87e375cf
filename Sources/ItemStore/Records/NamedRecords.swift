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
    /// Only the store's thread changes `list`. It holds this lock meanwhile, and other threads hold it to read.
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
        guard place <= list.count else { throw Self.missing(place, group) }
        lock.withWriteLock { list.set(entry, at: place) }
        dirty.insert(place / NamedList<Entry>.countInRecord)
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
        guard list.count == first else {
            throw Checksum.corrupt(key, "frequency", "there are \(list.count) \(Entry.kind)s before it")
        }
        while !bytes.isAtEnd {
            guard list.count < first + NamedList<Entry>.countInRecord, let entry = Entry.decode(&bytes) else {
                throw Checksum.corrupt(key, "frequency", "a \(Entry.kind) is cut off")
            }
            list.set(entry, at: list.count)
        }
        applied.note(group, for: record)
    }
}

/// Entries with names, each at the place in which its record is.
struct NamedList<Entry: NamedEntry> {
    static var countInRecord: Int { 32 }

    private(set) var entries: [Entry] = []
    private var places: [String: Int] = [:]
    /// The memory of all entries in bytes, as `Entry.byteCount(of:)` counts it.
    private(set) var byteCount = 0

    var count: Int { entries.count }
    var recordCount: Int { (count + Self.countInRecord - 1) / Self.countInRecord }

    func entries(ofRecord record: Int) -> ArraySlice<Entry> {
        let first = record * Self.countInRecord
        return entries[first..<min(first + Self.countInRecord, count)]
    }

    func place(of name: String) -> Int? { places[name] }

    subscript(name: String) -> Entry? { places[name].map { entries[$0] } }

    mutating func set(_ entry: Entry, at place: Int) {
        if place == entries.count {
            entries.append(entry)
        } else {
            byteCount -= Entry.byteCount(of: entries[place].name)
            if places[entries[place].name] == place { places[entries[place].name] = nil }
            entries[place] = entry
        }
        byteCount += Entry.byteCount(of: entry.name)
        places[entry.name] = place
    }
}
