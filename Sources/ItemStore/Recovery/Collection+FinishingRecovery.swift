import SamplingFrequency
import SystemSupport
import VectorIndex

extension Collection {
    /// Ends the recovery, after the records were loaded and the journal was replayed. Builds everything that is not
    /// stored: the id table, the population, the codes, the list of free rows and the sums. After this the collection
    /// serves. Throws `corrupt`.
    func finishRecovery() throws(StoreError) {
        try producers.finishRecovery()
        try runs.finishRecovery()
        var summary = Summary(totals: totals)
        owner.countSum = ExactSum()
        // The codes take about as long as everything else here, and share nothing with it.
        let encoder = PlatformThread { self.encodeVectors() }
        defer { encoder.join() }
        identifiers.reserve(entryCount: usedRowCount)
        for row in (0..<owner.rowCount).reversed() {
            if row >= Self.rowsAhead { prefetchInTable(row - Self.rowsAhead) }
            try features.checkGeneration(of: row, in: self)
            let (chunk, index) = place(of: row)
            if chunk.pointee.flags[index].contains(.isUsed) {
                try enterInTables(row, &summary)
            } else {
                // The loop begins with the highest row, so that the lowest free row is handed out first.
                pushFreeRow(row)
            }
        }
        if let sketchPages { owner.countSum = sketchPages.countSum() }
        summary.totals.count = owner.countSum.total(in: totals.epoch)
        summary.drawByteCount = drawByteCount
        updateSummary { $0 = summary }
        forgetJudged()
        features.finishLoading()
        for kind in kinds { kind.applied = AppliedGroups() }
        isServing = true
    }

    /// Computes the codes of all rows with an embedding. It changes only slots and codes.
    private func encodeVectors() {
        for number in 0..<chunks.count {
            let chunk = chunks[number]
            for index in 0..<ItemChunk.rowCount where chunk.pointee.flags[index].contains([.isUsed, .hasVector]) {
                chunk.pointee.setCodes(index)
            }
        }
    }

    private var usedRowCount: Int {
        (0..<chunks.count).reduce(0) { count, number in
            let flags = UnsafeBufferPointer(start: chunks[number].pointee.flags, count: ItemChunk.rowCount)
            return count + flags.count { $0.contains(.isUsed) }
        }
    }

    private static let rowsAhead: UInt32 = 16

    /// Prefetches the place of the row's id in the id table. Ids are in no order there, so each look-up would wait for
    /// memory.
    private func prefetchInTable(_ row: UInt32) {
        let (chunk, index) = place(of: row)
        guard chunk.pointee.flags[index].contains(.isUsed) else { return }
        identifiers.ownersPrefetch(IdentifierTable.Hash(IdentifierSlot.bytes(chunk.pointee.identifiers + index)))
    }

    /// Adds a row that belongs to an id to the id table, the population and the sums.
    private func enterInTables(_ row: UInt32, _ summary: inout Summary) throws(StoreError) {
        let (chunk, index) = place(of: row)
        let statistics = chunk.pointee.statistics[index]
        owner.countSum.add(statistics, decay)
        if chunk.pointee.flags[index].contains(.hasVector) {
            population.insert(row, count: totals.count(of: statistics))
            summary.itemCount += 1
        }
        let id = IdentifierSlot.bytes(chunk.pointee.identifiers + index)
        let hash = IdentifierTable.Hash(id)
        if ownersRow(of: id, hash) != nil {
            throw Checksum.corrupt(RowKey(collection: number, row: row), "rows", "another row has the same id")
        }
        identifiers.insert(row, hash)
        summary.idCount += 1
        summary.featureByteCount += featureByteCount(of: row)
        summary.longestFeatures = max(summary.longestFeatures, chunk.pointee.features[index]?.bytes.count ?? 0)
        summary.longIdByteCount += IdentifierSlot.outlinedByteCount(id.count)
    }
}
