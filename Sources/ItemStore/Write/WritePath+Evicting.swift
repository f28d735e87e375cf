import PackedStrings
import SamplingFrequency
import Synchronization

/// A cap on the number of ids: when there is none left for a new id, those seen longest ago give way, if a count is all
/// that is known of them. Who has an embedding or features was put there by somebody, and stays.
///
/// The oldest are looked for in one pass over all rows, a sixteenth of the cap at a time, sorted: a pass costs a fraction
/// of a second for a million ids, and each id that gives way a microsecond or two. Until the next pass an id that was seen
/// again is passed over, and so is one that came meanwhile with a step of long ago.
extension WritePath {
    private static let candidatesInPassMin = 1_024

    /// The rows of the ids that have to give way for those of `ids` that have no row, in `found`; settles first if there are
    /// any, and then looks rows up again. Whoever asks frees them in the group of the request that needs the room: either both
    /// happen or neither.
    func victimsUnderCap(
        for found: inout [UInt32?],
        _ ids: PackedStrings,
        in collection: Collection
    ) throws(StoreError) -> [UInt32] {
        guard let idCountMax = collection.configuration.idCountMax else { return [] }
        func needed() -> Int {
            let newCount = countDistinct(ids, found)
            return newCount == 0 ? 0 : collection.rowsInUse + newCount - idCountMax
        }
        let neededAtFirst = needed()
        guard neededAtFirst > 0 else { return [] }
        if pendingFreeCount == 0, let shortage = collection.knownShortage, neededAtFirst > shortage {
            throw Self.tooManyIDs(neededAtFirst, available: shortage)
        }
        // What is pending may make ids newer, or free some.
        settle()
        try checkWritable()
        found = collection.rowsByWriter(of: ids)
        // Before any candidate is taken.
        try checkRoom(for: found, in: collection)
        let needed = needed()
        return needed > 0 ? try victims(needed, sparing: Set(found.compactMap { $0 }), in: collection) : []
    }

    private static func tooManyIDs(_ count: Int, available: Int) -> StoreError {
        StoreError(
            .limit,
            "got \(count) ids too many, \(available) of those without embedding and features can give way"
        )
    }

    /// How many different ids have no row.
    private func countDistinct(_ ids: PackedStrings, _ found: [UInt32?]) -> Int {
        var new: Set<[UInt8]> = []
        for index in found.indices where found[index] == nil { new.insert(Array(ids[index])) }
        return new.count
    }

    /// The rows of the ids seen longest ago. Fails, and nothing has changed, if there are fewer.
    private func victims(
        _ count: Int,
        sparing spared: Set<UInt32>,
        in collection: Collection
    ) throws(StoreError) -> [UInt32] {
        var victims = collection.takeVictims(count, sparing: spared)
        if victims.count < count {
            let wanted = max(count + spared.count, collection.configuration.idCountMax! / 16)
            collection.findEvictionCandidates(max(wanted, Self.candidatesInPassMin))
            victims = collection.takeVictims(count, sparing: spared)
        }
        guard victims.count == count else {
            collection.noteShortage(victims.count + spared.count)
            throw Self.tooManyIDs(count, available: victims.count)
        }
        return victims
    }
}

/// An id that may give way, as it was when it was found.
struct EvictionCandidate {
    let row: UInt32
    let generation: UInt32
    let lastStep: Int64
}

/// What a pass over all rows had found when it found too few.
struct EvictionShortage {
    let evictableCount: Int
    let rowsInUse: Int
    let freedRowCount: Int
}

extension Collection {
    /// Rows that belong to an id, those of writes that are judged included. Writer thread only.
    var rowsInUse: Int { Int(writer.rowCount) - writer.freeRows.count }

    /// Collects the ids seen longest ago; of those seen in the same step the lowest row first.
    fileprivate func findEvictionCandidates(_ count: Int) {
        var candidates: [EvictionCandidate] = []
        for row in 0..<writer.rowCount {
            if let candidate = evictionCandidate(row) { candidates.append(candidate) }
        }
        candidates.sort { ($0.lastStep, $0.row) < ($1.lastStep, $1.row) }
        writer.evictionCandidates = candidates.prefix(count).reversed()
    }

    /// The next candidates that may still give way, fewer if there are no more.
    fileprivate func takeVictims(_ count: Int, sparing spared: Set<UInt32>) -> [UInt32] {
        var victims: [UInt32] = []
        while victims.count < count, let candidate = writer.evictionCandidates.popLast() {
            if canEvict(candidate), !spared.contains(candidate.row) { victims.append(candidate.row) }
        }
        return victims
    }

    /// How many ids could give way when a pass had found too few; nil if there may be more by now. No id of a full
    /// collection begins to be one without embedding and features, unless another has gone.
    fileprivate var knownShortage: Int? {
        guard let shortage = writer.evictionShortage, shortage.rowsInUse == rowsInUse,
            shortage.freedRowCount == freedRowCount.load(ordering: .relaxed)
        else { return nil }
        return shortage.evictableCount
    }

    fileprivate func noteShortage(_ evictableCount: Int) {
        writer.evictionShortage = EvictionShortage(
            evictableCount: evictableCount,
            rowsInUse: rowsInUse,
            freedRowCount: freedRowCount.load(ordering: .relaxed)
        )
    }

    /// Whether nothing has happened to a candidate since it was found.
    fileprivate func canEvict(_ candidate: EvictionCandidate) -> Bool {
        guard let now = evictionCandidate(candidate.row) else { return false }
        return now.generation == candidate.generation && now.lastStep == candidate.lastStep
    }

    /// Nil if the row is free or has an embedding or features.
    private func evictionCandidate(_ row: UInt32) -> EvictionCandidate? {
        let chunk = chunk(of: row)
        let index = Self.index(of: row)
        guard chunk.pointee.flags[index] == .isUsed, chunk.pointee.features[index] == nil else { return nil }
        return EvictionCandidate(
            row: row,
            generation: chunk.pointee.lives[index].generation,
            lastStep: chunk.pointee.statistics[index].lastStep
        )
    }
}
