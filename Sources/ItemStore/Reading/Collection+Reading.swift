package import PackedStrings
package import SamplingFrequency
import SystemSupport
package import VectorIndex

/// Lookups of ids in memory, from any thread. Each id is read under its chunk's lock, so no reader sees a half-written
/// vector, or an id with the data of another. A caller with thousands of ids passes them range by range, so that it can
/// yield in between.
extension Collection {
    /// Features in the order of the ids. For an id without features, `json` has an empty string.
    package struct FeatureColumn: Sendable {
        package var json = PackedStrings()
        package var isPresent: [Bool] = []

        package init() {}

        mutating func append(_ text: FeatureText?) {
            append(text?.bytes)
        }

        mutating func append(_ bytes: UnsafeRawBufferPointer?) {
            if let bytes {
                json.append(bytes)
            } else {
                json.finishString()
            }
            isPresent.append(bytes != nil)
        }

        /// Throws `limit` if the features so far, of an answer with `rowCount` rows, are longer than a reply may be.
        func check(bytesMax: Int, of rowCount: Int) throws(StoreError) {
            guard json.byteCount > bytesMax else { return }
            let got = "got \(rowCount) rows with more than \(bytesMax) bytes of features"
            throw StoreError(.limit, "\(got), expected at most \(bytesMax): about \(isPresent.count - 1) of them fit")
        }
    }

    /// Calls `body` with each id and its embedding; nil if it has none. `body` runs under the lock of a chunk, so it
    /// must be quick and must not read the collection.
    package func forEachEmbedding(
        of ids: PackedStrings,
        _ range: Range<Int>,
        _ body: (UnsafeRawBufferPointer, UnsafeBufferPointer<Float>?) -> Void
    ) {
        // For several ids, `forEachID` prefetches earlier.
        let isAlone = range.count == 1
        forEachID(of: ids, range, prefetchRow: prefetchVector) { id, hash in
            let isFound: Void? = withRow(of: id, hash, prefetchRow: { if isAlone { prefetchVector($0, $1) } }) {
                chunk,
                index,
                _ in body(id, vector(chunk, index))
            }
            if isFound == nil { body(id, nil) }
        }
    }

    /// The embedding of one id.
    package func vector(of id: UnsafeRawBufferPointer) -> [Float]? {
        withRow(of: id, IdentifierTable.Hash(id)) { chunk, index, _ in vector(chunk, index).map(Array.init) } ?? nil
    }

    /// Calls `body` with each id and its features as JSON; nil if it has none. `body` runs under the lock of a chunk.
    /// So it must be quick and must not read the collection.
    package func forEachFeatures(
        of ids: PackedStrings,
        _ range: Range<Int>,
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer?) -> Void
    ) {
        forEachID(of: ids, range, prefetchRow: prefetchFeatures) { id, hash in
            let isFound: Void? = withRow(of: id, hash) { chunk, index, _ in body(id, chunk.features[index]?.bytes) }
            if isFound == nil { body(id, nil) }
        }
    }

    /// Calls `body` with each id and its frequencies.
    package func forEachEstimate(
        of ids: PackedStrings,
        _ range: Range<Int>,
        _ body: (UnsafeRawBufferPointer, FrequencyEstimate) -> Void
    ) {
        let summary = summary
        let (totals, itemCount) = (summary.totals, summary.itemCount)
        if let sketch {
            let records = sketchRecords(of: ids, range, in: sketch, totals)
            ids.withAllBytes { bytes in
                for (index, record) in zip(range, records) {
                    let id = UnsafeRawBufferPointer(rebasing: bytes[ids.range(index)])
                    body(id, estimate(record, totals: totals, liveItems: itemCount))
                }
            }
            return
        }
        forEachID(of: ids, range, prefetchRow: prefetchStatistics) { id, hash in
            let record = withRow(of: id, hash) { chunk, index, _ in chunk.statistics[index] } ?? .unseen
            body(id, estimate(record, totals: totals, liveItems: itemCount))
        }
    }

    /// The statistics and totals from which `frequencies` computes its result.
    func frequencySnapshot(of ids: PackedStrings, _ range: Range<Int>) -> FrequencySnapshot {
        let summary = summary
        if let sketch {
            let records = sketchRecords(of: ids, range, in: sketch, summary.totals)
            return FrequencySnapshot(records: records, totals: summary.totals, liveItems: summary.itemCount)
        }
        var records: [Statistics] = []
        records.reserveCapacity(range.count)
        forEachID(of: ids, range, prefetchRow: prefetchStatistics) { id, hash in
            records.append(withRow(of: id, hash) { chunk, index, _ in chunk.statistics[index] } ?? .unseen)
        }
        return FrequencySnapshot(records: records, totals: summary.totals, liveItems: summary.itemCount)
    }

    /// The same for rows that belong to ids, without locks. Store thread only.
    func ownersFrequencySnapshot(of rows: [UInt32]) -> FrequencySnapshot {
        let summary = summary
        let records = rows.map { chunk(of: $0).pointee.statistics[Self.index(of: $0)] }
        return FrequencySnapshot(records: records, totals: summary.totals, liveItems: summary.itemCount)
    }

    /// Calls `body` with each id and its score; nil for an id without an embedding. The query must have the dimension
    /// of the collection.
    package func forEachScore(
        of ids: PackedStrings,
        _ range: Range<Int>,
        against query: QueryVector,
        _ body: (UnsafeRawBufferPointer, Double?) -> Void
    ) {
        precondition(query.dimension == configuration.dimension)
        forEachEmbedding(of: ids, range) { id, vector in body(id, vector.map { query.score($0.baseAddress!) }) }
    }

    /// The lowest score of the ids, with the correction of the search; nil if no id has an embedding.
    func lowestScore(of ids: PackedStrings, against query: QueryVector, _ correction: ScoreCorrection?) -> Double? {
        var lowest: Double?
        forEachID(of: ids, 0..<ids.count, prefetchRow: prefetchVector) { id, hash in
            let score = withRow(of: id, hash) { chunk, index, _ in
                vector(chunk, index).map { vector in
                    let score = query.score(vector.baseAddress!)
                    return correction?.corrected(score, record(chunk, index)) ?? score
                }
            }
            if let score = score ?? nil { lowest = min(lowest ?? score, score) }
        }
        return lowest
    }

    /// Some items in row order.
    package struct Page {
        package var rows: [UInt32] = []
        package var ids = PackedStrings()
        /// The number of chunks that were read. It may be large, because many rows may have no embedding.
        package var chunkCount = 0
    }

    /// At most `limit` items with a row above `row`, in row order; nil begins at the first row. An item that exists
    /// throughout a series of scans appears in exactly one of them. A chunk without embeddings costs about 0.1 µs.
    package func scan(after row: UInt32?, limit: Int) -> Page {
        var page = Page()
        var next = row.map { Int($0) + 1 } ?? 0
        let end = chunks.count * ItemChunk.rowCount
        while next < end, page.rows.count < limit {
            let chunk = chunks[next / ItemChunk.rowCount]
            let indices = next % ItemChunk.rowCount..<ItemChunk.rowCount
            let firstRow = next - indices.lowerBound
            page.chunkCount += 1
            next = firstRow + ItemChunk.rowCount
            chunk.pointee.lock.withReadLock {
                guard chunk.pointee.hasVectors else { return }
                for index in indices where chunk.pointee.flags[index].contains(.hasVector) {
                    guard page.rows.count < limit else { return }
                    page.rows.append(UInt32(firstRow + index))
                    page.ids.append(IdentifierSlot.bytes(chunk.pointee.identifiers + index))
                }
            }
        }
        return page
    }

    // MARK: - Finding rows

    func prefetchVector(_ chunk: UnsafeMutablePointer<ItemChunk>, _ index: Int) {
        let dimension = configuration.dimension
        prefetch(chunk.pointee.flags + index, byteCount: 1)
        // The processor itself prefetches the cache lines after these.
        let byteCount = min(256, dimension * MemoryLayout<Float>.stride)
        prefetch(chunk.pointee.vectors + index * dimension, byteCount: byteCount)
    }

    func prefetchFeatures(_ chunk: UnsafeMutablePointer<ItemChunk>, _ index: Int) {
        prefetch(chunk.pointee.features + index, byteCount: MemoryLayout<FeatureText?>.stride)
    }

    func prefetchStatistics(_ chunk: UnsafeMutablePointer<ItemChunk>, _ index: Int) {
        prefetch(chunk.pointee.statistics + index, byteCount: MemoryLayout<Statistics>.stride)
    }

    /// Calls `body` with the chunk of the id's row, the row's index in the chunk, and the row. The chunk is locked for
    /// reading. Returns nil if the id has no row. `prefetchRow` gets the probable row before its id is compared.
    @inline(__always)
    func withRow<R>(
        of id: UnsafeRawBufferPointer,
        _ hash: IdentifierTable.Hash,
        prefetchRow: (UnsafeMutablePointer<ItemChunk>, Int) -> Void = { _, _ in },
        _ body: (ItemChunk, Int, UInt32) -> R
    ) -> R? {
        identifiers.firstMatch(hash) { row in
            let chunk = chunk(of: row)
            let index = Self.index(of: row)
            prefetchRow(chunk, index)
            return chunk.pointee.lock.withReadLock {
                guard IdentifierSlot.equals(chunk.pointee.identifiers + index, id) else { return nil }
                return body(chunk.pointee, index, row)
            }
        }
    }

    /// The vector of a row, or nil if it has none. It is valid while the chunk is locked.
    @inline(__always)
    func vector(_ chunk: ItemChunk, _ index: Int) -> UnsafeBufferPointer<Float>? {
        guard chunk.flags[index].contains(.hasVector) else { return nil }
        let dimension = configuration.dimension
        return UnsafeBufferPointer(start: chunk.vectors + index * dimension, count: dimension)
    }
}
