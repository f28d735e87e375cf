import PackedStrings
import SamplingFrequency
import SystemSupport
import VectorIndex

/// Drawing negatives.
///
/// A request holds the draw lock from its first draw until its answer is copied. So no count changes, and no item gains
/// or loses its embedding. So the probabilities of all items that could be drawn sum to 1. Writes of statistics, first
/// embeddings and deletions wait meanwhile. That takes a microsecond for each draw, plus the time to copy the columns
/// and, with `recent`, to read the whole bank.
extension Collection {
    /// Draws negatives, with their probabilities. The answer has fewer than requested only if they must be unique, or
    /// if no item can be drawn. Neither is an error. Throws `badRequest` if the estimator is a sketch and the
    /// distribution is not uniform, and `limit` if the answer would have too many bytes of features.
    package func sample(_ query: SampleQuery) throws(StoreError) -> SampleAnswer {
        if sketch != nil, query.distribution != .uniform {
            let name = query.distribution.name
            throw StoreError(.badRequest, "got by=\(name), but the estimator is a sketch, which can't list ids")
        }
        var random = DrawGenerator(seed: query.seed ?? UInt64.random(in: 0 ... .max))
        return try drawLock.withReadLock { () throws(StoreError) in
            let summary = summary
            return try answer(to: query, draw(query, &random, summary), summary)
        }
    }

    private func draw(_ query: SampleQuery, _ random: inout DrawGenerator, _ summary: Summary) -> Draws {
        let count = { (row: UInt32) in self.count(of: row, summary.totals) }
        let excluded = rows(of: query.except)
        func plan(power: Double) -> DrawPlan {
            DrawPlan(population, excluding: excluded.map { ($0, count($0)) }, power: power)
        }
        switch query.distribution {
        case .uniform:
            return Draws(query, from: UniformSource(plan: plan(power: 0), count: count), &random)
        case .frequency(let power):
            return Draws(query, from: FrequencySource(plan: plan(power: power), count: count), &random)
        case .mixed(let power, let inBatch, let uniform):
            let source = MixedSource(plan: plan(power: power), count: count, byFrequency: inBatch, uniform: uniform)
            return Draws(query, from: source, &random)
        case .recent:
            return Draws(query, from: RecentSource(drawableRecentRows(excluding: excluded)), &random)
        }
    }

    /// The rows of the ids that have one, each once, because an id may occur twice.
    private func rows(of ids: PackedStrings) -> Set<UInt32> {
        var rows: Set<UInt32> = []
        forEachID(of: ids, 0..<ids.count) { id, hash in
            let row = withRow(of: id, hash) { _, _, row in row }
            if let row { rows.insert(row) }
        }
        return rows
    }

    private func count(of row: UInt32, _ totals: FrequencyTotals) -> Double {
        let chunk = chunk(of: row)
        return totals.count(of: chunk.pointee.lock.withReadLock { chunk.pointee.statistics[Self.index(of: row)] })
    }

    /// The row of each observation in the bank with an id that still exists and has an embedding. Excluded rows are
    /// omitted.
    private func drawableRecentRows(excluding excluded: Set<UInt32>) -> [UInt32] {
        let entries = recent.entries
        var rows: [UInt32] = []
        rows.reserveCapacity(entries.count)
        for (index, entry) in entries.enumerated() {
            if index + Self.lookahead < entries.count { prefetchReuse(of: entries[index + Self.lookahead].row) }
            // A row in the population can't be freed under the draw lock, so its generation does not change.
            if population.contains(entry.row), reuse(of: entry.row).pointee.generation == entry.generation,
                excluded.isEmpty || !excluded.contains(entry.row)
            {
                rows.append(entry.row)
            }
        }
        return rows
    }

    private func prefetchReuse(of row: UInt32) {
        guard let mark = population.address(of: row) else { return }
        prefetch(mark, byteCount: 1)
        prefetch(reuse(of: row), byteCount: MemoryLayout<RowReuse>.stride)
    }

    /// Prefetches the memory that the answer copies for these rows.
    private func prefetchColumns(_ rows: ArraySlice<UInt32>, _ columns: ItemColumns) {
        for row in rows {
            prefetchIdentifier(of: row) { chunk, index in
                if columns.contains(.vector) { prefetchVector(chunk, index) }
                if columns.contains(.logQ) { prefetchStatistics(chunk, index) }
                if columns.contains(.features) { prefetchFeatures(chunk, index) }
            }
        }
    }

    /// Copies the columns. Under the draw lock the rows keep their ids, but embeddings, features and the counts of a
    /// sketch may change.
    private func answer(to query: SampleQuery, _ drawn: Draws, _ summary: Summary) throws(StoreError) -> SampleAnswer {
        var answer = SampleAnswer()
        answer.ids.reserveCapacity(strings: drawn.rows.count, bytes: drawn.rows.count * 16)
        answer.q = drawn.probabilities
        answer.expected = drawn.expectedCounts
        if query.columns.contains(.vector) {
            answer.vectors.reserveCapacity(drawn.rows.count * configuration.dimension)
        }
        for (number, row) in drawn.rows.enumerated() {
            if number % Self.lookahead == 0 {
                prefetchColumns(drawn.rows[number...].prefix(Self.lookahead), query.columns)
            }
            let chunk = chunk(of: row)
            let index = Self.index(of: row)
            chunk.pointee.lock.withReadLock {
                answer.ids.append(IdentifierSlot.bytes(chunk.pointee.identifiers + index))
                if query.columns.contains(.vector), let vector = vector(chunk.pointee, index) {
                    answer.vectors.append(contentsOf: vector)
                }
                if query.columns.contains(.logQ) { answer.logQ.append(summary.logQ(record(chunk.pointee, index))) }
                if query.columns.contains(.features) { answer.features.append(chunk.pointee.features[index]) }
            }
            try answer.features.check(bytesMax: query.featureBytesMax, of: drawn.rows.count)
        }
        return answer
    }
}
