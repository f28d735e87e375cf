import PackedStrings
import SamplingFrequency

/// Handing the statistics of one collection over to another. How often an item is in the batches follows from the
/// stream of batches, not from the model. So a new model's collection takes them over when it takes the name.
///
/// The journal gets the statistics themselves, not just the name of their source. The source may have changed further
/// in the tables when the journal is replayed, because the checkpoint copies records at different moments.
extension Judge {
    private static let entriesInOperation = 1_024
    /// Memory for each entry until the end of the commit: in the group, and in the pages of the journal.
    private static let bytesOfEntry = 3 * StatisticsEntry.byteCount
    /// The size of a group has 32 bits.
    private static let handoverBytesMax = 1 << 31

    /// Encodes everything that makes the statistics of the target those of the source. No operations may be pending.
    /// Ids that the target does not know get rows. If its cap leaves no room for all of them, those seen last do. Its
    /// own ids without an embedding, features or new statistics are removed.
    ///
    /// Throws `badRequest` if the estimators differ, and `full` or `limit` if there is no room. Takes one or two
    /// seconds for a million ids, during which nothing else is written.
    func encodeHandover(from source: Collection, to target: Collection) throws(StoreError) {
        if let difference = source.configuration.estimatorDifference(from: target.configuration) {
            throw StoreError(
                .badRequest,
                "got collections with another \(difference), so statistics of one mean nothing in the other"
            )
        }
        if let sketch = source.sketch {
            let count = sketch.usedBucketCount
            try checkGroup(byteCount: count * StatisticsEntry.byteCount)
            try checkMemory(count * Self.bytesOfEntry, for: "statistics that need")
            group.encoder.handover(collection: target.number, StoredTotals(source))
            encodeStatistics(sketch.usedBuckets, of: target)
        } else {
            let rows = try encodeRows(of: source, in: target)
            group.encoder.handover(collection: target.number, StoredTotals(source))
            let entries = source.observedRows.lazy.compactMap { row in
                rows[Int(row)].map { StatisticsEntry(row: $0, source.statistics(of: row)) }
            }
            encodeStatistics(entries, of: target)
            encodeRecent(of: source, rows, in: target)
        }
        for (place, run) in source.runs.list.entries.enumerated() {
            group.encoder.run(collection: target.number, run, place: place)
        }
        for (place, producer) in source.producers.list.entries.enumerated() {
            group.encoder.producer(collection: target.number, producer, place: place)
        }
    }

    private func checkGroup(byteCount: Int) throws(StoreError) {
        guard byteCount <= Self.handoverBytesMax else {
            throw StoreError(
                .limit,
                "got \(byteCount) bytes of ids and statistics, a swap can take over \(Self.handoverBytesMax)"
            )
        }
    }

    private func encodeStatistics(_ entries: some Sequence<StatisticsEntry>, of target: Collection) {
        var turn: [StatisticsEntry] = []
        for entry in entries {
            turn.append(entry)
            guard turn.count == Self.entriesInOperation else { continue }
            group.encoder.statistics(collection: target.number, turn)
            turn.removeAll(keepingCapacity: true)
        }
        if !turn.isEmpty { group.encoder.statistics(collection: target.number, turn) }
    }

    /// Observations of ids that have no row in the target are left out, but keep their places in the bank.
    private func encodeRecent(of source: Collection, _ rows: [UInt32?], in target: Collection) {
        let entries = source.recent.observations.map { entry in
            guard entry != .none, source.reuse(of: entry.row).pointee.generation == entry.generation,
                let row = rows[Int(entry.row)]
            else { return RecentBank.Entry.none }
            return RecentBank.Entry(row: row, generation: target.reuse(of: row).pointee.generation)
        }
        guard !entries.isEmpty else { return }
        let position = source.recent.position - UInt64(entries.count)
        group.encoder.recent(collection: target.number, position: position, entries)
    }

    /// By row of the source, the row of the same id in the target; nil if the id has no statistics or finds no room.
    /// Encodes new and removed rows.
    private func encodeRows(of source: Collection, in target: Collection) throws(StoreError) -> [UInt32?] {
        var rows = [UInt32?](repeating: nil, count: Int(source.owner.rowCount))
        var isTaken = [Bool](repeating: false, count: Int(target.owner.rowCount))
        var newcomers: [UInt32] = []
        for row in source.observedRows {
            let known = source.withID(of: row) { target.ownersRow(of: $0, IdentifierTable.Hash($0)) }
            rows[Int(row)] = known
            if let known { isTaken[Int(known)] = true } else { newcomers.append(row) }
        }
        let removed = target.rowsWithOnlyStatistics.filter { !isTaken[Int($0)] }
        let knownCount = isTaken.count { $0 }
        if let idCountMax = target.configuration.idCountMax {
            newcomers = source.seenLast(newcomers, max(0, idCountMax - target.rowsInUse + removed.count))
        }
        var ids = PackedStrings()
        for row in newcomers { source.withID(of: row) { ids.append($0) } }
        let assignedByteCount = ids.byteCount + 16 * ids.count
        try checkGroup(byteCount: (knownCount + ids.count) * StatisticsEntry.byteCount + assignedByteCount)
        var found = [UInt32?](repeating: nil, count: ids.count)
        try makeRoom(for: ids, &found, { _ in (knownCount + ids.count) * Self.bytesOfEntry }, in: target)
        for row in removed { free(row, in: target) }
        for (index, row) in newcomers.enumerated() {
            rows[Int(row)] = ids.withString(index) { reserveRow(of: $0, in: target) }
        }
        return rows
    }
}

extension Collection {
    /// The rows with statistics, in order. Store thread only, like the rest.
    fileprivate var observedRows: some Sequence<UInt32> {
        (0..<owner.rowCount).lazy.filter { self.statistics(of: $0) != .unseen }
    }

    /// The rows of ids without an embedding and features.
    fileprivate var rowsWithOnlyStatistics: [UInt32] {
        (0..<owner.rowCount).filter { row in
            let (chunk, index) = place(of: row)
            return chunk.pointee.flags[index] == .isUsed && chunk.pointee.features[index] == nil
        }
    }

    fileprivate func statistics(of row: UInt32) -> Statistics {
        chunk(of: row).pointee.statistics[Self.index(of: row)]
    }

    fileprivate func withID<R>(of row: UInt32, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        let (chunk, index) = place(of: row)
        return body(IdentifierSlot.bytes(chunk.pointee.identifiers + index))
    }

    /// At most this many of the rows, those seen last.
    fileprivate func seenLast(_ rows: [UInt32], _ count: Int) -> [UInt32] {
        guard rows.count > count else { return rows }
        let sorted = rows.sorted { (-statistics(of: $0).lastStep, $0) < (-statistics(of: $1).lastStep, $1) }
        return Array(sorted.prefix(count))
    }
}
