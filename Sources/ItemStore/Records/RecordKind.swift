import LMDB

/// A kind of record of a collection: rows, features, producers and so on.
///
/// Each kind has a file, which defines the bytes of its records, tracks the dirty ones, and writes and loads them. The
/// records of a kind are numbered from 0. `Sources/README.md` says what a new kind needs.
///
/// The checkpoint and recovery are loops over the kinds of each collection. Store thread only.
protocol RecordKind: AnyObject {
    /// The records that differ from the table.
    var dirty: RecordSet { get }
    /// During recovery, the groups that the loaded records contain.
    var applied: AppliedGroups { get set }

    /// All records have numbers below this, at present. A pass of the checkpoint reads it once, when it begins.
    /// Otherwise a pass would never end if the collection grows as fast as it is copied.
    func recordCount(of collection: Collection) -> Int

    var table: CollectionTable { get }

    /// The sum of a record in its table, where it may have several parts, one, or none.
    func sum(
        of record: Int,
        in collection: Collection,
        _ tables: Tables,
        _ transaction: borrowing WriteTransaction
    ) throws -> RecordSum

    /// Writes the present state of a record, with the number of the last group. Returns about how many bytes were
    /// written.
    func write(
        _ record: Int,
        of collection: Collection,
        applied group: UInt64,
        to tables: Tables,
        _ transaction: borrowing WriteTransaction
    ) throws -> Int
}

/// A kind of record in the `frequency` table.
protocol FrequencyTableKind: RecordKind {
    /// The range of `FrequencyKey.record` for this kind.
    var keys: ClosedRange<UInt32> { get }

    /// Loads a record with a key in `keys`. Throws `corrupt`.
    func load(_ value: UnsafeRawBufferPointer, key: FrequencyKey, into collection: Collection) throws(StoreError)
}

extension FrequencyTableKind {
    var table: CollectionTable { .frequency }

    func sum(
        of record: Int,
        in collection: Collection,
        _ tables: Tables,
        _ transaction: borrowing WriteTransaction
    ) throws -> RecordSum {
        var sum = RecordSum()
        try transaction.add(key(of: record, in: collection), of: tables.frequency, to: &sum)
        return sum
    }

    func key(of record: Int, in collection: Collection) -> FrequencyKey {
        FrequencyKey(collection: collection.number, record: keys.lowerBound + UInt32(record))
    }

    func record(of key: FrequencyKey) -> Int {
        Int(key.record - keys.lowerBound)
    }
}

/// The last group that each record contained when it was loaded from its table.
///
/// The checkpoint writes records at different moments. So recovery applies an operation to a record only if the
/// operation's group is later than the record's. For records that were not loaded, every operation is applied. That is
/// also so after recovery, which clears this, and in new collections.
///
/// The checkpoint writes many consecutive records in one slice, so neighbours mostly contain the same group. Then a
/// block of records takes 24 bytes.
struct AppliedGroups {
    private static let recordsInBlock = 256

    private enum Block {
        /// The first `count` records contain this group. The others were not loaded.
        case same(group: UInt64, count: Int)
        /// The groups of all records; 0 for those that were not loaded.
        case each([UInt64])
    }

    private var blocks: [Block] = []

    func isDue(_ group: UInt64, for record: Int) -> Bool {
        let block = record / Self.recordsInBlock
        let index = record % Self.recordsInBlock
        guard block < blocks.count else { return true }
        return switch blocks[block] {
        case .same(let applied, let count): index >= count || applied < group
        case .each(let groups): groups[index] < group
        }
    }

    mutating func note(_ group: UInt64, for record: Int) {
        let block = record / Self.recordsInBlock
        let index = record % Self.recordsInBlock
        while blocks.count <= block { blocks.append(.same(group: 0, count: 0)) }
        switch blocks[block] {
        case .same(let applied, let count) where index == count && (count == 0 || applied == group):
            blocks[block] = .same(group: group, count: count + 1)
        case .same(let applied, let count):
            var groups = [UInt64](repeating: applied, count: count)
            groups += repeatElement(0, count: Self.recordsInBlock - count)
            groups[index] = group
            blocks[block] = .each(groups)
        case .each(var groups):
            // With two references the array would be copied.
            blocks[block] = .same(group: 0, count: 0)
            groups[index] = group
            blocks[block] = .each(groups)
        }
    }
}

extension RecordKind {
    /// Whether an operation of this group must be applied to a record, because the record does not contain it yet.
    @inline(__always)
    func isDue(_ group: UInt64, for record: Int) -> Bool {
        applied.isDue(group, for: record)
    }
}
