import LMDB
import Logging

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The checkpoint keeps the journal short.
///
/// A pass notes the last group S, then copies every record that is dirty to its table, in row order, in small slices
/// between group commits. A record is copied as it is *now*, with all groups so far, and says so (`applied`); so the
/// tables are a fuzzy copy, and replay skips what a record already has. A row that changed a hundred times is written
/// once. When the pass has gone through, all groups up to S are in the tables: it notes S in `meta` and cuts the
/// journal up to S, in slices too.
///
/// Records of dropped collections are erased in slices when there is nothing else to do.
///
/// A slice runs only between groups: while one is judged, rows are reserved in memory of which the journal knows nothing.
struct Checkpoint {
    enum Phase {
        case idle
        case copying(CopyCursor)
        case cutting
    }

    var phase = Phase.idle
    /// All groups up to this one are in the tables.
    var checkpointedGroup: UInt64
    var lastGroup: UInt64
    /// What the `journal` table takes.
    var journalByteCount: Int
    var passCount = 0
    var droppedNumbers: [UInt32]
    /// The last slice failed: try again when some time has passed.
    var isStalled = false
    var retryTime: UInt64 = 0

    init(recovered: RecoveredState) {
        checkpointedGroup = recovered.checkpointedGroup
        lastGroup = recovered.lastGroup
        journalByteCount = recovered.journalByteCount
        droppedNumbers = recovered.droppedNumbers
        // What an earlier process has not finished cutting.
        if recovered.hasCutGroups { phase = .cutting }
    }

    var hasWorkUnderWay: Bool {
        if case .idle = phase { return !droppedNumbers.isEmpty }
        return true
    }

    mutating func noteGroup(_ group: UInt64, journalByteCount: Int) {
        lastGroup = group
        self.journalByteCount = journalByteCount
    }

    mutating func noteDropped(_ number: UInt32) {
        droppedNumbers.append(number)
    }
}

/// Where a pass stands.
struct CopyCursor {
    /// S: the groups up to here may be cut when the pass is through.
    let group: UInt64
    /// The collections still to copy, the next one last: by number, for one may be dropped before it is copied, and with
    /// the chunks that it had at S, for a pass must not run after a collection that grows as fast as it is copied.
    var collections: [(number: UInt32, chunkCount: Int)]
    /// Within the next collection.
    var place = Place()

    struct Place {
        private(set) var chunk = 0
        private(set) var stage = Stage.rows
        /// Of the bank of recent observations, which comes after all chunks.
        var recentChunk = 0
        /// Of the sketch, after that.
        var sketchRun = 0
        /// Within the stage of the chunk: records before this are copied.
        var index = 0

        enum Stage {
            case rows
            case features
            case frequency
        }

        mutating func enter(_ stage: Stage) {
            self.stage = stage
            index = 0
        }

        mutating func enterNextChunk() {
            chunk += 1
            enter(.rows)
        }
    }

    /// Wherever it stands: a collection may go in the middle of a chunk.
    mutating func enterNextCollection() {
        collections.removeLast()
        place = Place()
    }
}

/// A slice ends after so many bytes or so much time, whichever comes first.
private struct SliceBudget {
    private var byteCount: Int
    private let deadline: UInt64

    init(_ limits: StoreLimits) {
        byteCount = limits.checkpointSliceBytes
        deadline = monotonicNanoseconds() + UInt64(limits.checkpointSliceMilliseconds) * 1_000_000
    }

    mutating func spend(_ bytes: Int) {
        byteCount -= bytes
    }

    var isSpent: Bool { byteCount <= 0 || monotonicNanoseconds() >= deadline }
}

private func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

extension WritePath {
    private static let framesInCutSlice = 2048
    private static let recordsInEraseSlice = 4096

    /// One bounded piece of whatever checkpoint work there is. A failure is logged and tried again later; the journal
    /// still has everything. After one that storage can't be trusted beyond, it is all that can be trusted.
    func checkpointSlice(isIdle: Bool) {
        guard status.failure == nil else { return }
        if checkpoint.isStalled, !isIdle, monotonicNanoseconds() < checkpoint.retryTime { return }
        do throws(StoreError) {
            try advanceCheckpoint(startAt: isIdle ? 1 : limits.checkpointAtJournalBytes)
        } catch {
            if !checkpoint.isStalled {
                logger.error("a checkpoint slice failed, the journal stays", metadata: ["error": "\(error)"])
            }
            checkpoint.isStalled = true
            checkpoint.retryTime = monotonicNanoseconds() + UInt64(limits.idleCheckpointMilliseconds) * 1_000_000
        }
        publishStatus()
    }

    /// Before a group is judged: if the journal has reached its bound, writes wait for the checkpoint.
    func makeRoomInJournal() throws(StoreError) {
        while checkpoint.journalByteCount >= limits.journalBytesMax {
            try advanceCheckpoint(startAt: 1)
        }
    }

    /// At the end: copies everything and cuts the whole journal, so that the next start has nothing to replay.
    func finalCheckpoint() {
        do throws(StoreError) {
            try checkWritable()
            while checkpoint.journalByteCount > 0 {
                try advanceCheckpoint(startAt: 1)
            }
        } catch {
            logger.error("the last checkpoint failed, the journal stays", metadata: ["error": "\(error)"])
        }
        publishStatus()
    }

    func publishStatus() {
        status.journal = StoreStatus.JournalStatus(
            lastGroup: checkpoint.lastGroup,
            checkpointedGroup: checkpoint.checkpointedGroup,
            byteCount: checkpoint.journalByteCount,
            checkpointPassCount: checkpoint.passCount,
            droppedCollectionCount: checkpoint.droppedNumbers.count
        )
    }

    private func advanceCheckpoint(startAt journalByteCount: Int) throws(StoreError) {
        do {
            switch checkpoint.phase {
            case .idle:
                if checkpoint.journalByteCount >= journalByteCount {
                    let collections = catalogue.all.reversed().map { ($0.number, $0.chunks.count) }
                    checkpoint.phase = .copying(CopyCursor(group: checkpoint.lastGroup, collections: collections))
                } else if let number = checkpoint.droppedNumbers.last {
                    if try eraseSlice(of: number) { checkpoint.droppedNumbers.removeLast() }
                }
            case .copying(let cursor):
                try copySlice(cursor)
            case .cutting:
                try cutSlice()
            }
            checkpoint.isStalled = false
        } catch {
            throw noteFailure(StoreError(error))
        }
    }

    // MARK: - Copying

    private func copySlice(_ start: CopyCursor) throws {
        var cursor = start
        var undo: [(chunk: UnsafeMutablePointer<ItemChunk>, dirty: DirtyRecords)] = []
        var undoRecent: [(collection: Collection, dirty: ChunkBitmap)] = []
        var copiedSketchRuns: [(sketch: SketchBuckets, run: Int)] = []
        var copiedScalars: [Collection] = []
        let isThrough: Bool
        do {
            isThrough = try environment.write { transaction in
                var budget = SliceBudget(limits)
                while !budget.isSpent {
                    guard let (number, chunkCount) = cursor.collections.last else {
                        try tables.putInteger(cursor.group, for: MetaKey(.checkpoint), transaction)
                        return true
                    }
                    let collection = catalogue[number: number]
                    if let collection, cursor.place.chunk < chunkCount {
                        let chunk = collection.chunks[cursor.place.chunk]
                        undo.append((chunk, chunk.pointee.dirty.pointee))
                        try copyChunk(of: collection, &cursor.place, &budget, transaction)
                    } else if let collection,
                        let index = collection.writer.dirtyRecentChunks.first(from: cursor.place.recentChunk)
                    {
                        undoRecent.append((collection, collection.writer.dirtyRecentChunks))
                        budget.spend(try copyRecent(index, of: collection, transaction))
                        cursor.place.recentChunk = index + 1
                    } else if let collection, let sketch = collection.sketch,
                        let run = sketch.dirtyRuns.first(from: cursor.place.sketchRun)
                    {
                        budget.spend(try copySketch(run, sketch, of: collection, transaction))
                        copiedSketchRuns.append((sketch, run))
                        cursor.place.sketchRun = run + 1
                    } else {
                        if let collection {
                            try copyScalars(of: collection, transaction)
                            copiedScalars.append(collection)
                        }
                        cursor.enterNextCollection()
                    }
                }
                return false
            }
        } catch {
            for (chunk, dirty) in undo.reversed() { chunk.pointee.dirty.pointee = dirty }
            for (collection, dirty) in undoRecent.reversed() { collection.writer.dirtyRecentChunks = dirty }
            for (sketch, run) in copiedSketchRuns { sketch.dirtyRuns.insert(run) }
            throw error
        }
        for collection in copiedScalars { collection.writer.dirty = Collection.DirtyScalars() }
        if isThrough {
            checkpoint.checkpointedGroup = cursor.group
            checkpoint.phase = .cutting
        } else {
            checkpoint.phase = .copying(cursor)
        }
    }

    /// Copies the chunk at `place` until it is clean or the budget is spent.
    private func copyChunk(
        of collection: Collection,
        _ place: inout CopyCursor.Place,
        _ budget: inout SliceBudget,
        _ transaction: borrowing WriteTransaction
    ) throws {
        let chunk = collection.chunks[place.chunk]
        let dirty = chunk.pointee.dirty
        let firstRow = UInt32(place.chunk * ItemChunk.rowCount)
        let applied = checkpoint.lastGroup
        while !budget.isSpent {
            switch place.stage {
            case .rows:
                guard let index = dirty.pointee.rows.first(from: place.index) else {
                    place.enter(.features)
                    continue
                }
                let byteCount = try RowRecord.write(
                    chunk.pointee,
                    index,
                    key: RowKey(collection: collection.number, row: firstRow + UInt32(index)),
                    applied: applied,
                    dimension: collection.configuration.dimension,
                    in: tables.rows,
                    transaction
                )
                budget.spend(byteCount)
                dirty.pointee.rows.remove(index)
                place.index = index + 1
            case .features:
                guard let index = dirty.pointee.features.first(from: place.index) else {
                    place.enter(.frequency)
                    continue
                }
                let byteCount = try FeatureRecord.write(
                    chunk.pointee,
                    index,
                    key: FeatureKey(collection: collection.number, row: firstRow + UInt32(index)),
                    applied: applied,
                    in: tables.features,
                    transaction
                )
                budget.spend(byteCount)
                dirty.pointee.features.remove(index)
                place.index = index + 1
            case .frequency:
                guard let run = dirty.pointee.firstFrequencyRun(from: place.index) else {
                    return place.enterNextChunk()
                }
                let firstRun = firstRow / UInt32(DirtyRecords.rowsInFrequencyRun)
                let byteCount = try FrequencyRecords.writeRun(
                    chunk.pointee.statistics + run * DirtyRecords.rowsInFrequencyRun,
                    key: FrequencyKey(collection: collection.number, chunk: firstRun + UInt32(run)),
                    applied: applied,
                    in: tables.frequency,
                    transaction
                )
                budget.spend(byteCount)
                dirty.pointee.removeFrequency(run: run)
                place.index = run + 1
            }
        }
    }

    private func copyRecent(
        _ index: Int,
        of collection: Collection,
        _ transaction: borrowing WriteTransaction
    ) throws -> Int {
        collection.writer.dirtyRecentChunks.remove(index)
        return try FrequencyRecords.writeRecent(
            chunk: index,
            of: collection.recent,
            collection: collection.number,
            applied: checkpoint.lastGroup,
            in: tables.frequency,
            transaction
        )
    }

    private func copySketch(
        _ run: Int,
        _ sketch: SketchBuckets,
        of collection: Collection,
        _ transaction: borrowing WriteTransaction
    ) throws -> Int {
        let byteCount = try sketch.withRun(run) { records in
            try FrequencyRecords.writeRun(
                records,
                key: FrequencyKey(collection: collection.number, chunk: UInt32(run)),
                applied: checkpoint.lastGroup,
                in: tables.frequency,
                transaction
            )
        }
        sketch.dirtyRuns.remove(run)
        return byteCount
    }

    private func copyScalars(of collection: Collection, _ transaction: borrowing WriteTransaction) throws {
        let dirty = collection.writer.dirty
        if dirty.totals {
            try FrequencyRecords.writeTotals(
                collection.totals,
                recentPosition: collection.recent.position,
                collection: collection.number,
                applied: checkpoint.lastGroup,
                in: tables.frequency,
                transaction
            )
        }
        for chunk in 0..<32 where dirty.writerChunks & (1 << UInt32(chunk)) != 0 {
            try FrequencyRecords.writeWriters(
                chunk: chunk,
                of: collection.writer.sequences,
                collection: collection.number,
                applied: checkpoint.lastGroup,
                in: tables.frequency,
                transaction
            )
        }
    }

    // MARK: - Cutting and erasing

    private func cutSlice() throws {
        let last = checkpoint.checkpointedGroup
        let (count, byteCount) = try environment.write { transaction in
            let count = try transaction.deleteRange(
                from: JournalKey(group: 0, frame: 0),
                while: { $0.group <= last },
                limit: Self.framesInCutSlice,
                in: tables.journal
            )
            return (count, try transaction.byteCount(of: tables.journal))
        }
        checkpoint.journalByteCount = byteCount
        if count < Self.framesInCutSlice {
            checkpoint.phase = .idle
            checkpoint.passCount += 1
        }
    }

    /// Erases some records of a dropped collection; true when none is left.
    private func eraseSlice(of number: UInt32) throws -> Bool {
        try environment.write { transaction in
            var limit = Self.recordsInEraseSlice
            limit -= try erase(number, from: tables.rows, limit: limit, transaction)
            limit -= try erase(number, from: tables.features, limit: limit, transaction)
            limit -= try erase(number, from: tables.frequency, limit: limit, transaction)
            return limit > 0
        }
    }

    private func erase<Key: CollectionKey>(
        _ number: UInt32,
        from table: Table<Key>,
        limit: Int,
        _ transaction: borrowing WriteTransaction
    ) throws -> Int {
        try transaction.deleteRange(
            from: .first(of: number),
            while: { $0.collection == number },
            limit: limit,
            in: table
        )
    }
}
