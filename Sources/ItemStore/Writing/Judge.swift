import PackedStrings
import SamplingFrequency
import VectorIndex

/// Judges writes: checks a write and encodes it as operations, given all earlier writes. Store thread only.
///
/// Every function checks first and encodes last, so a write that fails leaves no operation in the group. If a write
/// can't be judged while an earlier one is pending, the group is committed first.
final class Judge {
    let group: GroupCommit
    let records: CatalogueRecords
    let limits: StoreLimits
    private let checkpointer: Checkpointer
    private let health: StoreHealth

    init(
        _ group: GroupCommit,
        _ records: CatalogueRecords,
        _ checkpointer: Checkpointer,
        _ limits: StoreLimits,
        _ health: StoreHealth
    ) {
        self.group = group
        self.records = records
        self.checkpointer = checkpointer
        self.limits = limits
        self.health = health
    }

    var catalogue: Catalogue { records.catalogue }

    func judge(_ write: Write) throws(StoreError) -> Judgement {
        // With an empty group no row is reserved, so the checkpoint may copy.
        if group.isEmpty { try checkpointer.makeRoomInJournal() }
        switch write {
        case .create(let name, let configuration, let ifExists):
            try create(name, configuration, ifExists)
        case .createLike(let name, let like, let dimension, let metric, let ifExists):
            try create(name, like: like, dimension: dimension, metric: metric, ifExists)
        case .drop(let name):
            try drop(name)
        case .swap(let first, let second, let statistics):
            try swap(first, second, statistics)
        case .put(let name, let id, let vector, let features):
            try judgePut(try collection(name), id, vector, features)
        case .delete(let name, let ids):
            return .outcome(.deleted(judgeDelete(try collection(name), ids)))
        case .setFeatures(let name, let id, let json):
            try judgeFeatures(try collection(name), id, json)
        case .mergeFeatures(let name, let id, let patch):
            try judgeMerge(try collection(name), id, patch)
        case .observe(let name, let step, let sequence, let ids, let returnsFrequencies, let skipsWhenFull):
            let collection = try collection(name)
            let rows = try judgeObserve(collection, step, sequence, ids, skipsWhenFull)
            if returnsFrequencies { return .readBack(ReadBack(collection: collection, ids: ids, rows: rows)) }
            if skipsWhenFull {
                return .outcome(.counted(except: rows == nil ? collection.withoutRow(ids) : PackedStrings()))
            }
        case .setFrequencies(let name, let step, let ids, let gaps, let counts):
            try judgeFrequencies(try collection(name), step, ids, gaps, counts)
        case .setClock(let name, let step):
            try setClock(name, to: step)
        case .replicate(let operations, let source):
            try judgeReplicated(operations, source)
        }
        return .outcome(.done)
    }

    private func collection(_ name: String) throws(StoreError) -> Collection {
        guard let collection = catalogue[name] else { throw .noCollection(name) }
        return collection
    }

    // MARK: - One id

    private func judgePut(
        _ collection: Collection,
        _ id: [UInt8],
        _ vector: [Float],
        _ features: [UInt8]?
    ) throws(StoreError) {
        try collection.configuration.check(vector, as: .embedding)
        let row = try row(of: id, withVector: true, features, in: collection)
        group.encoder.embedding(collection: collection.number, row: row, vector: vector)
        if let features { group.setFeatures(of: row, in: collection, features) }
    }

    private func judgeDelete(_ collection: Collection, _ ids: PackedStrings) -> [Bool] {
        collection.ownersRows(of: ids).map { row in
            guard let row, !isBeingFreed(row, in: collection) else { return false }
            free(row, in: collection)
            return true
        }
    }

    // MARK: - Statistics

    private func judgeObserve(
        _ collection: Collection,
        _ step: RequestedStep,
        _ sequence: ProducerSequence?,
        _ ids: PackedStrings,
        _ skipsWhenFull: Bool
    ) throws(StoreError) -> [UInt32]? {
        var producerByteCount = 0
        let entry = sequence.map { ProducerEntry($0, at: step) }
        var place: Int?
        let known = entry.flatMap { collection.owner.judgedSequences[$0.name] }
        // A repeated request was counted at its step, wherever the clock is now.
        if let known, known == entry { return nil }
        // Checked before any row is reserved, and computed again after that, because a commit may change the last step.
        let first = try clockStep(step, in: collection)
        if let entry {
            if let known, entry.number <= known.number { return nil }
            place = try self.place(of: entry, sparing: step.run, in: collection)
            if place == collection.owner.judgedSequences.count {
                producerByteCount = ProducerEntry.byteCount(of: entry.name)
                try checkMemory(producerByteCount, for: "a new writer that needs")
            }
        }
        var rows: [UInt32]?
        if let sketch = collection.sketch {
            let hit = take(first, mayBeLate: true, in: collection)
            encodeSketchObservation(hit, ids, sketch, in: collection)
        } else {
            rows = try encodeObservation(step, ids, skipsWhenFull, in: collection)
        }
        if let entry, let place {
            group.pendingMemory.noteChange(producerByteCount)
            collection.owner.judgedSequences.set(entry, at: place)
            group.encoder.producer(collection: collection.number, entry, place: place)
        }
        return rows
    }

    /// The place of a producer. If all are taken, a new producer of a named run takes the place of one of an older run.
    private func place(
        of entry: ProducerEntry,
        sparing run: String,
        in collection: Collection
    ) throws(StoreError) -> Int {
        let sequences = collection.owner.judgedSequences
        if let place = sequences.place(of: entry.name) { return place }
        if sequences.count < limits.producersMax { return sequences.count }
        guard let place = sequences.placeOfOldestRun(collection.owner.judgedRuns, sparing: run) else {
            throw StoreError(
                .limit,
                "got writer '\(entry.name)', the collection knows \(limits.producersMax) already"
            )
        }
        return place
    }

    /// Returns the rows of the ids, or nil if some of them found no room.
    private func encodeObservation(
        _ step: RequestedStep,
        _ ids: PackedStrings,
        _ skipsWhenFull: Bool,
        in collection: Collection
    ) throws(StoreError) -> [UInt32]? {
        let rows = try rows(of: ids, in: collection, skippingWhenFull: skipsWhenFull)
        let hit = take(try clockStep(step, in: collection), mayBeLate: true, in: collection)
        // A pending deletion was committed by `rows(of:in:)`, so the generation is that of the id.
        let entries = rows.map { row in
            RecentBank.Entry(row: row, generation: collection.reuse(of: row).pointee.generation)
        }
        let position = collection.owner.judgedRecentPosition
        group.encoder.observe(collection: collection.number, hit, position: position, entries)
        collection.owner.judgedRecentPosition += UInt64(entries.count)
        return rows.count == ids.count ? rows : nil
    }

    private func judgeFrequencies(
        _ collection: Collection,
        _ step: RequestedStep,
        _ ids: PackedStrings,
        _ gaps: [Double],
        _ counts: [Double]
    ) throws(StoreError) {
        _ = try clockStep(step, in: collection)
        if let sketch = collection.sketch {
            try commitBeforeSketchFrequencies(sketch)
            let hit = take(try clockStep(step, in: collection), mayBeLate: false, in: collection)
            return encodeSketchFrequencies(hit, ids, gaps, counts, sketch, in: collection)
        }
        let rows = try rows(of: ids, in: collection)
        let hit = take(try clockStep(step, in: collection), mayBeLate: false, in: collection)
        group.encoder.frequencies(collection: collection.number, hit, rows: rows, gaps: gaps, counts: counts)
    }
}

extension Collection {
    /// Resets the judged state to the durable state.
    func forgetJudged() {
        owner.judgedSequences = producers.list
        owner.judgedRuns = runs.list
        owner.judgedTotals = totals
        owner.judgedRecentPosition = recent.position
        // Candidates may have been taken for evictions that did not happen.
        evictions = EvictionQueue()
    }
}
