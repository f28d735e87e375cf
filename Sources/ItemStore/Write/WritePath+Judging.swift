import PackedStrings
import SamplingFrequency
import VectorIndex

/// In which group a row is about to be freed, in the 32 bits a row that only the writer thread sees.
///
/// The stamp names the group, so nothing has to be cleared after a commit. After 2^32 groups an old stamp would seem to be
/// of the present group, hence a row that is handed out, and one whose deletion failed, gets `none`; serials begin at 1.
enum FreeStamp {
    static let none: UInt32 = 0
}

/// Judging: what a write means, as operations, given all that came before it.
///
/// Every function checks first and encodes last, so a write that fails leaves no operation behind. A function that has
/// to settle does so before it encodes anything: all operations of a write are in one group.
extension WritePath {
    func judge(_ write: Write) throws(StoreError) -> WriteOutcome {
        if write.isJournalled, encoder.isEmpty { try makeRoomInJournal() }
        switch write {
        case .create(let name, let configuration):
            try create(name, configuration)
        case .drop(let name):
            try drop(name)
        case .swap(let first, let second):
            try swap(first, second)
        case .put(let name, let id, let vector, let features):
            try judgePut(try collection(name), id, vector, features)
        case .delete(let name, let ids):
            return .deleted(judgeDelete(try collection(name), ids))
        case .setFeatures(let name, let id, let json):
            try judgeFeatures(try collection(name), id, json)
        case .observe(let name, let step, let sequence, let ids, _):
            try judgeObserve(try collection(name), step, sequence, ids)
        case .setFrequencies(let name, let step, let ids, let gaps, let counts):
            try judgeFrequencies(try collection(name), step, ids, gaps, counts)
        }
        return .done
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
        let dimension = collection.configuration.dimension
        guard vector.count == dimension else {
            throw StoreError(.dimension, "got \(vector.count) numbers, expected \(dimension)")
        }
        if collection.configuration.metric == .cosine, vector.allSatisfy({ $0 == 0 }) {
            throw StoreError(.badVector, "got a zero vector, which has no direction; the metric is cosine")
        }
        let row = try row(of: id, in: collection)
        encoder.embedding(collection: collection.number, row: row, vector: vector)
        if let features { encoder.features(collection: collection.number, row: row, json: features) }
    }

    private func judgeFeatures(_ collection: Collection, _ id: [UInt8], _ json: [UInt8]) throws(StoreError) {
        let row = try row(of: id, in: collection)
        encoder.features(collection: collection.number, row: row, json: json)
    }

    /// The row of an id; the id gets one if it has none.
    private func row(of id: [UInt8], in collection: Collection) throws(StoreError) -> UInt32 {
        var ids = PackedStrings()
        ids.append(id)
        return try rows(of: ids, in: collection)[0]
    }

    // MARK: - Many ids

    /// The rows of the ids; those that have none get one. Settles first if any of them is about to be freed.
    private func rows(of ids: PackedStrings, in collection: Collection) throws(StoreError) -> [UInt32] {
        var found = collection.rowsByWriter(of: ids)
        let isWaiting = found.contains { row in
            row.map { isBeingFreed($0, in: collection) } ?? false
        }
        // Rows that are about to be freed may make the room that is missing.
        if isWaiting || !encoder.isEmpty && !hasRoom(for: found, in: collection) {
            settle()
            try checkWritable()
            found = collection.rowsByWriter(of: ids)
        }
        let victims = try victimsUnderCap(for: &found, ids, in: collection)
        try checkRoom(for: found, in: collection)
        for row in victims { free(row, in: collection) }
        return found.indices.map { index in
            found[index]
                ?? ids.withString(index) { id in
                    let hash = IdentifierTable.Hash(id)
                    // An id that occurs twice in the line has got its row a moment ago.
                    if let row = collection.rowByWriter(of: id, hash) { return row }
                    let row = collection.reserveRow(for: id, hash)
                    encoder.assign(collection: collection.number, row: row, id: id)
                    return row
                }
        }
    }

    private func hasRoom(for found: [UInt32?], in collection: Collection) -> Bool {
        (try? checkRoom(for: found, in: collection)) != nil
    }

    /// Fails unless all ids that have no row can get one.
    func checkRoom(for found: [UInt32?], in collection: Collection) throws(StoreError) {
        let newCount = found.count { $0 == nil }
        let freeCount = collection.writer.freeRows.count
        let rowsLeft = Int(Collection.rowCountMax - collection.writer.rowCount) + freeCount
        guard newCount <= rowsLeft else {
            throw StoreError(.limit, "got \(newCount) new ids, the collection has room for \(rowsLeft) more")
        }
        let roomInChunks = collection.chunks.count * ItemChunk.rowCount - Int(collection.writer.rowCount) + freeCount
        guard newCount > roomInChunks, limits.memoryBytesMax < .max else { return }
        // Once in a thousand new ids, so it may ask every collection.
        let used = catalogue.all.reduce(0) { $0 + $1.memoryByteCount }
        let chunkCount = (newCount - roomInChunks + ItemChunk.rowCount - 1) / ItemChunk.rowCount
        let needed = chunkCount * ItemChunk.byteCount(dimension: collection.configuration.dimension)
        guard used + needed <= limits.memoryBytesMax else {
            throw StoreError(
                .full,
                "got \(newCount) new ids that need \(needed) bytes of memory, \(used) of \(limits.memoryBytesMax) are used"
            )
        }
    }

    private func isBeingFreed(_ row: UInt32, in collection: Collection) -> Bool {
        collection.life(of: row).pointee.freeStamp == groupSerial
    }

    private func judgeDelete(_ collection: Collection, _ ids: PackedStrings) -> [Bool] {
        collection.rowsByWriter(of: ids).map { row in
            guard let row, !isBeingFreed(row, in: collection) else { return false }
            free(row, in: collection)
            return true
        }
    }

    func free(_ row: UInt32, in collection: Collection) {
        collection.life(of: row).pointee.freeStamp = groupSerial
        pendingFreeCount += 1
        encoder.free(collection: collection.number, row: row)
    }

    // MARK: - Statistics

    private func judgeObserve(
        _ collection: Collection,
        _ requestedStep: Int64?,
        _ sequence: WriterSequence?,
        _ ids: PackedStrings
    ) throws(StoreError) {
        if let sequence {
            if let last = collection.writer.judgedSequences.lastNumber(of: sequence.writer) {
                if sequence.number <= last { return }
            } else if collection.writer.judgedSequences.count >= limits.sequenceWritersMax {
                throw StoreError(
                    .limit,
                    "got writer '\(sequence.writer)', the collection knows \(limits.sequenceWritersMax) already"
                )
            }
        }
        // Checked before any row is reserved, and asked again after, for settling may change the last step.
        let requested = try step(requestedStep, in: collection)
        if let sketch = collection.sketch {
            encodeSketchObservation(hit(at: requested, in: collection), ids, sketch, in: collection)
        } else {
            try encodeObservation(requestedStep, ids, in: collection)
        }
        if let sequence {
            collection.writer.judgedSequences.note(sequence)
            encoder.sequence(collection: collection.number, sequence)
        }
    }

    private func encodeObservation(
        _ requestedStep: Int64?,
        _ ids: PackedStrings,
        in collection: Collection
    ) throws(StoreError) {
        let rows = try rows(of: ids, in: collection)
        let hit = hit(at: try step(requestedStep, in: collection), in: collection)
        // A row that is about to be freed was settled, so its generation is that of the id.
        let entries = rows.map { row in
            RecentBank.Entry(row: row, generation: collection.life(of: row).pointee.generation)
        }
        let position = collection.writer.judgedRecentPosition
        encoder.observe(collection: collection.number, hit, position: position, entries)
        collection.writer.judgedRecentPosition += UInt64(entries.count)
    }

    private func judgeFrequencies(
        _ collection: Collection,
        _ requestedStep: Int64?,
        _ ids: PackedStrings,
        _ gaps: [Double],
        _ counts: [Double]
    ) throws(StoreError) {
        _ = try step(requestedStep, in: collection)
        if let sketch = collection.sketch {
            try settleForSketchFrequencies(sketch)
            let hit = hit(at: try step(requestedStep, in: collection), in: collection)
            return encodeSketchFrequencies(hit, ids, gaps, counts, sketch, in: collection)
        }
        let rows = try rows(of: ids, in: collection)
        let hit = hit(at: try step(requestedStep, in: collection), in: collection)
        encoder.frequencies(collection: collection.number, hit, rows: rows, gaps: gaps, counts: counts)
    }

    private func hit(at step: Int64, in collection: Collection) -> Hit {
        collection.writer.judgedLastStep = max(collection.writer.judgedLastStep, step)
        return collection.decay.hit(at: step)
    }

    /// The step that is meant: the one given, or the last one plus one. The first ever is 1.
    private func step(_ requested: Int64?, in collection: Collection) throws(StoreError) -> Int64 {
        if let requested { return requested }
        let last = collection.writer.judgedLastStep
        guard last < .max else {
            throw StoreError(.limit, "the last step is \(last), there is none after it")
        }
        return max(last, 0) + 1
    }
}

extension Collection {
    /// Forgets what writes that did not become durable would have changed.
    func forgetJudged() {
        writer.judgedSequences = writer.sequences
        writer.judgedLastStep = totals.lastStep
        writer.judgedRecentPosition = recent.position
        // Some were taken that have not given way.
        writer.evictionCandidates = []
    }
}
