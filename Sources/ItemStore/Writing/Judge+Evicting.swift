import HeapModule
import PackedStrings
import SamplingFrequency
import Synchronization

/// The cap on the number of ids. When a capped collection has no room for a new id, it evicts the ids seen longest ago
/// that have only statistics. An id with an embedding or features stays, because a client has put it there. Among ids
/// seen at the same step, the one with the lowest row is evicted first.
///
/// One pass over all rows finds candidates for many evictions, usually a sixteenth of the cap. A pass takes a fraction
/// of a second for a million ids, and each eviction a microsecond or two.
extension Judge {
    private static let candidatesInPassMin = 1_024

    /// The rows to evict to make room for the ids that have no row in `found`. The caller frees the rows in the same
    /// group as the write that needs the room, so either both happen or neither. May commit the group, and then updates
    /// `found`.
    func victimsUnderCap(
        for ids: PackedStrings,
        _ found: inout [UInt32?],
        _ growth: ([UInt32?]) -> Int,
        in collection: Collection
    ) throws(StoreError) -> [UInt32] {
        guard let idCountMax = collection.configuration.idCountMax else { return [] }
        while true {
            let needed = victimCount(for: ids, found, idCountMax, in: collection)
            guard needed > 0 else { return [] }
            noteChange(of: found.compactMap { $0 }, in: collection)
            if group.pendingMemory.freedRowCount(in: collection) == 0, let shortage = collection.knownShortage,
                needed > shortage
            {
                throw Self.tooManyIDs(needed, available: shortage)
            }
            if let victims = takeVictims(needed, sparing: found, in: collection) { return victims }
            guard group.isEmpty else {
                try group.commitPending()
                found = collection.ownersRows(of: ids)
                try makeRoom(for: ids, &found, growth, in: collection)
                continue
            }
            collection.findEvictionCandidates(
                max(needed + found.count, idCountMax / 16, Self.candidatesInPassMin)
            )
            if let victims = takeVictims(needed, sparing: found, in: collection) { return victims }
            let available = collection.evictions.count { candidate in !found.contains(candidate.row) }
            collection.noteShortage(collection.evictions.count)
            throw Self.tooManyIDs(needed, available: available)
        }
    }

    private static func tooManyIDs(_ count: Int, available: Int) -> StoreError {
        StoreError(
            .limit,
            "got \(count) ids too many, \(available) of those without embedding and features can give way"
        )
    }

    /// The number of ids that must be evicted to make room for the new ones.
    private func victimCount(
        for ids: PackedStrings,
        _ found: [UInt32?],
        _ idCountMax: Int,
        in collection: Collection
    ) -> Int {
        let rowCount = collection.rowsInUse - group.pendingMemory.freedRowCount(in: collection)
        let newCount = found.count { $0 == nil }
        guard newCount > 0, rowCount + newCount > idCountMax else { return 0 }
        return rowCount + RoomDemand(ids, found, { _ in 0 }, isExact: true).newCount - idCountMax
    }

    /// Takes the rows of this many ids, those seen longest ago. Returns nil, and takes none, if there are fewer
    /// candidates, or if a pending operation changes one of them: only after a commit is it known when that id was seen
    /// last.
    private func takeVictims(_ count: Int, sparing found: [UInt32?], in collection: Collection) -> [UInt32]? {
        var taken: [EvictionCandidate] = []
        var spared: [EvictionCandidate] = []
        var mustCommit = false
        while taken.count < count, !mustCommit, let candidate = collection.evictions.popFirst() {
            let stamp = collection.reuse(of: candidate.row).pointee.stamp
            // The queue may have the same entry twice.
            guard collection.canEvict(candidate), stamp != RowStamp.freed(in: group.serial),
                candidate != taken.last, candidate != spared.last
            else { continue }
            if stamp == RowStamp.changed(in: group.serial) {
                spared.append(candidate)
                mustCommit = !found.contains(candidate.row)
            } else {
                taken.append(candidate)
            }
        }
        collection.evictions.putBack(spared)
        guard taken.count == count else {
            collection.evictions.putBack(taken)
            return nil
        }
        return taken.map(\.row)
    }
}

/// An id that may be evicted, with its state when it was found. Ordered by eviction.
struct EvictionCandidate: Comparable {
    let row: UInt32
    let generation: UInt32
    let lastStep: Int64

    static func < (left: EvictionCandidate, right: EvictionCandidate) -> Bool {
        (left.lastStep, left.row) < (right.lastStep, right.row)
    }
}

/// The ids that the cap evicts next: all that a pass has found, and all that would come before the last of these. An id
/// that is seen again may be added again, so an entry may be out of date.
struct EvictionQueue {
    private var candidates = Heap<EvictionCandidate>()
    /// The last candidate that the pass found. The queue has all candidates up to it.
    private var last: EvictionCandidate?
    /// With more entries than this, most are out of date.
    private var countMax = 0

    init() {}

    /// `candidates` are those seen longest ago, in their order.
    fileprivate init(_ candidates: [EvictionCandidate]) {
        last = candidates.last
        countMax = 2 * candidates.count + 1_024
        self.candidates = Heap(candidates)
    }

    /// No id that was last seen at a later step belongs in the queue.
    var horizon: Int64 { last?.lastStep ?? .min }

    fileprivate var count: Int { candidates.count }

    fileprivate func count(where isCounted: (EvictionCandidate) -> Bool) -> Int {
        candidates.unordered.count(where: isCounted)
    }

    fileprivate mutating func popFirst() -> EvictionCandidate? { candidates.popMin() }

    fileprivate mutating func putBack(_ more: [EvictionCandidate]) {
        for candidate in more { candidates.insert(candidate) }
    }

    /// Adds an id whose last step has changed, if it belongs in the queue. If there are too many entries, the next
    /// eviction makes another pass.
    mutating func add(_ row: UInt32, in collection: Collection) {
        guard let last, let candidate = collection.evictionCandidate(row), candidate <= last else { return }
        if candidates.count >= countMax {
            self = EvictionQueue()
        } else {
            candidates.insert(candidate)
        }
    }
}

/// The state of the collection after a pass that found too few candidates.
struct EvictionShortage {
    let evictableCount: Int
    let rowsInUse: Int
    let freedRowCount: Int
}

extension Collection {
    /// Finds the ids seen longest ago. No operation may be pending.
    fileprivate func findEvictionCandidates(_ count: Int) {
        var candidates: [EvictionCandidate] = []
        for row in 0..<owner.rowCount {
            if let candidate = evictionCandidate(row) { candidates.append(candidate) }
        }
        candidates.sort()
        evictions = EvictionQueue(Array(candidates.prefix(count)))
    }

    /// The number of ids that can be evicted, if a pass found too few and there can't be more now; otherwise nil. In a
    /// full collection, an id with only statistics can be new only if another id was freed.
    fileprivate var knownShortage: Int? {
        guard let shortage = owner.evictionShortage, shortage.rowsInUse == rowsInUse,
            shortage.freedRowCount == freedRowCount.load(ordering: .relaxed)
        else { return nil }
        return shortage.evictableCount
    }

    fileprivate func noteShortage(_ evictableCount: Int) {
        owner.evictionShortage = EvictionShortage(
            evictableCount: evictableCount,
            rowsInUse: rowsInUse,
            freedRowCount: freedRowCount.load(ordering: .relaxed)
        )
    }

    /// Whether the candidate has not changed since it was found.
    fileprivate func canEvict(_ candidate: EvictionCandidate) -> Bool {
        guard let now = evictionCandidate(candidate.row) else { return false }
        return now.generation == candidate.generation && now.lastStep == candidate.lastStep
    }

    /// The row as a candidate; nil if it is free or has an embedding or features.
    fileprivate func evictionCandidate(_ row: UInt32) -> EvictionCandidate? {
        let (chunk, index) = place(of: row)
        guard chunk.pointee.flags[index] == .isUsed, chunk.pointee.features[index] == nil else { return nil }
        return EvictionCandidate(
            row: row,
            generation: chunk.pointee.reuses[index].generation,
            lastStep: chunk.pointee.statistics[index].lastStep
        )
    }
}
