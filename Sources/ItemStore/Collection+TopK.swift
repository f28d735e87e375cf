import Foundation
package import PackedStrings
import SamplingFrequency
package import VectorIndex

/// What `topK` looks for.
package struct TopKQuery: Sendable {
    package var vector: QueryVector
    package var k: Int
    /// Ids that never appear in the answer.
    package var except: PackedStrings
    package var columns: TopKColumns

    package init(vector: QueryVector, k: Int, except: PackedStrings = PackedStrings(), columns: TopKColumns = []) {
        self.vector = vector
        self.k = k
        self.except = except
        self.columns = columns
    }
}

/// What an answer carries beside ids and scores.
package struct TopKColumns: OptionSet, Sendable {
    package let rawValue: Int

    package init(rawValue: Int) {
        self.rawValue = rawValue
    }

    package static let vector = TopKColumns(rawValue: 1)
    package static let logQ = TopKColumns(rawValue: 2)
    package static let features = TopKColumns(rawValue: 4)
}

/// The items with the highest scores, best first, ties by id. Columns that were not asked for are empty.
package struct TopKAnswer: Sendable {
    package var ids = PackedStrings()
    package var scores: [Double] = []
    /// count x dimension.
    package var vectors: [Float] = []
    package var logQ: [Double] = []
    package var features = Collection.FeatureColumn()
}

extension Collection {
    /// The k best items, exactly, by scoring every row.
    ///
    /// Exact during writes: a row that is not written while the query runs is judged exactly; one that is written is
    /// judged by one value that it held meanwhile, and its id, vector, log q and features in the answer are of that
    /// same moment. Hence all of them are taken when a row enters the selection, under the lock under which it was
    /// scored: that happens about k·ln(rows/k) times.
    ///
    /// Cost: one pass over the vectors; a chunk is locked for reading for a block of rows at a time.
    package func topK(_ query: TopKQuery) -> TopKAnswer {
        precondition(query.vector.dimension == configuration.dimension)
        let summary = summary
        let except = Set((0..<query.except.count).map { query.except[$0] })
        var selection = TopKSelection<RowColumns>(k: query.k)
        // Wide rows are scored in smaller blocks, so that no writer waits long.
        let blockRowCount = max(16, min(ItemChunk.rowCount, (1 << 16) / configuration.dimension))
        withUnsafeTemporaryAllocation(of: Double.self, capacity: blockRowCount) { scores in
            for chunkIndex in 0..<chunks.count {
                let chunk = chunks[chunkIndex]
                for first in stride(from: 0, to: ItemChunk.rowCount, by: blockRowCount) {
                    let rows = first..<min(first + blockRowCount, ItemChunk.rowCount)
                    chunk.pointee.lock.withReadLock {
                        scoreBlock(chunk.pointee, rows, query, summary, except, scores.baseAddress!, &selection)
                    }
                }
            }
        }
        return answer(selection.sorted(), query.columns)
    }

    /// What a selected row is answered with.
    private struct RowColumns {
        var vector: [Float] = []
        var logQ = 0.0
        var features: [UInt8]?
    }

    private func scoreBlock(
        _ chunk: ItemChunk,
        _ rows: Range<Int>,
        _ query: TopKQuery,
        _ summary: Summary,
        _ except: Set<ArraySlice<UInt8>>,
        _ scores: UnsafeMutablePointer<Double>,
        _ selection: inout TopKSelection<RowColumns>
    ) {
        let dimension = configuration.dimension
        // Rows without a vector are scored along with the others and left out below: cheaper than looking first.
        query.vector.scores(
            rows: chunk.vectors + rows.lowerBound * dimension,
            count: rows.count,
            stride: dimension,
            into: scores
        )
        for index in rows {
            let score = scores[index - rows.lowerBound]
            guard score >= selection.threshold, chunk.flags[index].contains(.hasVector) else { continue }
            let id = IdentifierSlot.bytes(chunk.identifiers + index)
            if !except.isEmpty, except.contains(ArraySlice(id)) { continue }
            selection.insert(
                score: score,
                id: id,
                payload: columns(chunk, index, query.columns, summary)
            )
        }
    }

    private func columns(
        _ chunk: ItemChunk,
        _ index: Int,
        _ wanted: TopKColumns,
        _ summary: Summary
    ) -> RowColumns {
        var columns = RowColumns()
        if wanted.contains(.vector), let vector = vector(chunk, index) { columns.vector = Array(vector) }
        if wanted.contains(.logQ) {
            let record = chunk.statistics[index]
            columns.logQ = log(estimate(record, totals: summary.totals, liveItems: summary.itemCount).q)
        }
        if wanted.contains(.features) { columns.features = chunk.features[index].map { Array($0.bytes) } }
        return columns
    }

    private func answer(_ selected: [TopKSelection<RowColumns>.Element], _ columns: TopKColumns) -> TopKAnswer {
        var answer = TopKAnswer()
        answer.ids.reserveCapacity(strings: selected.count, bytes: selected.count * 16)
        answer.scores.reserveCapacity(selected.count)
        for element in selected {
            answer.ids.append(element.id)
            answer.scores.append(element.score)
            answer.vectors.append(contentsOf: element.payload.vector)
            if columns.contains(.logQ) { answer.logQ.append(element.payload.logQ) }
            if columns.contains(.features) {
                if let features = element.payload.features {
                    features.withUnsafeBytes { answer.features.append($0) }
                } else {
                    answer.features.append(UnsafeRawBufferPointer?.none)
                }
            }
        }
        return answer
    }
}
