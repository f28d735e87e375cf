import SamplingFrequency

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A collection while it is recovered, with the last group that each of its records contains.
final class LoadingCollection {
    let collection: Collection
    private var rowApplied: [UInt64] = []
    private var featuresApplied: [UInt64] = []
    /// Generations of features that come from the table and that no replayed operation has touched.
    private var featureGenerations: [UInt32: UInt32] = [:]
    private var runApplied: [UInt64] = []
    private var recentApplied: [Int: UInt64] = [:]
    private var totalsApplied: UInt64 = 0
    private var totals: FrequencyTotals
    /// The row whose parts are being read, and how many bytes of its vector are there.
    private var partialRow: UInt32?
    private var partialByteCount = 0
    private var partialApplied: UInt64 = 0

    private let sketch: LoadingSketch?

    init(_ collection: Collection) {
        self.collection = collection
        totals = FrequencyTotals(decay: collection.decay)
        sketch = collection.sketch.map { LoadingSketch($0, collection.estimator) }
    }

    private var vectorByteCount: Int { collection.configuration.dimension * MemoryLayout<Float>.size }

    private func place(of row: UInt32) -> (chunk: UnsafeMutablePointer<ItemChunk>, index: Int) {
        if Int(row) >= rowApplied.count {
            collection.chunks.grow(toHold: row)
            let rowCount = collection.chunks.count * ItemChunk.rowCount
            rowApplied.append(contentsOf: repeatElement(0, count: rowCount - rowApplied.count))
            featuresApplied.append(contentsOf: repeatElement(0, count: rowCount - featuresApplied.count))
            let runCount = rowCount / DirtyRecords.rowsInFrequencyRun
            runApplied.append(contentsOf: repeatElement(0, count: runCount - runApplied.count))
        }
        collection.writer.rowCount = max(collection.writer.rowCount, row + 1)
        return (collection.chunk(of: row), Collection.index(of: row))
    }

    // MARK: - Tables

    func loadFirstPart(_ value: UnsafeRawBufferPointer, key: RowKey) throws(StoreError) {
        try checkVectorIsWhole()
        guard key.row <= Collection.rowCountMax else { throw Checksum.corrupt(key, "rows", "the row is too high") }
        let record = try RowRecord.decodeFirst(value, key: key)
        let (chunk, index) = place(of: key.row)
        rowApplied[Int(key.row)] = record.applied
        chunk.pointee.lives[index].generation = record.generation
        chunk.pointee.flags[index] = record.flags
        guard record.flags.contains(.isUsed) == !record.id.isEmpty else {
            throw Checksum.corrupt(key, "rows", "got flags \(record.flags.rawValue) and \(record.id.count) bytes of id")
        }
        if !record.id.isEmpty { IdentifierSlot.set(chunk.pointee.identifiers + index, record.id) }
        if record.flags.contains(.hasVector) {
            partialRow = key.row
            partialByteCount = 0
            partialApplied = record.applied
            try appendFloats(record.floats, key: key)
        }
    }

    func loadNextPart(_ value: UnsafeRawBufferPointer, key: RowKey) throws(StoreError) {
        let (applied, floats) = try RowRecord.decodeNext(value, key: key)
        guard partialRow == key.row, partialApplied == applied else {
            throw Checksum.corrupt(key, "rows", "it does not belong to the part before it")
        }
        try appendFloats(floats, key: key)
    }

    private func appendFloats(_ floats: UnsafeRawBufferPointer, key: RowKey) throws(StoreError) {
        guard partialByteCount + floats.count <= vectorByteCount else {
            throw Checksum.corrupt(key, "rows", "got more than \(vectorByteCount) bytes of vector")
        }
        let (chunk, index) = place(of: key.row)
        let vector = UnsafeMutableRawPointer(chunk.pointee.vectors + index * collection.configuration.dimension)
        if let start = floats.baseAddress { memcpy(vector + partialByteCount, start, floats.count) }
        partialByteCount += floats.count
        if partialByteCount == vectorByteCount { partialRow = nil }
    }

    /// Fails if the parts of the row read last do not make a whole vector.
    func checkVectorIsWhole() throws(StoreError) {
        guard let row = partialRow else { return }
        let key = RowKey(collection: collection.number, row: row)
        throw Checksum.corrupt(key, "rows", "got \(partialByteCount) bytes of vector, expected \(vectorByteCount)")
    }

    func loadFeatures(_ value: UnsafeRawBufferPointer, key: FeatureKey) throws(StoreError) {
        guard key.row <= Collection.rowCountMax else { throw Checksum.corrupt(key, "features", "the row is too high") }
        let record = try FeatureRecord(value, key: key)
        let (chunk, index) = place(of: key.row)
        featuresApplied[Int(key.row)] = record.applied
        featureGenerations[key.row] = record.generation
        chunk.pointee.setFeatures(index, record.json)
    }

    func loadFrequency(_ value: UnsafeRawBufferPointer, key: FrequencyKey) throws(StoreError) {
        switch key.chunk {
        case FrequencyKey.totalsChunk:
            let recentPosition: UInt64
            (totalsApplied, totals, recentPosition) = try FrequencyRecords.readTotals(
                value,
                key: key,
                decay: collection.decay
            )
            collection.recent.restore(position: recentPosition)
        case FrequencyKey.firstRecentChunk..<FrequencyKey.firstWriterChunk:
            let index = Int(key.chunk - FrequencyKey.firstRecentChunk)
            let (applied, entries) = try FrequencyRecords.readRecent(value, key: key)
            guard collection.recent.restore(entries, at: index) else {
                throw Checksum.corrupt(key, "frequency", "the bank of recent observations has no room for it")
            }
            recentApplied[index] = applied
        case FrequencyKey.firstWriterChunk..<FrequencyKey.firstWriterChunk + 32:
            for writer in try FrequencyRecords.readWriters(value, key: key) { collection.writer.sequences.note(writer) }
        case 0..<UInt32(1 << 27):
            if let sketch { return try sketch.load(value, key: key) }
            let firstRow = key.chunk * UInt32(DirtyRecords.rowsInFrequencyRun)
            let (chunk, index) = place(of: firstRow)
            let statistics = chunk.pointee.statistics + index
            runApplied[Int(key.chunk)] = try FrequencyRecords.readRun(value, key: key, into: statistics)
        default:
            throw Checksum.corrupt(key, "frequency", "there is no such chunk")
        }
    }

    // MARK: - Replay

    /// Applies an operation to those records that do not contain it yet.
    func replay(_ operation: Operation, group: UInt64) throws(StoreError) {
        switch operation {
        case .assign(let row, let id):
            replayOnRow(row, group) { chunk, index in
                chunk.pointee.clearIdentity(index)
                IdentifierSlot.set(chunk.pointee.identifiers + index, id)
                chunk.pointee.flags[index] = .isUsed
            }
        case .free(let row):
            replayOnRow(row, group) { chunk, index in
                chunk.pointee.clearIdentity(index)
                chunk.pointee.lives[index].generation &+= 1
            }
            replayOnFeatures(row, group) { chunk, index in chunk.pointee.setFeatures(index, nil) }
            replayOnStatistics(row, group) { $0 = .unseen }
        case .embedding(let row, let vector):
            guard vector.count == vectorByteCount else {
                throw StoreError(.corrupt, "corrupt operation in table 'journal', group \(group): wrong dimension")
            }
            replayOnRow(row, group) { chunk, index in chunk.pointee.setVector(index, vector) }
        case .features(let row, let json):
            replayOnFeatures(row, group) { chunk, index in chunk.pointee.setFeatures(index, json) }
        case .observe(let hit, let position, let entries):
            replayOnTotals(group) { $0.note(hit) }
            replayOnStatistics(entries, group) { record, _ in collection.estimator.observe(&record, hit) }
            collection.recent.set(position, entries) { chunk in
                guard recentApplied[chunk, default: 0] < group else { return false }
                collection.writer.dirtyRecentChunks.insert(chunk)
                return true
            }
        case .frequencies(let hit, let entries):
            replayOnTotals(group) { $0.note(hit) }
            replayOnStatistics(entries, group) { record, entry in
                collection.estimator.set(&record, hit, gap: entry.gap, count: entry.count)
            }
        case .sequence(let number, let name):
            // Numbers only grow, which says all that `applied` could: a record that is newer is not set back.
            let writer = String(decoding: name, as: UTF8.self)
            if let last = collection.writer.sequences.lastNumber(of: writer), last >= number { return }
            collection.noteSequence(number, name)
        case .sketchObservation(let hit, let hashes):
            replayOnTotals(group) { $0.note(hit) }
            try checkedSketch(group).replayObservation(hit, hashes, group)
        case .sketchFrequencies(let hit, let entries):
            replayOnTotals(group) { $0.note(hit) }
            try checkedSketch(group).replayFrequencies(hit, entries, group)
        }
    }

    private func checkedSketch(_ group: UInt64) throws(StoreError) -> LoadingSketch {
        guard let sketch else {
            throw StoreError(.corrupt, "corrupt operation in table 'journal', group \(group): there is no sketch")
        }
        return sketch
    }

    private func replayOnRow(_ row: UInt32, _ group: UInt64, _ body: (UnsafeMutablePointer<ItemChunk>, Int) -> Void) {
        let (chunk, index) = place(of: row)
        guard rowApplied[Int(row)] < group else { return }
        body(chunk, index)
        collection.markRow(row)
    }

    private func replayOnFeatures(
        _ row: UInt32,
        _ group: UInt64,
        _ body: (UnsafeMutablePointer<ItemChunk>, Int) -> Void
    ) {
        let (chunk, index) = place(of: row)
        guard featuresApplied[Int(row)] < group else { return }
        body(chunk, index)
        featureGenerations[row] = nil
        collection.markFeatures(row)
    }

    private func replayOnStatistics(_ row: UInt32, _ group: UInt64, _ body: (inout FrequencyRecord) -> Void) {
        let (chunk, index) = place(of: row)
        guard runApplied[Int(row) / DirtyRecords.rowsInFrequencyRun] < group else { return }
        body(&chunk.pointee.statistics[index])
        collection.markStatistics(row)
    }

    /// There are millions of entries to replay, in no order: what the next ones need is asked for ahead.
    private func replayOnStatistics<Entry>(
        _ entries: RowEntries<Entry>,
        _ group: UInt64,
        _ body: (inout FrequencyRecord, Entry) -> Void
    ) {
        guard let highest = entries.lazy.map(\.row).max() else { return }
        _ = place(of: highest)
        runApplied.withUnsafeBufferPointer { runApplied in
            for (index, entry) in entries.enumerated() {
                let ahead = index + Collection.idsInStep
                if ahead < entries.count {
                    let row = entries[ahead].row
                    collection.warmStatistics(collection.chunk(of: row), Collection.index(of: row))
                }
                guard runApplied[Int(entry.row) / DirtyRecords.rowsInFrequencyRun] < group else { continue }
                let chunk = collection.chunk(of: entry.row)
                body(&chunk.pointee.statistics[Collection.index(of: entry.row)], entry)
                collection.markStatistics(entry.row)
            }
        }
    }

    private func replayOnTotals(_ group: UInt64, _ body: (inout FrequencyTotals) -> Void) {
        guard totalsApplied < group else { return }
        body(&totals)
        collection.writer.dirty.totals = true
    }

    // MARK: - The end

    /// Builds the id table, the draw table, the list of free rows and the sums.
    func finish() throws(StoreError) {
        var summary = Collection.Summary(totals: totals)
        for row in (0..<collection.writer.rowCount).reversed() {
            let (chunk, index) = (collection.chunk(of: row), Collection.index(of: row))
            let json = chunk.pointee.features[index]?.bytes
            let flags = chunk.pointee.flags[index]
            if let generation = featureGenerations[row], generation != chunk.pointee.lives[index].generation {
                let key = FeatureKey(collection: collection.number, row: row)
                let expected = chunk.pointee.lives[index].generation
                throw Checksum.corrupt(key, "features", "got generation \(generation), the row has \(expected)")
            }
            guard flags.contains(.isUsed) else {
                if json != nil {
                    let key = FeatureKey(collection: collection.number, row: row)
                    throw Checksum.corrupt(key, "features", "the row is free")
                }
                // Collected from the highest down, so the lowest free row is handed out first.
                collection.writer.freeRows.append(row)
                continue
            }
            let statistics = chunk.pointee.statistics[index]
            collection.writer.countSum.add(statistics, collection.decay)
            if flags.contains(.hasVector) {
                chunk.pointee.setCodes(index)
                collection.draws.insert(row, count: totals.count(of: statistics))
            }
            let id = IdentifierSlot.bytes(chunk.pointee.identifiers + index)
            let hash = IdentifierTable.Hash(id)
            if collection.rowByWriter(of: id, hash) != nil {
                let key = RowKey(collection: collection.number, row: row)
                throw Checksum.corrupt(key, "rows", "another row has the same id")
            }
            collection.identifiers.insert(row, hash)
            summary.idCount += 1
            summary.itemCount += flags.contains(.hasVector) ? 1 : 0
            summary.featureByteCount += json?.count ?? 0
            summary.longIdByteCount += IdentifierSlot.outlinedByteCount(id.count)
        }
        if let sketch { collection.writer.countSum = sketch.countSum() }
        summary.totals.count = collection.writer.countSum.total(in: totals.epoch)
        summary.drawByteCount = collection.drawByteCount
        collection.updateSummary { $0 = summary }
        collection.forgetJudged()
    }
}
