import PackedStrings
import SamplingFrequency

/// The rows of ids, and the check that there is room for new rows and for everything that grows with a write.
///
/// The check adds no sums: the memory of all collections is always known (`MemoryAccount`). A write that needs no more
/// memory is never refused. A refused write commits the group only if pending deletions may make room, so other
/// clients do not pay for it.
extension Judge {
    /// The row of an id. Reserves one if it has none. `json` are features that the write sets.
    func row(
        of id: [UInt8],
        withVector hasVector: Bool,
        _ json: [UInt8]?,
        in collection: Collection
    ) throws(StoreError) -> UInt32 {
        var ids = PackedStrings()
        ids.append(id)
        return try rows(of: ids, in: collection) { found in
            let ofFeatures = json.map { collection.featureGrowth(of: found[0], jsonByteCount: $0.count) } ?? 0
            return ofFeatures + (hasVector ? collection.drawTableGrowth(with: found[0]) : 0)
        }[0]
    }

    /// The rows of the ids. Reserves rows for the ids that have none. `growth` is the memory in bytes that the write
    /// needs besides new rows, or frees if it is negative; it gets the present rows. First commits the group if it
    /// frees the row of any of these ids, or if its deletions may make room.
    func rows(
        of ids: PackedStrings,
        in collection: Collection,
        growth: ([UInt32?]) -> Int = { _ in 0 }
    ) throws(StoreError) -> [UInt32] {
        var found = collection.ownersRows(of: ids)
        let isWaiting = found.contains { row in
            row.map { isBeingFreed($0, in: collection) } ?? false
        }
        if isWaiting {
            try group.commitPending()
            found = collection.ownersRows(of: ids)
        }
        try makeRoom(for: ids, &found, growth, in: collection)
        let victims = try victimsUnderCap(for: ids, &found, growth, in: collection)
        group.pendingMemory.noteChange(growth(found))
        for row in victims { free(row, in: collection) }
        let rows = found.indices.map { index in
            found[index] ?? ids.withString(index) { reserveRow(of: $0, in: collection) }
        }
        noteChange(of: rows, in: collection)
        return rows
    }

    /// As above, but if there is no room for all new ids, returns only the rows of the ids that have one.
    func rows(
        of ids: PackedStrings,
        in collection: Collection,
        skippingWhenFull isSkipping: Bool
    ) throws(StoreError) -> [UInt32] {
        do throws(StoreError) {
            return try rows(of: ids, in: collection)
        } catch {
            guard isSkipping, error.code == .full || error.code == .limit else { throw error }
            let rows = collection.ownersRows(of: ids).compactMap { $0 }
            noteChange(of: rows, in: collection)
            return rows
        }
    }

    /// Marks rows that the group changes, if the collection has a cap: see `takeVictims`.
    func noteChange(of rows: [UInt32], in collection: Collection) {
        guard collection.configuration.idCountMax != nil else { return }
        for row in rows { collection.reuse(of: row).pointee.stamp = RowStamp.changed(in: group.serial) }
    }

    func reserveRow(of id: UnsafeRawBufferPointer, in collection: Collection) -> UInt32 {
        let hash = IdentifierTable.Hash(id)
        // If an id occurs twice in the write, its row has been reserved already.
        if let row = collection.ownersRow(of: id, hash) { return row }
        let row = collection.reserveRow(for: id, hash)
        group.pendingMemory.noteChange(IdentifierSlot.outlinedByteCount(id.count))
        group.encoder.assign(collection: collection.number, row: row, id: id)
        return row
    }

    func isBeingFreed(_ row: UInt32, in collection: Collection) -> Bool {
        collection.reuse(of: row).pointee.stamp == RowStamp.freed(in: group.serial)
    }

    func free(_ row: UInt32, in collection: Collection) {
        collection.reuse(of: row).pointee.stamp = RowStamp.freed(in: group.serial)
        group.pendingMemory.noteFreedRow(in: collection, byteCount: collection.separateByteCount(of: row))
        group.encoder.free(collection: collection.number, row: row)
    }

    // MARK: - Room

    /// Throws `limit` or `full` unless there is room for the write. May commit the group, and then updates `found`.
    func makeRoom(
        for ids: PackedStrings,
        _ found: inout [UInt32?],
        _ growth: ([UInt32?]) -> Int,
        in collection: Collection
    ) throws(StoreError) {
        if hasRoom(for: RoomDemand(ids, found, growth, isExact: false), in: collection) { return }
        let demand = RoomDemand(ids, found, growth, isExact: true)
        if hasRoom(for: demand, in: collection) { return }
        if !group.isEmpty, hasRoom(for: demand, in: collection, afterCommit: true) {
            try group.commitPending()
            found = collection.ownersRows(of: ids)
        }
        try checkRoom(for: RoomDemand(ids, found, growth, isExact: true), in: collection)
    }

    /// With `afterCommit`, whether there may be room after a commit of the group, at best.
    private func hasRoom(for demand: RoomDemand, in collection: Collection, afterCommit: Bool = false) -> Bool {
        guard demand.newCount > 0 || demand.growthByteCount > 0 else { return true }
        let freedCount = afterCommit ? group.pendingMemory.freedRowCount(in: collection) : 0
        guard demand.newCount <= collection.rowsLeft + freedCount else { return false }
        let needed = collection.byteCount(of: demand, freedRowCount: freedCount)
        return needed == 0 || needed <= memoryLeft(afterCommit: afterCommit)
    }

    private func checkRoom(for demand: RoomDemand, in collection: Collection) throws(StoreError) {
        guard demand.newCount <= collection.rowsLeft else {
            throw StoreError(
                .limit,
                "got \(demand.newCount) new ids, the collection has room for \(collection.rowsLeft) more"
            )
        }
        let needed = collection.byteCount(of: demand, freedRowCount: 0)
        guard needed > 0 else { return }
        let purpose = demand.newCount > 0 ? "\(demand.newCount) new ids that need" : "a write that needs"
        try checkMemory(needed, for: purpose)
    }

    /// Throws `full` unless the limit leaves this many bytes of memory. `purpose` is the beginning of the message.
    func checkMemory(_ needed: Int, for purpose: @autoclosure () -> String) throws(StoreError) {
        guard needed <= memoryLeft(afterCommit: false) else {
            let (used, most) = (catalogue.memory.byteCount + group.pendingMemory.growthByteCount, limits.memoryBytesMax)
            throw StoreError(.full, "got \(purpose()) \(needed) bytes of memory, \(used) of \(most) are used")
        }
    }

    private func memoryLeft(afterCommit: Bool) -> Int {
        guard limits.memoryBytesMax < .max else { return .max }
        let pending = group.pendingMemory
        let change = afterCommit ? -pending.freedByteCount : pending.growthByteCount
        return limits.memoryBytesMax - catalogue.memory.byteCount - change
    }
}

/// The room that a write needs.
struct RoomDemand {
    /// The number of new ids. Without `isExact`, an id that occurs twice in the write counts twice.
    private(set) var newCount = 0
    /// The memory in bytes besides rows and the id table.
    private(set) var growthByteCount: Int

    init(_ ids: PackedStrings, _ found: [UInt32?], _ growth: ([UInt32?]) -> Int, isExact: Bool) {
        growthByteCount = max(0, growth(found))
        var known: Set<[UInt8]> = []
        for index in found.indices where found[index] == nil {
            if isExact, !known.insert(Array(ids[index])).inserted { continue }
            newCount += 1
            growthByteCount += IdentifierSlot.outlinedByteCount(ids.withString(index) { $0.count })
        }
    }
}

/// How the memory of a collection grows with a write. Store thread only.
extension Collection {
    /// The number of rows that belong to an id, including reserved rows.
    var rowsInUse: Int { Int(owner.rowCount) - owner.freeRows.count }

    fileprivate var rowsLeft: Int { Int(Self.rowCountMax) - rowsInUse }

    /// The memory in bytes that a write takes when this many rows have become free.
    fileprivate func byteCount(of demand: RoomDemand, freedRowCount: Int) -> Int {
        let rowsInChunks = chunks.count * ItemChunk.rowCount - rowsInUse + freedRowCount
        let chunkCount = max(0, demand.newCount - rowsInChunks + ItemChunk.rowCount - 1) / ItemChunk.rowCount
        let entryCount = rowsInUse - freedRowCount + demand.newCount
        let tableGrowth = demand.newCount > 0 ? IdentifierTable.byteCount(entryCount: entryCount) : 0
        return chunkCount * ItemChunk.byteCount(dimension: configuration.dimension)
            + max(0, tableGrowth - identifiers.byteCount) + demand.growthByteCount
    }

    /// The bytes by which the features of a row grow, negative if they shrink; nil stands for a new row.
    func featureGrowth(of row: UInt32?, jsonByteCount: Int) -> Int {
        FeatureText.byteCount(jsonByteCount: jsonByteCount) - (row.map(featureByteCount) ?? 0)
    }

    /// The bytes by which the draw table grows when the row gets an embedding; nil stands for a new row.
    func drawTableGrowth(with row: UInt32?) -> Int {
        let row = row ?? owner.freeRows.first ?? owner.rowCount
        return population.growth(toHold: row)
    }
}
