import SamplingFrequency
import SystemSupport
import VectorIndex

/// Applying operations that change statistics. The statistics, the sum of their counts, the population and the bank of
/// recent observations change together. Store thread only.
///
/// An operation may have thousands of entries. They are applied in turns of 1,024, and the draw lock is released after
/// each turn, so draws do not wait for all of them. A turn takes a fraction of a millisecond. More and shorter turns
/// would cost more, because each may have to wait for draws.
extension Collection {
    private static let entriesInTurn = 1_024

    func applyObservation(
        _ hit: Hit,
        _ lateness: Operation.Lateness,
        _ position: UInt64,
        _ entries: RowEntries<RecentBank.Entry>,
        _ group: UInt64
    ) {
        let mayBeLate = lateness == .dividesGaps
        count(hit, mayBeLate: mayBeLate, group) { totals in
            forEachTurn(of: entries, hit, mayBeLate: mayBeLate, group) { turn in
                change(entries, turn, totals, group) { record, _ in
                    estimator.observe(&record, hit)
                    if !mayBeLate { estimator.close(&record, through: .max) }
                }
                setRecent(position + UInt64(turn.lowerBound), entries[turn], group)
            }
        }
    }

    /// Writes observations to the bank. Call under the draw lock.
    func setRecent(_ position: UInt64, _ entries: some RandomAccessCollection<RecentBank.Entry>, _ group: UInt64) {
        recent.set(position, entries, movesPosition: totalsRecord.isDue(group, for: 0)) { record in
            guard recentRecords.isDue(group, for: record) else { return false }
            recentRecords.dirty.insert(record)
            return true
        }
    }

    func applyFrequencies(_ hit: Hit, _ entries: RowEntries<FrequencyEntry>, _ group: UInt64) {
        count(hit, mayBeLate: false, group) { totals in
            forEachTurn(of: entries, hit, mayBeLate: false, group) { turn in
                change(entries, turn, totals, group) { record, entry in
                    estimator.set(&record, hit, gap: entry.gap, count: entry.count)
                }
            }
        }
    }

    /// Calls `body` to change counts, with totals in the epoch of the hit. Afterwards C equals the sum of the counts
    /// again.
    func count(_ hit: Hit, mayBeLate: Bool, _ group: UInt64, _ body: (FrequencyTotals) -> Void) {
        let epochs = decay.epoch(of: max(totals.lastStep, hit.step)) - totals.epoch
        if epochs > 0, isServing {
            drawLock.withWriteLock {
                population.rescale(byEpochs: epochs)
                publishTotals(hit, mayBeLate: mayBeLate, group)
            }
        }
        body(totals)
        publishTotals(hit, mayBeLate: mayBeLate, group)
    }

    /// Publishes the step and C together. The weight of a hit at the new step, divided by the C of an earlier step,
    /// would mean nothing.
    private func publishTotals(_ hit: Hit, mayBeLate: Bool, _ group: UInt64) {
        guard totalsRecord.isDue(group, for: 0) else { return }
        totalsRecord.dirty.insert(0)
        updateSummary {
            $0.totals.note(hit, mayBeLate: mayBeLate)
            $0.totals.count = owner.countSum.total(in: $0.totals.epoch)
            $0.drawByteCount = drawByteCount
        }
    }

    /// The memory of the population and the bank in bytes. Store thread only.
    var drawByteCount: Int { population.byteCount + RecentBank.byteCount(capacity: recent.capacity) }

    /// Calls `body` with one turn of entries after another, under the draw lock. A reader without that lock may see
    /// half of a turn's counts together with the previous total.
    private func forEachTurn(
        of entries: RowEntries<some RowEntry>,
        _ hit: Hit,
        mayBeLate: Bool,
        _ group: UInt64,
        _ body: (Range<Int>) -> Void
    ) {
        for start in stride(from: 0, to: entries.count, by: Self.entriesInTurn) {
            let turn = start..<min(start + Self.entriesInTurn, entries.count)
            drawLock.withWriteLock {
                body(turn)
                publishTotals(hit, mayBeLate: mayBeLate, group)
            }
        }
    }

    /// Changes the statistics of the rows of some entries. Call under the draw lock.
    @inline(__always)
    private func change<Entry>(
        _ entries: RowEntries<Entry>,
        _ turn: Range<Int>,
        _ totals: FrequencyTotals,
        _ group: UInt64,
        _ body: (inout Statistics, Entry) -> Void
    ) {
        // Properties are accessed once for all entries, because an access costs as much as changing an entry.
        let evictionHorizon = evictions.horizon
        func changeAll(_ population: inout WeightedRows, _ sum: inout ExactSum) {
            for index in turn {
                let ahead = index + Self.lookahead
                if ahead < entries.count { prefetchCounts(entries[ahead].row, &population) }
                let entry = entries[index]
                change(entry.row, totals, evictionHorizon, &population, &sum) { body(&$0, entry) }
            }
        }
        guard isServing else { return replay(entries, turn, group, body) }
        changeAll(&population, &owner.countSum)
    }

    /// The same during recovery: there are no readers, no sums and no population yet. Pages that contain the change are
    /// skipped.
    private func replay<Entry>(
        _ entries: RowEntries<Entry>,
        _ turn: Range<Int>,
        _ group: UInt64,
        _ body: (inout Statistics, Entry) -> Void
    ) {
        for index in turn {
            let ahead = index + Self.lookahead
            if ahead < entries.count {
                prefetchStatistics(chunk(of: entries[ahead].row), Self.index(of: entries[ahead].row))
            }
            let entry = entries[index]
            guard statisticsPages.isDue(group, for: StatisticsPages.page(of: entry.row)) else { continue }
            let (chunk, index) = place(of: entry.row)
            body(&chunk.pointee.statistics[index], entry)
            markStatistics(entry.row)
        }
    }

    /// Prefetches the data that `change` reads. Rows come in no order, so without this each row would cost two cache
    /// misses.
    @inline(__always)
    private func prefetchCounts(_ row: UInt32, _ population: inout WeightedRows) {
        prefetchStatistics(chunk(of: row), Self.index(of: row))
        if let mark = population.address(of: row) { prefetch(mark, byteCount: 1) }
    }

    /// Changes the statistics of a row, and updates the population and the sum.
    @inline(__always)
    private func change(
        _ row: UInt32,
        _ totals: FrequencyTotals,
        _ evictionHorizon: Int64,
        _ population: inout WeightedRows,
        _ sum: inout ExactSum,
        _ body: (inout Statistics) -> Void
    ) {
        let chunk = chunk(of: row)
        let index = Self.index(of: row)
        let old = chunk.pointee.statistics[index]
        var new = old
        body(&new)
        chunk.pointee.lock.withWriteLock { chunk.pointee.statistics[index] = new }
        population.update(row, from: totals.count(of: old), to: totals.count(of: new))
        sum.subtract(old, decay)
        sum.add(new, decay)
        markStatistics(row)
        if new.lastStep <= evictionHorizon, new.lastStep != old.lastStep { evictions.add(row, in: self) }
    }
}

extension ExactSum {
    /// C, in the unit of an epoch. A sum below 2^-960 counts as 0. It would not match the counts that readers
    /// see, because `CountDecay.convert` never lets a count fade to 0.
    func total(in epoch: Int) -> Double {
        let total = value(exponentOffset: CountDecay.epochExponent * epoch)
        return total < 0x1p-960 ? 0 : total
    }

    mutating func add(_ record: Statistics, _ decay: CountDecay) {
        add(record.count, exponentOffset: CountDecay.epochExponent * decay.epoch(of: record.lastStep))
    }

    mutating func subtract(_ record: Statistics, _ decay: CountDecay) {
        subtract(record.count, exponentOffset: CountDecay.epochExponent * decay.epoch(of: record.lastStep))
    }
}
