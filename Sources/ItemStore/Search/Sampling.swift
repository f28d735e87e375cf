import PackedStrings
import SamplingFrequency
import VectorIndex

/// Drawing negatives.
///
/// A request is answered from one moment: counts, embeddings' existence and what is excluded do not change between its
/// first draw and its last, for it holds the draw lock. So the probabilities that it is answered with sum to 1 over all that
/// it could have drawn. Writes of statistics, first embeddings and deletions wait meanwhile: a microsecond a draw, plus what
/// copying the embeddings takes, and by `recent` a look at the whole bank.
extension Collection {
    /// Draws negatives with their probabilities; fewer than wanted only if they have to be unique, or if there is nothing to
    /// draw. Draws that are not possible are no failure: an empty collection answers with no rows.
    package func sample(_ query: SampleQuery) throws(StoreError) -> SampleAnswer {
        if sketch != nil, query.distribution != .uniform {
            let name = query.distribution.name
            throw StoreError(.badRequest, "got by=\(name), but the estimator is a sketch, which can't list ids")
        }
        var random = DrawGenerator(seed: query.seed ?? UInt64.random(in: 0 ... .max))
        return drawLock.withReadLock {
            let summary = summary
            return answer(to: query, draw(query, &random, summary), summary)
        }
    }

    private func draw(_ query: SampleQuery, _ random: inout DrawGenerator, _ summary: Summary) -> Draws {
        let count = { (row: UInt32) in self.count(of: row, summary.totals) }
        let excluded = rows(of: query.except)
        func plan(power: Double) -> DrawPlan {
            DrawPlan(draws, excluding: excluded.map { ($0, count($0)) }, power: power)
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

    /// The rows of the ids that have one, each once. An id that is excluded twice is still one.
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

    /// The rows of the bank's observations, of those whose id is still there and has an embedding.
    private func drawableRecentRows(excluding excluded: Set<UInt32>) -> [UInt32] {
        let entries = recent.entries
        var rows: [UInt32] = []
        rows.reserveCapacity(entries.count)
        for (index, entry) in entries.enumerated() {
            if index + Self.idsInStep < entries.count { warmLife(of: entries[index + Self.idsInStep].row) }
            // A row that can be drawn is not being freed, so its generation stands still.
            if draws.contains(entry.row), life(of: entry.row).pointee.generation == entry.generation,
                excluded.isEmpty || !excluded.contains(entry.row)
            {
                rows.append(entry.row)
            }
        }
        return rows
    }

    private func warmLife(of row: UInt32) {
        guard let mark = draws.address(of: row) else { return }
        prefetch(mark, byteCount: 1)
        prefetch(life(of: row), byteCount: MemoryLayout<RowLife>.stride)
    }

    /// Asks for what an answer copies.
    private func warm(_ rows: ArraySlice<UInt32>, _ columns: TopKColumns) {
        for row in rows {
            warmIdentifier(of: row) { chunk, index in
                if columns.contains(.vector) { warmVector(chunk, index) }
                if columns.contains(.logQ) { warmStatistics(chunk, index) }
                if columns.contains(.features) { warmFeatures(chunk, index) }
            }
        }
    }

    /// Rows stay as they are while the draw lock is held; only embeddings and features may change.
    private func answer(to query: SampleQuery, _ drawn: Draws, _ summary: Summary) -> SampleAnswer {
        var answer = SampleAnswer()
        answer.ids.reserveCapacity(strings: drawn.rows.count, bytes: drawn.rows.count * 16)
        answer.q = drawn.probabilities
        answer.expected = drawn.expectedCounts
        if query.columns.contains(.vector) {
            answer.vectors.reserveCapacity(drawn.rows.count * configuration.dimension)
        }
        for (number, row) in drawn.rows.enumerated() {
            if number % Self.idsInStep == 0 { warm(drawn.rows[number...].prefix(Self.idsInStep), query.columns) }
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
        }
        return answer
    }
}
