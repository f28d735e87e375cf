import SamplingFrequency
import VectorIndex

/// Changes of statistics, by the writer thread alone: records, the sum of their counts, the draw table and the bank of
/// recent observations change together.
///
/// A batch names thousands of ids. It is applied in runs, and the draw lock is let go in between, so that who draws does
/// not wait for all of it.
extension Collection {
    private static let entriesInRun = 256

    func applyObservation(_ hit: Hit, _ position: UInt64, _ entries: UnsafeRawBufferPointer) {
        count(hit) { totals in
            forEachRun(of: entries, entryByteCount: RecentBank.Entry.byteCount) { run, first in
                forEachObservation(in: run) { index, entry in
                    change(entry.row, totals) { estimator.observe(&$0, hit) }
                    recordRecent(position + UInt64(first + index), entry)
                }
            }
        }
    }

    func applyFrequencies(_ hit: Hit, _ entries: UnsafeRawBufferPointer) {
        count(hit) { totals in
            forEachRun(of: entries, entryByteCount: Operation.frequencyEntryByteCount) { run, _ in
                forEachFrequencyEntry(in: run) { entry in
                    change(entry.row, totals) { estimator.set(&$0, hit, gap: entry.gap, count: entry.count) }
                }
            }
        }
    }

    /// Takes note of the step, lets `body` change counts, and makes C their sum again.
    func count(_ hit: Hit, _ body: (FrequencyTotals) -> Void) {
        begin(hit)
        body(totals)
        updateSummary { $0.totals.count = countTotal(in: $0.totals.epoch) }
    }

    /// C, measured in an epoch.
    func countTotal(in epoch: Int) -> Double {
        writer.countSum.value(exponentOffset: CountDecay.epochExponent * epoch)
    }

    /// Takes note of the step, and measures everything in a new epoch if the hit begins one.
    private func begin(_ hit: Hit) {
        let epochs = decay.epoch(of: max(totals.lastStep, hit.step)) - totals.epoch
        if epochs == 0 {
            updateSummary { $0.totals.note(hit) }
        } else {
            drawLock.withWriteLock {
                draws.rescale(byEpochs: epochs)
                updateSummary {
                    $0.totals.note(hit)
                    $0.totals.count = countTotal(in: $0.totals.epoch)
                }
            }
        }
        writer.dirty.totals = true
    }

    /// Calls `body` with the next run of entries, which begin with a row, and the number of the first, under the draw lock.
    private func forEachRun(
        of entries: UnsafeRawBufferPointer,
        entryByteCount: Int,
        _ body: (UnsafeRawBufferPointer, Int) -> Void
    ) {
        let runByteCount = Self.entriesInRun * entryByteCount
        for start in stride(from: 0, to: entries.count, by: runByteCount) {
            let run = UnsafeRawBufferPointer(rebasing: entries[start..<min(start + runByteCount, entries.count)])
            for offset in stride(from: 0, to: run.count, by: entryByteCount) {
                warm(UInt32(littleEndian: run.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
            }
            drawLock.withWriteLock { body(run, start / entryByteCount) }
        }
    }

    /// Asks for what `change` will look at: rows come in no order, and each would be a wait for memory three times over.
    private func warm(_ row: UInt32) {
        let chunk = chunk(of: row)
        let index = Self.index(of: row)
        prefetch(chunk.pointee.statistics + index, byteCount: MemoryLayout<FrequencyRecord>.stride)
        prefetch(chunk.pointee.flags + index, byteCount: 1)
        if let mark = draws.address(of: row) { prefetch(mark, byteCount: 1) }
    }

    /// Changes the statistics of a row. Under the draw lock.
    @inline(__always)
    private func change(_ row: UInt32, _ totals: FrequencyTotals, _ body: (inout FrequencyRecord) -> Void) {
        let chunk = chunk(of: row)
        let index = Self.index(of: row)
        let old = chunk.pointee.statistics[index]
        var new = old
        body(&new)
        chunk.pointee.lock.withWriteLock { chunk.pointee.statistics[index] = new }
        if chunk.pointee.flags[index].contains(.hasVector) {
            draws.update(row, from: totals.count(of: old), to: totals.count(of: new))
        }
        writer.countSum.subtract(old, decay)
        writer.countSum.add(new, decay)
        markStatistics(row)
    }

    /// Under the draw lock.
    private func recordRecent(_ position: UInt64, _ entry: RecentBank.Entry) {
        recent.set(position, entry)
        if recent.capacity > 0 { writer.dirtyRecentChunks.insert(recent.chunk(of: position)) }
    }

    @inline(__always)
    func forEachObservation(in entries: UnsafeRawBufferPointer, _ body: (Int, RecentBank.Entry) -> Void) {
        for index in 0..<entries.count / RecentBank.Entry.byteCount {
            let offset = index * RecentBank.Entry.byteCount
            let row = UInt32(littleEndian: entries.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            let generation = UInt32(littleEndian: entries.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self))
            body(index, RecentBank.Entry(row: row, generation: generation))
        }
    }

    func forEachFrequencyEntry(in entries: UnsafeRawBufferPointer, _ body: (FrequencyEntry) -> Void) {
        for offset in stride(from: 0, to: entries.count, by: Operation.frequencyEntryByteCount) {
            body(FrequencyEntry(entries, at: offset))
        }
    }
}

extension ExactSum {
    mutating func add(_ record: FrequencyRecord, _ decay: CountDecay) {
        add(record.count, exponentOffset: CountDecay.epochExponent * decay.epoch(of: record.lastStep))
    }

    mutating func subtract(_ record: FrequencyRecord, _ decay: CountDecay) {
        subtract(record.count, exponentOffset: CountDecay.epochExponent * decay.epoch(of: record.lastStep))
    }
}

/// One entry of a `frequencies` operation.
struct FrequencyEntry {
    let row: UInt32
    /// Nil: unchanged.
    let gap: Double?
    let count: Double?

    init(_ entries: UnsafeRawBufferPointer, at offset: Int) {
        row = UInt32(littleEndian: entries.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        let gap = Double(
            bitPattern: UInt64(littleEndian: entries.loadUnaligned(fromByteOffset: offset + 4, as: UInt64.self))
        )
        let count = Double(
            bitPattern: UInt64(littleEndian: entries.loadUnaligned(fromByteOffset: offset + 12, as: UInt64.self))
        )
        self.gap = gap.isNaN ? nil : gap
        self.count = count.isNaN ? nil : count
    }
}
