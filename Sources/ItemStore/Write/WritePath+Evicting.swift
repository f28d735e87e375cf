import PackedStrings
import SamplingFrequency

/// A cap on the number of ids: when there is none left for a new id, those seen longest ago give way, if a count is all
/// that is known of them. Who has an embedding or features was put there by somebody, and stays.
///
/// The oldest are looked for in one pass over all rows, a sixteenth of the cap at a time, sorted: a pass costs a fraction
/// of a second for a million ids, and each id that gives way a microsecond or two. Until the next pass an id that was seen
/// again is passed over.
extension WritePath {
    private static let candidatesInPassMin = 1_024

    /// Frees as many ids as are needed for those of `found` that have no row. True if there was anything to do: rows have
    /// changed then.
    func makeRoomUnderCap(
        for found: [UInt32?],
        _ ids: PackedStrings,
        in collection: Collection
    ) throws(StoreError) -> Bool {
        guard let idCountMax = collection.configuration.idCountMax else { return false }
        let newCount = countDistinct(ids, found)
        guard newCount > 0, collection.rowsInUse + newCount > idCountMax else { return false }
        // What is pending may make ids newer, or free some.
        settle()
        try checkWritable()
        let needed = collection.rowsInUse + newCount - idCountMax
        if needed > 0 {
            let victims = try victims(needed, sparing: Set(found.compactMap { $0 }), in: collection)
            for row in victims { free(row, in: collection) }
            settle()
            try checkWritable()
        }
        return true
    }

    /// How many different ids have no row.
    private func countDistinct(_ ids: PackedStrings, _ found: [UInt32?]) -> Int {
        var new: Set<[UInt8]> = []
        for index in found.indices where found[index] == nil { new.insert(Array(ids[index])) }
        return new.count
    }

    /// The rows of the ids that give way. Fails, and nothing has changed, if there are fewer.
    private func victims(
        _ count: Int,
        sparing spared: Set<UInt32>,
        in collection: Collection
    ) throws(StoreError) -> [UInt32] {
        var victims: [UInt32] = []
        var hasLooked = false
        while victims.count < count {
            guard let candidate = collection.writer.evictionCandidates.popLast() else {
                guard !hasLooked else {
                    throw StoreError(
                        .limit,
                        "got \(count) ids too many, \(victims.count) of those without embedding and features can give way"
                    )
                }
                hasLooked = true
                victims = []
                let wanted = max(count + spared.count, collection.configuration.idCountMax! / 16)
                collection.findEvictionCandidates(max(wanted, Self.candidatesInPassMin))
                continue
            }
            if collection.canEvict(candidate), !spared.contains(candidate.row) { victims.append(candidate.row) }
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
