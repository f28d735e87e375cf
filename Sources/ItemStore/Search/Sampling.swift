import PackedStrings
import SamplingFrequency

/// Drawing negatives.
///
/// A request is answered from one moment: counts, embeddings' existence and what is excluded do not change between its
/// first draw and its last, for it holds the draw lock. So the probabilities that it is answered with sum to 1 over all that
/// it could have drawn. Writes of statistics, first embeddings and deletions wait meanwhile: a microsecond a draw at most,
/// plus what copying the embeddings takes.
extension Collection {
    /// Unique draws give up after so many tries for each item wanted.
    private static let triesPerItem = 100

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
            let source = source(for: query, summary)
            var draws = Draws(query)
            while source.populationCount > 0, draws.wantsMore(of: source.populationCount, Self.triesPerItem) {
                draws.append(source.draw(&random))
            }
            return answer(to: query, draws, summary)
        }
    }

    private func source(for query: SampleQuery, _ summary: Summary) -> any DrawSource {
        let count = { (row: UInt32) in self.count(of: row, summary.totals) }
        if query.distribution == .recent {
            return RecentSource(recent.entries.lazy.filter(isDrawable), excluding: rows(of: query.except))
        }
        let excluded = rows(of: query.except).map { ($0, count($0)) }
        switch query.distribution {
        case .uniform, .recent:
            return UniformSource(plan: DrawPlan(draws, excluding: excluded, power: 0))
        case .frequency(let power):
            return FrequencySource(plan: DrawPlan(draws, excluding: excluded, power: power), count: count)
        case .mixed(let power, let inBatch, let uniform):
            let plan = DrawPlan(draws, excluding: excluded, power: power)
            return MixedSource(plan: plan, count: count, byFrequency: inBatch, uniform: uniform)
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

    /// Whether the id that was observed is still there and has an embedding.
    private func isDrawable(_ entry: RecentBank.Entry) -> Bool {
        guard draws.contains(entry.row) else { return false }
        let chunk = chunk(of: entry.row)
        return chunk.pointee.lock.withReadLock {
            chunk.pointee.lives[Self.index(of: entry.row)].generation == entry.generation
        }
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

/// Where rows are drawn from, and how likely each is.
private protocol DrawSource {
    /// How many different rows can be drawn.
    var populationCount: Int { get }
    /// A row and its probability. There must be one.
    func draw(_ random: inout DrawGenerator) -> (row: UInt32, q: Double)
}

private struct UniformSource: DrawSource {
    let plan: DrawPlan

    var populationCount: Int { plan.rowCount }

    func draw(_ random: inout DrawGenerator) -> (row: UInt32, q: Double) {
        (plan.uniformRow(&random), uniformProbability(itemCount: plan.rowCount))
    }
}

private struct FrequencySource: DrawSource {
    let plan: DrawPlan
    let count: (UInt32) -> Double

    var populationCount: Int { plan.countedRowCount }

    func draw(_ random: inout DrawGenerator) -> (row: UInt32, q: Double) {
        let (row, count) = plan.countedRow(&random, count)
        return (row, plan.probability(ofCount: count))
    }
}

private struct MixedSource: DrawSource {
    let plan: DrawPlan
    let count: (UInt32) -> Double
    let byFrequency: Double
    let uniform: Double
    private let share: Double

    init(plan: DrawPlan, count: @escaping (UInt32) -> Double, byFrequency: Double, uniform: Double) {
        self.plan = plan
        self.count = count
        // Where nothing was counted, all draws are uniform.
        let hasCounts = plan.countedRowCount > 0
        self.byFrequency = hasCounts ? byFrequency : 0
        self.uniform = hasCounts ? uniform : 1
        let largest = max(self.byFrequency, self.uniform)
        share = self.byFrequency / largest / (self.byFrequency / largest + self.uniform / largest)
    }

    var populationCount: Int { uniform > 0 ? plan.rowCount : plan.countedRowCount }

    func draw(_ random: inout DrawGenerator) -> (row: UInt32, q: Double) {
        let isByFrequency = random.unit() < share
        let row = isByFrequency ? plan.countedRow(&random, count).row : plan.uniformRow(&random)
        let q = mixedProbability(
            q: plan.probability(ofCount: count(row)),
            byFrequency: byFrequency,
            uniform: uniform,
            itemCount: plan.rowCount
        )
        return (row, q)
    }
}

/// The bank of recent observations. Looks through it once a request: about 20 ns an observation.
private struct RecentSource: DrawSource {
    private let rows: [UInt32]
    private let occurrences: [UInt32: Int]

    init(_ entries: some Sequence<RecentBank.Entry>, excluding excluded: Set<UInt32>) {
        rows = entries.lazy.map(\.row).filter { !excluded.contains($0) }
        occurrences = rows.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }

    var populationCount: Int { occurrences.count }

    func draw(_ random: inout DrawGenerator) -> (row: UInt32, q: Double) {
        let row = rows[random.below(rows.count)]
        return (row, Double(occurrences[row]!) / Double(rows.count))
    }
}

/// What was drawn so far.
private struct Draws {
    private let wantedCount: Int
    private let isUnique: Bool
    private(set) var rows: [UInt32] = []
    private(set) var probabilities: [Double] = []
    private var seen: Set<UInt32> = []
    private var tries = 0

    init(_ query: SampleQuery) {
        wantedCount = query.count
        isUnique = query.isUnique
    }

    func wantsMore(of populationCount: Int, _ triesPerItem: Int) -> Bool {
        guard rows.count < wantedCount else { return false }
        // When all are drawn, no try will find another.
        return !isUnique || rows.count < populationCount && tries < triesPerItem * wantedCount
    }

    mutating func append(_ draw: (row: UInt32, q: Double)) {
        tries += 1
        if isUnique, !seen.insert(draw.row).inserted { return }
        rows.append(draw.row)
        probabilities.append(draw.q)
    }

    var expectedCounts: [Double] {
        probabilities.map { q in
            isUnique ? expectedCount(q: q, tries: tries) : expectedCount(q: q, draws: wantedCount)
        }
    }
}
