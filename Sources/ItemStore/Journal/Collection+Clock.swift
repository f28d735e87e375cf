import SamplingFrequency
import SystemSupport

/// Setting the clock of a collection. It takes about 10 ms for a million ids, and nothing else is written meanwhile.
extension Collection {
    /// Moves the clock from the step of `old` to that of `new`. If it goes back, ids and runs that are later than `new`
    /// are moved to it.
    func applyClock(from old: Hit, to new: Hit, _ group: UInt64) throws(StoreError) {
        if new.step < old.step {
            if let sketch, let sketchPages {
                sketch.changeAll(
                    sum: &owner.countSum,
                    isDue: { sketchPages.isDue(group, for: $0) },
                    { estimator.moveBack(&$0, from: old, to: new) }
                )
            } else {
                moveBackRows(from: old, to: new, group)
            }
            try runs.moveBack(to: new.step, group: group)
        }
        guard totalsRecord.isDue(group, for: 0) else { return }
        totalsRecord.dirty.insert(0)
        drawLock.withWriteLock {
            updateSummary {
                $0.totals.set(new)
                if isServing { $0.totals.count = owner.countSum.total(in: $0.totals.epoch) }
            }
            if isServing { rebuildPopulation() }
        }
    }

    private func moveBackRows(from old: Hit, to new: Hit, _ group: UInt64) {
        for row in 0..<owner.rowCount {
            let (chunk, index) = place(of: row)
            var record = chunk.pointee.statistics[index]
            guard record.lastStep > new.step, statisticsPages.isDue(group, for: StatisticsPages.page(of: row)) else {
                continue
            }
            if isServing { owner.countSum.subtract(record, decay) }
            estimator.moveBack(&record, from: old, to: new)
            if isServing { owner.countSum.add(record, decay) }
            chunk.pointee.lock.withWriteLock { chunk.pointee.statistics[index] = record }
            markStatistics(row)
        }
    }

    /// Builds the population again, because its counts may be in a later epoch than the clock now. Call under the draw
    /// lock.
    func rebuildPopulation() {
        population = WeightedRows()
        let totals = totals
        for row in 0..<owner.rowCount {
            let (chunk, index) = place(of: row)
            guard chunk.pointee.flags[index].contains(.hasVector) else { continue }
            population.insert(row, count: totals.count(of: chunk.pointee.statistics[index]))
        }
    }
}
