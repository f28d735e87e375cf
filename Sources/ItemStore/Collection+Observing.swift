import SamplingFrequency
import VectorIndex

/// Changes of statistics, by the writer thread alone: records, the sum of their counts, the draw table and the bank of
/// recent observations change together.
///
/// A batch names thousands of ids. It is applied in runs, and the draw lock is let go in between, so that who draws does
/// not wait for all of it. A run takes a fraction of a millisecond: waiting for those who draw, once a run, is what costs.
extension Collection {
    private static let entriesInRun = 1_024

    func applyObservation(_ hit: Hit, _ position: UInt64, _ entries: RowEntries<RecentBank.Entry>) {
        count(hit) { totals in
            forEachRun(of: entries, hit) { run in
                change(entries, run, totals) { record, _ in estimator.observe(&record, hit) }
                recent.set(position + UInt64(run.lowerBound), entries[run]) { chunk in
                    writer.dirtyRecentChunks.insert(chunk)
                    return true
                }
            }
        }
    }

    func applyFrequencies(_ hit: Hit, _ entries: RowEntries<FrequencyEntry>) {
        count(hit) { totals in
            forEachRun(of: entries, hit) { run in
                change(entries, run, totals) { record, entry in
                    estimator.set(&record, hit, gap: entry.gap, count: entry.count)
                }
            }
        }
    }

    /// Lets `body` change counts, in the epoch of the hit, and makes C their sum again.
    func count(_ hit: Hit, _ body: (FrequencyTotals) -> Void) {
        let epochs = decay.epoch(of: max(totals.lastStep, hit.step)) - totals.epoch
        if epochs > 0 {
            drawLock.withWriteLock {
                draws.rescale(byEpochs: epochs)
                publishTotals(hit)
            }
        }
        body(totals)
        publishTotals(hit)
        writer.dirty.totals = true
    }

    /// Step and C go together: what a hit weighs now, over what all of them weighed before it, could be anything.
    private func publishTotals(_ hit: Hit) {
        updateSummary {
            $0.totals.note(hit)
            $0.totals.count = writer.countSum.total(in: $0.totals.epoch)
            $0.drawByteCount = drawByteCount
        }
    }

    /// The memory of what is drawn from. Writer thread only.
    var drawByteCount: Int { draws.byteCount + recent.byteCount }

    /// Calls `body` with the next run of entries, under the draw lock. Whoever looks at counts without it sees those of half
    /// a run with the C of the last one at most.
    private func forEachRun(of entries: RowEntries<some RowEntry>, _ hit: Hit, _ body: (Range<Int>) -> Void) {
        for start in stride(from: 0, to: entries.count, by: Self.entriesInRun) {
            let run = start..<min(start + Self.entriesInRun, entries.count)
            drawLock.withWriteLock {
                body(run)
                publishTotals(hit)
            }
        }
    }

    /// Changes the statistics of the rows of a run of entries. Under the draw lock.
    @inline(__always)
    private func change<Entry>(
        _ entries: RowEntries<Entry>,
        _ run: Range<Int>,
        _ totals: FrequencyTotals,
        _ body: (inout FrequencyRecord, Entry) -> Void
    ) {
        // One access to both for the whole run: each costs as much as what is done to an entry.
        func changeAll(_ draws: inout DrawTable, _ sum: inout ExactSum) {
            for index in run {
                let ahead = index + Self.idsInStep
                if ahead < entries.count { warm(entries[ahead].row, &draws) }
                let entry = entries[index]
                change(entry.row, totals, &draws, &sum) { body(&$0, entry) }
            }
        }
        changeAll(&draws, &writer.countSum)
    }

    /// Asks for what `change` will look at: rows come in no order, and each would be a wait for memory twice over.
    @inline(__always)
    private func warm(_ row: UInt32, _ draws: inout DrawTable) {
        warmStatistics(chunk(of: row), Self.index(of: row))
        if let mark = draws.address(of: row) { prefetch(mark, byteCount: 1) }
    }

    /// Changes the statistics of a row.
    @inline(__always)
    private func change(
        _ row: UInt32,
        _ totals: FrequencyTotals,
        _ draws: inout DrawTable,
        _ sum: inout ExactSum,
        _ body: (inout FrequencyRecord) -> Void
    ) {
        let chunk = chunk(of: row)
        let index = Self.index(of: row)
        let old = chunk.pointee.statistics[index]
        var new = old
        body(&new)
        chunk.pointee.lock.withWriteLock { chunk.pointee.statistics[index] = new }
        draws.update(row, from: totals.count(of: old), to: totals.count(of: new))
        sum.subtract(old, decay)
        sum.add(new, decay)
        markStatistics(row)
    }
}

extension ExactSum {
    /// As C, measured in an epoch. What has faded to next to nothing is nothing: ids keep a trace of their counts
    /// (`CountDecay.convert`), so it would no longer be their sum.
    func total(in epoch: Int) -> Double {
        let total = value(exponentOffset: CountDecay.epochExponent * epoch)
        return total < 0x1p-960 ? 0 : total
    }

    mutating func add(_ record: FrequencyRecord, _ decay: CountDecay) {
        add(record.count, exponentOffset: CountDecay.epochExponent * decay.epoch(of: record.lastStep))
    }

    mutating func subtract(_ record: FrequencyRecord, _ decay: CountDecay) {
        subtract(record.count, exponentOffset: CountDecay.epochExponent * decay.epoch(of: record.lastStep))
    }
}
