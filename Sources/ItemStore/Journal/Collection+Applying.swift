import SamplingFrequency
import Synchronization
import SystemSupport
import VectorIndex

/// Applying operations to a collection. Store thread only.
///
/// While a write is judged, a new id gets a *reserved* row. The id is in the id table at once, but the row is empty.
/// Readers treat an empty row as a missing id. Everything else is applied after the commit, from the bytes that are in
/// the journal.
extension Collection {
    /// Applies an operation of a durable group to this collection. After this, readers see the change. If the operation
    /// does not fit the collection, this throws `corrupt`, and nothing has changed.
    func apply(_ operation: Operation, group: UInt64) throws(StoreError) {
        switch operation {
        case .assign(let row, let id):
            try applyAssign(row, id, group)
        case .free(let row):
            try check(highestRow: row, group)
            applyFree(row, group)
        case .embedding(let row, let vector):
            try check(highestRow: row, group)
            guard vector.count == configuration.dimension * MemoryLayout<Float>.size else {
                throw .corruptOperation(group: group, "wrong dimension")
            }
            applyEmbedding(row, vector, group)
        case .features(let row, let json):
            try check(highestRow: row, group)
            applyFeatures(row, json, group)
        case .observe(let hit, let lateness, let position, let entries):
            if !isServing, let highest = entries.lazy.map(\.row).max() { try check(highestRow: highest, group) }
            applyObservation(hit, lateness, position, entries, group)
        case .frequencies(let hit, let entries):
            if !isServing, let highest = entries.lazy.map(\.row).max() { try check(highestRow: highest, group) }
            applyFrequencies(hit, entries, group)
        case .producer(let entry, let place):
            let byteCount = producers.list.byteCount
            try producers.set(entry, at: place, group: group)
            if producers.list.byteCount != byteCount { countMemory() }
        case .run(let run, let place):
            try runs.set(run, at: place, group: group)
        case .clock(let old, let new):
            try applyClock(from: old, to: new, group)
            // Ids may now have been seen last at other steps.
            evictions = EvictionQueue()
        case .sketchObservation(let hit, let lateness, let hashes):
            try applySketchObservation(hit, lateness, hashes, group)
        case .sketchFrequencies(let hit, let entries):
            try applySketchFrequencies(hit, entries, group)
        case .handover(let totals):
            applyHandover(totals, group)
        case .statistics(let entries):
            try applyStatistics(entries, group)
        case .recent(let position, let entries):
            drawLock.withWriteLock { setRecent(position, entries, group) }
        case .create, .drop, .swap, .source:
            preconditionFailure("got an operation of the store")
        }
    }

    private func check(highestRow row: UInt32, _ group: UInt64) throws(StoreError) {
        guard row < owner.rowCount else { throw .corruptOperation(group: group, "there is no row \(row)") }
    }

    // MARK: - Operations on one row

    /// While the collection serves, the row has its id already, because it was reserved when the write was judged.
    private func applyAssign(_ row: UInt32, _ id: UnsafeRawBufferPointer, _ group: UInt64) throws(StoreError) {
        guard row <= Self.rowCountMax else { throw .corruptOperation(group: group, "the row is too high") }
        makeRoom(for: row)
        guard rows.isDue(group, for: Int(row)) else { return }
        let (chunk, index) = place(of: row)
        rows.dirty.insert(Int(row))
        guard isServing else {
            chunk.pointee.clearIdentity(index)
            return chunk.pointee.setIdentity(index, id)
        }
        updateSummary {
            $0.idCount += 1
            $0.longIdByteCount += IdentifierSlot.outlinedByteCount(id.count)
        }
    }

    private func applyFree(_ row: UInt32, _ group: UInt64) {
        let (chunk, index) = place(of: row)
        let hadVector = chunk.pointee.flags[index].contains(.hasVector)
        let featureByteCount = featureByteCount(of: row)
        let idByteCount = IdentifierSlot.length(chunk.pointee.identifiers + index)
        let statistics = chunk.pointee.statistics[index]
        withoutReaders(of: row) {
            if rows.isDue(group, for: Int(row)) {
                chunk.pointee.clearIdentity(index)
                // Only a durable deletion raises the generation, because replay must compute the same one.
                chunk.pointee.reuses[index].generation &+= 1
                rows.dirty.insert(Int(row))
            }
            if features.isDue(group, for: Int(row)) {
                chunk.pointee.setFeatures(index, nil)
                features.dirty.insert(Int(row))
            }
            if statisticsPages.isDue(group, for: StatisticsPages.page(of: row)) {
                chunk.pointee.statistics[index] = .unseen
                markStatistics(row)
            }
        }
        guard isServing else { return }
        owner.countSum.subtract(statistics, decay)
        pushFreeRow(row)
        updateSummary {
            $0.idCount -= 1
            $0.itemCount -= hadVector ? 1 : 0
            $0.featureByteCount -= featureByteCount
            $0.longIdByteCount -= IdentifierSlot.outlinedByteCount(idByteCount)
            $0.totals.count = owner.countSum.total(in: $0.totals.epoch)
            $0.drawByteCount = drawByteCount
        }
    }

    /// Removes the row from the population and the id table, and calls `body`, which empties it. During recovery the
    /// row is in neither of them yet.
    private func withoutReaders(of row: UInt32, _ body: () -> Void) {
        guard isServing else { return body() }
        let (chunk, index) = place(of: row)
        drawLock.withWriteLock {
            if chunk.pointee.flags[index].contains(.hasVector) {
                population.remove(row, count: totals.count(of: chunk.pointee.statistics[index]))
            }
            removeFromTable(row, body)
        }
    }

    private func applyEmbedding(_ row: UInt32, _ vector: UnsafeRawBufferPointer, _ group: UInt64) {
        guard rows.isDue(group, for: Int(row)) else { return }
        let (chunk, index) = place(of: row)
        let isNew = !chunk.pointee.flags[index].contains(.hasVector)
        rows.dirty.insert(Int(row))
        // During recovery the codes are not computed here, but at the end.
        guard isServing else { return chunk.pointee.setVector(index, vector) }
        func setVector() {
            chunk.pointee.lock.withWriteLock {
                chunk.pointee.setVector(index, vector)
                chunk.pointee.setCodes(index)
            }
        }
        guard isNew else { return setVector() }
        let count = totals.count(of: chunk.pointee.statistics[index])
        drawLock.withWriteLock {
            setVector()
            population.insert(row, count: count)
            // Under the draw lock, because a draw uses this number of items.
            updateSummary {
                $0.itemCount += 1
                $0.drawByteCount = drawByteCount
            }
        }
    }

    private func applyFeatures(_ row: UInt32, _ json: UnsafeRawBufferPointer, _ group: UInt64) {
        guard features.isDue(group, for: Int(row)) else { return }
        let (chunk, index) = place(of: row)
        let oldByteCount = featureByteCount(of: row)
        chunk.pointee.lock.withWriteLock { chunk.pointee.setFeatures(index, json) }
        features.dirty.insert(Int(row))
        updateSummary {
            $0.featureByteCount += featureByteCount(of: row) - oldByteCount
            $0.longestFeatures = max($0.longestFeatures, json.count)
        }
    }

    @inline(__always)
    func markStatistics(_ row: UInt32) {
        // With a sketch there are no pages of rows: the pages of the sketch have their keys.
        if sketch == nil { statisticsPages.dirty.insert(StatisticsPages.page(of: row)) }
    }
}

/// Rows of ids. Store thread only.
extension Collection {
    static let rowCountMax = UInt32.max - 1

    /// The row of an id. It may be reserved for a write that is not durable yet.
    func ownersRow(of id: UnsafeRawBufferPointer, _ hash: IdentifierTable.Hash) -> UInt32? {
        identifiers.ownersFirstMatch(hash) { row in
            let (chunk, index) = place(of: row)
            return IdentifierSlot.equals(chunk.pointee.identifiers + index, id) ? row : nil
        }
    }

    /// The bytes of the heap that the features of a row take.
    func featureByteCount(of row: UInt32) -> Int {
        let (chunk, index) = place(of: row)
        return chunk.pointee.features[index]?.byteCount ?? 0
    }

    /// The bytes of the heap that freeing this row would release: those of a long id and of features.
    func separateByteCount(of row: UInt32) -> Int {
        let (chunk, index) = place(of: row)
        let idByteCount = IdentifierSlot.length(chunk.pointee.identifiers + index)
        return IdentifierSlot.outlinedByteCount(idByteCount) + featureByteCount(of: row)
    }

    /// Extends the rows that were handed out up to `row`.
    func makeRoom(for row: UInt32) {
        guard row >= owner.rowCount else { return }
        if Int(row) >= chunks.count * ItemChunk.rowCount {
            chunks.grow(toHold: row)
            countMemory()
        }
        owner.rowCount = row + 1
    }

    /// Reserves a row for an id that has none. There must be a row left.
    func reserveRow(for id: UnsafeRawBufferPointer, _ hash: IdentifierTable.Hash) -> UInt32 {
        let row = popFreeRow() ?? owner.rowCount
        precondition(row < Self.rowCountMax, "no row is left")
        reserve(row, for: id, hash)
        return row
    }

    /// Reserves this row for an id that has none. The row must be free, and not in the list of free rows.
    func reserve(_ row: UInt32, for id: UnsafeRawBufferPointer, _ hash: IdentifierTable.Hash) {
        makeRoom(for: row)
        let (chunk, index) = place(of: row)
        chunk.pointee.lock.withWriteLock { chunk.pointee.setIdentity(index, id) }
        chunk.pointee.reuses[index].stamp = RowStamp.none
        let tableByteCount = identifiers.byteCount
        identifiers.insert(row, hash)
        if identifiers.byteCount != tableByteCount { countMemory() }
    }

    /// Cancels a reservation, because its write did not become durable.
    func cancelReservation(of row: UInt32) {
        let (chunk, index) = place(of: row)
        removeFromTable(row) { chunk.pointee.clearIdentity(index) }
        pushFreeRow(row)
    }

    /// Cancels a deletion, because it did not become durable.
    func cancelFree(of row: UInt32) {
        reuse(of: row).pointee.stamp = RowStamp.none
    }

    /// Removes the id of a row from the id table, and calls `body` to empty the row. Holds the locks of the table's
    /// shard and of the chunk meanwhile.
    private func removeFromTable(_ row: UInt32, _ body: () -> Void) {
        let (chunk, index) = place(of: row)
        let hash = IdentifierTable.Hash(IdentifierSlot.bytes(chunk.pointee.identifiers + index))
        identifiers.remove(row, hash) {
            chunk.pointee.lock.withWriteLock {
                body()
                // Raised after the row is emptied. So a search that found the id here sees the higher count.
                freedRowCount.wrappingAdd(1, ordering: .releasing)
            }
        }
    }
}

extension ItemChunk {
    func setVector(_ index: Int, _ vector: UnsafeRawBufferPointer) {
        let dimension = vector.count / MemoryLayout<Float>.size
        memcpy(vectors + index * dimension, vector.baseAddress!, vector.count)
        flags[index].insert(.hasVector)
    }

    func setFeatures(_ index: Int, _ json: UnsafeRawBufferPointer?) {
        features[index]?.deallocate()
        features[index] = json.map { FeatureText(copying: $0) }
    }

    /// Encodes the vector of the row. The row keeps its slot as long as it has an embedding.
    func setCodes(_ index: Int) {
        if slots[index] == SlotSpan.noSlot { slots[index] = span.take(for: index) }
        span.set(slots[index], vectors + index * span.slab.dimension)
    }

    /// Sets the id of an empty row.
    func setIdentity(_ index: Int, _ id: UnsafeRawBufferPointer) {
        IdentifierSlot.set(identifiers + index, id)
        flags[index] = .isUsed
    }

    /// Removes the id and the embedding.
    func clearIdentity(_ index: Int) {
        IdentifierSlot.clear(identifiers + index)
        flags[index] = []
        guard slots[index] != SlotSpan.noSlot else { return }
        span.release(slots[index])
        slots[index] = SlotSpan.noSlot
    }
}

extension IdentifierSlot {
    /// The bytes of the heap that an id of this length takes outside its slot.
    static func outlinedByteCount(_ length: Int) -> Int {
        length > 15 ? allocatedByteCount(length) : 0
    }
}
