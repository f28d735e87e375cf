import SamplingFrequency
import SystemSupport

/// Taking over the statistics of another collection. Store thread only.
extension Collection {
    /// Forgets all statistics, producers and runs, and sets the totals, with a C of 0. Takes about 20 ms for a million
    /// rows, during which draws wait.
    func applyHandover(_ stored: StoredTotals, _ group: UInt64) {
        drawLock.withWriteLock {
            forgetStatistics(group)
            forgetRecent(group)
            if totalsRecord.isDue(group, for: 0) {
                totalsRecord.dirty.insert(0)
                recent.reset(position: stored.recentPosition)
                updateSummary { $0.totals = stored.totals(estimator) }
            }
            if isServing { rebuildPopulation() }
        }
        producers.removeAll(group: group)
        runs.removeAll(group: group)
        owner.countSum = ExactSum()
        owner.evictionShortage = nil
        evictions = EvictionQueue()
        countMemory()
    }

    private func forgetStatistics(_ group: UInt64) {
        if let sketch, let sketchPages {
            return sketch.changeAll(
                sum: &owner.countSum,
                isDue: { sketchPages.isDue(group, for: $0) },
                { $0 = .unseen }
            )
        }
        for row in 0..<owner.rowCount {
            let (chunk, index) = place(of: row)
            guard chunk.pointee.statistics[index] != .unseen,
                statisticsPages.isDue(group, for: StatisticsPages.page(of: row))
            else { continue }
            chunk.pointee.lock.withWriteLock { chunk.pointee.statistics[index] = .unseen }
            markStatistics(row)
        }
    }

    private func forgetRecent(_ group: UInt64) {
        for record in 0..<recentRecords.recordCount(of: self) where recentRecords.isDue(group, for: record) {
            recent.removeEntries(ofRecord: record)
            recentRecords.dirty.insert(record)
        }
    }

    /// Sets the statistics of rows or buckets, and C. Throws `corrupt` if there is no such row or bucket.
    func applyStatistics(_ entries: RowEntries<StatisticsEntry>, _ group: UInt64) throws(StoreError) {
        let highest = entries.lazy.map(\.row).max() ?? 0
        if let sketch, let sketchPages {
            guard Int(highest) < sketch.layout.totalBucketCount else {
                throw .corruptOperation(group: group, "there is no bucket \(highest)")
            }
            sketch.set(entries, sum: &owner.countSum, isDue: { sketchPages.isDue(group, for: $0) })
        } else {
            guard entries.isEmpty || highest < owner.rowCount else {
                throw .corruptOperation(group: group, "there is no row \(highest)")
            }
            drawLock.withWriteLock { set(entries, group) }
        }
        guard isServing else { return }
        updateSummary {
            $0.totals.count = owner.countSum.total(in: $0.totals.epoch)
            $0.drawByteCount = drawByteCount
        }
    }

    private func set(_ entries: RowEntries<StatisticsEntry>, _ group: UInt64) {
        let totals = totals
        for entry in entries where statisticsPages.isDue(group, for: StatisticsPages.page(of: entry.row)) {
            let (chunk, index) = place(of: entry.row)
            chunk.pointee.lock.withWriteLock { chunk.pointee.statistics[index] = entry.record }
            markStatistics(entry.row)
            guard isServing else { continue }
            // The row was forgotten before, so it has no count yet.
            population.update(entry.row, from: 0, to: totals.count(of: entry.record))
            owner.countSum.add(entry.record, decay)
        }
    }
}
