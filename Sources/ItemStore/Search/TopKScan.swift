import Foundation
import PackedStrings
import SamplingFrequency
import VectorIndex

/// What one thread does in a `TopKPass`: scans chunks, and keeps the best of what it has seen for each query.
struct TopKScan {
    private let collection: Collection
    private let queries: [TopKQuery]
    private let excluded: [Set<ArraySlice<UInt8>>]
    private let summary: Collection.Summary
    private(set) var selections: [TopKSelection<SelectedColumns>]
    private var isDropped: [Bool]

    init(_ collection: Collection, _ queries: [TopKQuery]) {
        self.collection = collection
        self.queries = queries
        excluded = queries.map { query in Set((0..<query.except.count).map { query.except[$0] }) }
        summary = collection.summary
        selections = queries.map { TopKSelection(k: $0.ranks.upperBound, scoreMin: $0.scoreMin) }
        isDropped = queries.map { _ in false }
    }

    var hasQueries: Bool { isDropped.contains(false) }

    mutating func drop(query: Int) {
        isDropped[query] = true
    }

    mutating func scan(_ chunkIndex: Int) {
        let chunk = collection.chunks[chunkIndex]
        for query in queries.indices where !isDropped[query] {
            chunk.pointee.lock.withReadLock {
                for index in 0..<ItemChunk.rowCount { judge(chunk.pointee, index, query) }
            }
        }
    }

    /// Scores a row for real and takes it if it is good enough. Under the chunk's lock.
    private mutating func judge(_ chunk: ItemChunk, _ index: Int, _ queryIndex: Int) {
        guard let vector = collection.vector(chunk, index) else { return }
        let query = queries[queryIndex]
        let score = query.vector.score(vector.baseAddress!)
        guard score >= selections[queryIndex].threshold else { return }
        let id = IdentifierSlot.bytes(chunk.identifiers + index)
        if !excluded[queryIndex].isEmpty, excluded[queryIndex].contains(ArraySlice(id)) { return }
        selections[queryIndex].insert(
            score: score,
            id: id,
            payload: SelectedColumns(collection, chunk, index, query.columns, summary)
        )
    }
}

/// What a selected row is answered with, of the moment at which it was scored.
struct SelectedColumns {
    var vector: [Float] = []
    var logQ = 0.0
    var features: [UInt8]?

    init(
        _ collection: Collection,
        _ chunk: ItemChunk,
        _ index: Int,
        _ wanted: TopKColumns,
        _ summary: Collection.Summary
    ) {
        if wanted.contains(.vector), let vector = collection.vector(chunk, index) { self.vector = Array(vector) }
        if wanted.contains(.logQ) {
            let record = chunk.statistics[index]
            logQ = log(estimate(record, totals: summary.totals, liveItems: summary.itemCount).q)
        }
        if wanted.contains(.features) { features = chunk.features[index].map { Array($0.bytes) } }
    }
}

extension TopKAnswer {
    init(_ selected: some Swift.Collection<TopKSelection<SelectedColumns>.Element>, _ columns: TopKColumns) {
        ids.reserveCapacity(strings: selected.count, bytes: selected.count * 16)
        scores.reserveCapacity(selected.count)
        for element in selected {
            ids.append(element.id)
            scores.append(element.score)
            vectors.append(contentsOf: element.payload.vector)
            if columns.contains(.logQ) { logQ.append(element.payload.logQ) }
            if columns.contains(.features) {
                if let json = element.payload.features {
                    json.withUnsafeBytes { features.append($0) }
                } else {
                    features.append(UnsafeRawBufferPointer?.none)
                }
            }
        }
    }
}
