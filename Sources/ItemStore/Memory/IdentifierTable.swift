import VectorIndex

/// From an id to its row: open addressing with linear probing, in 64 shards with a lock each.
///
/// An entry is 8 bytes: 32 bits of the id's hash and the row plus one; zero is empty. The ids themselves stand in the
/// chunks, so an entry only says where to look, and whoever looks compares the id under the chunk's lock. The home of
/// an entry follows from its hash bits alone: growing a shard and closing the gap of a removed entry read no id.
///
/// Shards grow one by one, so nobody waits for all of them; but as hashes are spread evenly, they have the same capacity
/// most of the time, and the entries of all shards of a capacity lie side by side, on large pages when there are many.
///
/// Hashes are Swift's own, seeded afresh in every process, so nobody can send ids that all collide. Nothing of this
/// table is stored: recovery builds it anew.
final class IdentifierTable: @unchecked Sendable {
    private static let shardCount = 64
    private static let shardBits: UInt64 = 6

    private let shards: UnsafeMutablePointer<Shard>
    /// Beside the shards, not in them: changing a shard is an access to the whole of it, and who waits for its lock must
    /// not touch it.
    private let locks: UnsafeMutablePointer<ReadWriteLock>
    /// The memory of all shards that have a capacity, by that capacity. Writer thread only.
    private var memories: [Int: (memory: LargePageMemory, shardCount: Int)] = [:]

    /// The hash of an id, computed once for all that a request does with it.
    struct Hash {
        fileprivate let shard: Int
        fileprivate let tag: UInt32

        @inline(__always)
        init(_ id: UnsafeRawBufferPointer) {
            var hasher = Hasher()
            hasher.combine(bytes: id)
            let hash = UInt64(bitPattern: Int64(hasher.finalize()))
            shard = Int(hash & (1 << shardBits - 1))
            tag = UInt32(truncatingIfNeeded: hash >> 32)
        }
    }

    init() {
        shards = .allocate(capacity: Self.shardCount)
        locks = .allocate(capacity: Self.shardCount)
        for index in 0..<Self.shardCount {
            let entries = memory(forShard: index, capacity: Shard.smallestCapacity)
            (shards + index).initialize(to: Shard(entries, capacity: Shard.smallestCapacity))
            (locks + index).initialize(to: ReadWriteLock())
        }
    }

    deinit {
        for index in 0..<Self.shardCount { locks[index].destroy() }
        for (memory, _) in memories.values { memory.deallocate() }
        shards.deallocate()
        locks.deallocate()
    }

    /// Calls `body` with the rows that may belong to the id, until it returns a value. The shard stays locked for
    /// reading meanwhile, so a row can't be given to another id between the look at the entry and the look at the row.
    @inline(__always)
    func firstMatch<R>(_ hash: Hash, _ body: (UInt32) -> R?) -> R? {
        locks[hash.shard].withReadLock { shards[hash.shard].firstMatch(hash.tag, body) }
    }

    /// Asks for the memory where a look at the id will begin.
    @inline(__always)
    func prefetch(_ hash: Hash) {
        locks[hash.shard].withReadLock { shards[hash.shard].prefetch(hash.tag) }
    }

    /// As `prefetch`, without the lock: see `firstMatchByWriter`.
    @inline(__always)
    func prefetchByWriter(_ hash: Hash) {
        shards[hash.shard].prefetch(hash.tag)
    }

    /// As `firstMatch`, without the lock: for the writer thread, beside which nobody changes the table.
    @inline(__always)
    func firstMatchByWriter<R>(_ hash: Hash, _ body: (UInt32) -> R?) -> R? {
        shards[hash.shard].firstMatch(hash.tag, body)
    }

    /// Adds an entry. The id must not be in the table. Writer thread only.
    func insert(_ row: UInt32, _ hash: Hash) {
        if shards[hash.shard].isFull { grow(hash.shard) }
        locks[hash.shard].withWriteLock { shards[hash.shard].insert(row, hash.tag) }
    }

    private func grow(_ shard: Int) {
        let old = shards[shard].capacity
        let entries = memory(forShard: shard, capacity: 2 * old)
        locks[shard].withWriteLock { shards[shard].move(to: entries, capacity: 2 * old) }
        memories[old]!.shardCount -= 1
        if memories[old]!.shardCount == 0 { memories.removeValue(forKey: old)!.memory.deallocate() }
    }

    /// Where a shard of this capacity has its entries: all zero, if it has not had that capacity before.
    private func memory(forShard shard: Int, capacity: Int) -> UnsafeMutablePointer<UInt64> {
        let entryCount = Self.shardCount * capacity
        if memories[capacity] == nil {
            let byteCount = entryCount * MemoryLayout<UInt64>.stride
            memories[capacity] = (LargePageMemory(byteCount: byteCount, isSparse: false), 0)
        }
        memories[capacity]!.shardCount += 1
        let start = memories[capacity]!.memory.start.bindMemory(to: UInt64.self, capacity: entryCount)
        return start + shard * capacity
    }

    /// Removes the entry of `row` and, before anybody can look again, calls `body`. Writer thread only.
    func remove(_ row: UInt32, _ hash: Hash, _ body: () -> Void) {
        locks[hash.shard].withWriteLock {
            let wasThere = shards[hash.shard].remove(row, hash.tag)
            precondition(wasThere, "row \(row) is not in the id table")
            body()
        }
    }

    /// The bytes of all entries, used or not.
    var byteCount: Int {
        (0..<Self.shardCount).reduce(0) { sum, index in
            sum + locks[index].withReadLock { shards[index].capacity * MemoryLayout<UInt64>.stride }
        }
    }

    private struct Shard {
        static let smallestCapacity = 16

        private(set) var capacity: Int
        private var count = 0
        private var entries: UnsafeMutablePointer<UInt64>

        /// Without entries, over memory that is all zero.
        init(_ entries: UnsafeMutablePointer<UInt64>, capacity: Int) {
            self.entries = entries
            self.capacity = capacity
        }

        /// Whether one more would be more than three in four.
        var isFull: Bool { (count + 1) * 8 > capacity * 6 }

        private static func entry(_ row: UInt32, _ tag: UInt32) -> UInt64 {
            precondition(row < .max, "row \(row) is out of range")
            return UInt64(tag) << 32 | UInt64(row + 1)
        }

        private func home(_ entry: UInt64) -> Int {
            Int(truncatingIfNeeded: entry >> 32) & (capacity - 1)
        }

        @inline(__always)
        func prefetch(_ tag: UInt32) {
            VectorIndex.prefetch(entries + (Int(tag) & (capacity - 1)), byteCount: MemoryLayout<UInt64>.stride)
        }

        @inline(__always)
        func firstMatch<R>(_ tag: UInt32, _ body: (UInt32) -> R?) -> R? {
            var index = Int(tag) & (capacity - 1)
            // Ends at an empty entry: at most three in four are used.
            while entries[index] != 0 {
                let entry = entries[index]
                if UInt32(truncatingIfNeeded: entry >> 32) == tag,
                    let found = body(UInt32(truncatingIfNeeded: entry) - 1)
                {
                    return found
                }
                index = (index + 1) & (capacity - 1)
            }
            return nil
        }

        /// There must be room.
        mutating func insert(_ row: UInt32, _ tag: UInt32) {
            place(Self.entry(row, tag))
            count += 1
        }

        private func place(_ entry: UInt64) {
            var index = home(entry)
            while entries[index] != 0 { index = (index + 1) & (capacity - 1) }
            entries[index] = entry
        }

        /// To memory that is all zero.
        mutating func move(to newEntries: UnsafeMutablePointer<UInt64>, capacity newCapacity: Int) {
            let old = UnsafeMutableBufferPointer(start: entries, count: capacity)
            capacity = newCapacity
            entries = newEntries
            for entry in old where entry != 0 { place(entry) }
        }

        mutating func remove(_ row: UInt32, _ tag: UInt32) -> Bool {
            let wanted = Self.entry(row, tag)
            var hole = home(wanted)
            while entries[hole] != wanted {
                if entries[hole] == 0 { return false }
                hole = (hole + 1) & (capacity - 1)
            }
            count -= 1
            // Close the gap: an entry moves back if its home lies at or before the hole, seen around the ring.
            var next = hole
            while true {
                next = (next + 1) & (capacity - 1)
                let entry = entries[next]
                if entry == 0 { break }
                let distanceFromHome = (next - home(entry)) & (capacity - 1)
                let distanceFromHole = (next - hole) & (capacity - 1)
                if distanceFromHome >= distanceFromHole {
                    entries[hole] = entry
                    hole = next
                }
            }
            entries[hole] = 0
            return true
        }
    }
}
