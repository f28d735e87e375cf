import SystemSupport
import VectorIndex

/// Maps ids to rows: a hash table with linear probing, in 64 shards with a lock each.
///
/// An entry has 8 bytes: 32 bits of the id's hash, and the row plus one; 0 means free. The ids themselves are in the
/// chunks, so an entry is only a candidate: the caller compares the id under the chunk's lock. The home of an entry,
/// where probing begins, depends only on its hash bits. So no id is read when a shard grows or an entry is removed.
///
/// Shards grow one by one, so no thread waits until all have grown. Hashes are spread evenly, so all shards have the
/// same capacity most of the time. The entries of all shards with one capacity share a block of memory, which has large
/// pages if it is large.
///
/// The hash function is Swift's, with a new seed in every process, so nobody can send ids that all collide. The table
/// is not stored; recovery builds it again.
final class IdentifierTable: @unchecked Sendable {
    private static let shardCount = 64
    private static let shardBits: UInt64 = 6

    private let shards: UnsafeMutablePointer<Shard>
    /// Not in the shards, because Swift treats a change of a shard as an access to all of it. A thread that waits for
    /// the lock must not access the shard.
    private let locks: UnsafeMutablePointer<ReadWriteLock>
    /// The memory of the shards, by capacity. Store thread only.
    private var memories: [Int: (memory: LargePageMemory, shardCount: Int)] = [:]
    /// The size of all entries in bytes, used or free. Store thread only.
    private(set) var byteCount = byteCount(entryCount: 0)

    /// The hash of an id. A request computes it once for each id.
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

    /// Calls `body` with each row that may belong to the id, until it returns a value. The shard stays locked for
    /// reading, so the row can't get another id after its entry is read.
    @inline(__always)
    func firstMatch<R>(_ hash: Hash, _ body: (UInt32) -> R?) -> R? {
        locks[hash.shard].withReadLock { shards[hash.shard].firstMatch(hash.tag, body) }
    }

    /// Prefetches the entry at which a lookup of the id begins.
    @inline(__always)
    func prefetch(_ hash: Hash) {
        locks[hash.shard].withReadLock { shards[hash.shard].prefetch(hash.tag) }
    }

    /// Like `prefetch`, without the lock. Store thread only.
    @inline(__always)
    func ownersPrefetch(_ hash: Hash) {
        shards[hash.shard].prefetch(hash.tag)
    }

    /// Like `firstMatch`, without the lock. Store thread only: no other thread changes the table.
    @inline(__always)
    func ownersFirstMatch<R>(_ hash: Hash, _ body: (UInt32) -> R?) -> R? {
        shards[hash.shard].firstMatch(hash.tag, body)
    }

    /// Adds an entry. The id must not be in the table. Store thread only.
    func insert(_ row: UInt32, _ hash: Hash) {
        if shards[hash.shard].isFull { grow(hash.shard, to: 2 * shards[hash.shard].capacity) }
        locks[hash.shard].withWriteLock { shards[hash.shard].insert(row, hash.tag) }
    }

    /// Makes room for about this many entries in an empty table, because growing step by step moves every entry several
    /// times. Shards get different numbers of ids. So this reserves only what each shard almost certainly needs, and
    /// the table has the same size as one that has grown. Store thread only.
    func reserve(entryCount: Int) {
        let average = Double(entryCount) / Double(Self.shardCount)
        let count = max(0, Int(average - 4 * average.squareRoot()))
        var capacity = Shard.smallestCapacity
        while Shard.isFull(count: count, capacity: capacity) { capacity *= 2 }
        for shard in 0..<Self.shardCount where shards[shard].capacity < capacity { grow(shard, to: capacity) }
    }

    private func grow(_ shard: Int, to capacity: Int) {
        let old = shards[shard].capacity
        let entries = memory(forShard: shard, capacity: capacity)
        locks[shard].withWriteLock { shards[shard].move(to: entries, capacity: capacity) }
        byteCount += (capacity - old) * MemoryLayout<UInt64>.stride
        memories[old]!.shardCount -= 1
        if memories[old]!.shardCount == 0 { memories.removeValue(forKey: old)!.memory.deallocate() }
    }

    /// The memory for the entries of a shard with this capacity. It is all zero, because a shard never has the same
    /// capacity twice.
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

    /// Removes the entry of `row`, and calls `body` before any other thread can look up the id. Store thread only.
    func remove(_ row: UInt32, _ hash: Hash, _ body: () -> Void) {
        locks[hash.shard].withWriteLock {
            let wasThere = shards[hash.shard].remove(row, hash.tag)
            precondition(wasThere, "row \(row) is not in the id table")
            body()
        }
    }

    /// The size in bytes of a table with this many entries, if its shards have equally many.
    static func byteCount(entryCount: Int) -> Int {
        var capacity = Shard.smallestCapacity
        while Shard.isFull(count: (entryCount + shardCount - 1) / shardCount, capacity: capacity) { capacity *= 2 }
        return shardCount * capacity * MemoryLayout<UInt64>.stride
    }

    private struct Shard {
        static let smallestCapacity = 16

        private(set) var capacity: Int
        private var count = 0
        private var entries: UnsafeMutablePointer<UInt64>

        /// A shard without entries. The memory must be all zero.
        init(_ entries: UnsafeMutablePointer<UInt64>, capacity: Int) {
            self.entries = entries
            self.capacity = capacity
        }

        /// Whether one more entry would fill more than three quarters of the shard.
        var isFull: Bool { Self.isFull(count: count + 1, capacity: capacity) }

        static func isFull(count: Int, capacity: Int) -> Bool { count * 8 > capacity * 6 }

        private static func entry(_ row: UInt32, _ tag: UInt32) -> UInt64 {
            precondition(row < .max, "row \(row) is out of range")
            return UInt64(tag) << 32 | UInt64(row + 1)
        }

        private func home(_ entry: UInt64) -> Int {
            Int(truncatingIfNeeded: entry >> 32) & (capacity - 1)
        }

        @inline(__always)
        func prefetch(_ tag: UInt32) {
            SystemSupport.prefetch(entries + (Int(tag) & (capacity - 1)), byteCount: MemoryLayout<UInt64>.stride)
        }

        @inline(__always)
        func firstMatch<R>(_ tag: UInt32, _ body: (UInt32) -> R?) -> R? {
            var index = Int(tag) & (capacity - 1)
            // The loop ends at a free entry, because at most three quarters are used.
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

        /// The shard must have room.
        mutating func insert(_ row: UInt32, _ tag: UInt32) {
            place(Self.entry(row, tag))
            count += 1
        }

        private func place(_ entry: UInt64) {
            var index = home(entry)
            while entries[index] != 0 { index = (index + 1) & (capacity - 1) }
            entries[index] = entry
        }

        /// The new memory must be all zero.
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
            // Closes the hole: a later entry moves into it unless its home is after the hole. Distances are counted
            // around the ring.
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
