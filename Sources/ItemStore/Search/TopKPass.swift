import PackedStrings
import Synchronization
import VectorIndex

/// One pass over a collection for up to eight queries at once, by as many threads as take part.
///
/// Passing over the codes costs about the same for one query as for several, so queries that wait for the same
/// collection go together; and threads that have nothing else to do may join a pass at any time. Each participant
/// claims runs of chunks until none is left and keeps a selection a query of its own; whoever leaves last has the
/// answers.
///
/// Exact during writes: a row that is not written while the pass runs is judged exactly; one that is written is judged
/// by one value that it held meanwhile, and its id, vector, count and features in the answer are of that same moment.
/// Hence all of them are taken when a row enters a selection, under the lock under which its codes were read. A row is
/// pruned only by a score that k others held during this pass, so no order of writes makes a second pass necessary.
package final class TopKPass: @unchecked Sendable {
    package static let queryCountMax = CodeScanner.queryCountMax
    /// A participant claims about so much of the codes at a time: some ten microseconds of work.
    private static let codeBytesPerClaim = 1 << 18
    /// One more thread helps if at least so much is left.
    private static let codeBytesWorthJoining = 1 << 20
    /// What the queries of a pass may keep together, in bytes; more of them go into another pass.
    package static let selectionBytesMax = 256 << 20

    let collection: Collection
    let queries: [TopKQuery]
    private let excluded: [ExcludedIDs]
    /// Of each query: what scores more is not answered. Nil: it has a margin, and no positive to measure it from.
    private let scoreMax: [Double?]
    private let chunkCount: Int
    /// The codes of a chunk, in bytes.
    private let chunkByteCount: Int
    /// What each further participant may keep, in bytes.
    private let selectionByteCount: Int
    private let freedRowCount: Int
    private let summary: Collection.Summary
    private let correction: ScoreCorrection?
    private let firstDeadline: ContinuousClock.Instant?
    private let claimedChunkCount = Atomic<Int>(0)
    /// A bit for each query whose deadline has passed.
    private let expired = Atomic<UInt8>(0)

    /// What participants leave behind, under the lock.
    private let lock = ReadWriteLock()
    private var participantCount = 0
    private var isFinished = false
    /// Of each query; nothing before somebody has left.
    private var best: [RankedItems] = []

    /// `queries`: 1 to 8, of the collection's dimension and metric, and of one strength.
    package init(_ collection: Collection, _ queries: [TopKQuery]) {
        precondition((1...Self.queryCountMax).contains(queries.count), "got \(queries.count) queries, expected 1 to 8")
        for query in queries {
            precondition(query.vector.dimension == collection.configuration.dimension)
            precondition(query.vector.metric == collection.configuration.metric)
            precondition(query.strength == queries[0].strength)
        }
        self.collection = collection
        self.queries = queries
        excluded = queries.map { ExcludedIDs($0.except) }
        freedRowCount = collection.freedRowCount.load(ordering: .acquiring)
        let summary = collection.summary
        let strength = queries[0].strength
        let correction = strength == 0 ? nil : ScoreCorrection(strength: strength, summary: summary)
        self.summary = summary
        self.correction = correction
        scoreMax = queries.map { query in
            guard let margin = query.margin else { return .infinity }
            let lowest = collection.lowestScore(of: margin.positives, against: query.vector, correction)
            return lowest.map { $0 - margin.width }
        }
        firstDeadline = queries.compactMap(\.deadline).min()
        chunkCount = collection.chunks.count
        chunkByteCount = CodeSlab.byteCount(
            slotCount: ItemChunk.rowCount,
            dimension: collection.configuration.dimension
        )
        selectionByteCount = queries.reduce(0) { $0 + $1.selectionByteCount(in: collection) }
    }

    deinit {
        lock.destroy()
    }

    /// Whether so much is left to scan that one more thread would help.
    package var isWorthJoining: Bool {
        let chunksLeft = chunkCount - claimedChunkCount.load(ordering: .relaxed)
        return chunksLeft * chunkByteCount >= Self.codeBytesWorthJoining
            && selectionByteCount < Self.selectionBytesMax / 4
    }

    /// Scans along until nothing is left. True for the one participant that has to fetch the outcomes.
    package func takePart() -> Bool {
        lock.withWriteLock { participantCount += 1 }
        var scan = TopKScan(collection, queries, excluded, summary, correction)
        for (index, scoreMax) in scoreMax.enumerated() where scoreMax == nil { scan.drop(query: index) }
        while let claim = claim() {
            expire(&scan)
            guard scan.hasQueries else { break }
            for index in claim {
                prefetchChunks(after: index)
                scan.scan(collection.chunks[index].pointee)
            }
        }
        return lock.withWriteLock {
            join(scan.items)
            participantCount -= 1
            guard participantCount == 0, !isFinished else { return false }
            isFinished = true
            return true
        }
    }

    private func join(_ items: [RankedItems]) {
        if best.isEmpty {
            best = items
        } else {
            for (index, items) in items.enumerated() { best[index].formUnion(items) }
        }
    }

    /// Tells the outcome of each query, by its place in the list; one that takes another pass comes after the others. For
    /// whoever was told by `takePart`, once.
    package func forEachOutcome(_ body: (_ query: Int, TopKOutcome) -> Void) {
        var again: [Int] = []
        for index in queries.indices {
            if let outcome = outcome(of: index) { body(index, outcome) } else { again.append(index) }
        }
        for index in again { body(index, searchAgain(queries[index])) }
    }

    /// Nil if an id was met twice: one that was deleted and put again while the rows were scanned, in both of its rows.
    /// Then it took the place of another item, and nothing helps but another pass.
    private func outcome(of query: Int) -> TopKOutcome? {
        let items = take(query)
        guard let scoreMax = scoreMax[query] else {
            let count = queries[query].margin?.positives.count ?? 0
            let got = "\(count) \(count == 1 ? "id" : "ids") to keep a margin from, none with an embedding"
            return .failure(StoreError(.noItem, "got \(got), expected one at least"))
        }
        guard expired.load(ordering: .relaxed) & 1 << UInt8(query) == 0 else {
            return .failure(StoreError(.timeout, "the search was not done in time, nothing is answered"))
        }
        let mayRepeatIDs = collection.freedRowCount.load(ordering: .acquiring) != freedRowCount
        if mayRepeatIDs, items.hasRepeatedID { return nil }
        return .success(items.answer(to: queries[query], scoreMax: scoreMax))
    }

    /// What was found for a query, which the pass then forgets: it may be large.
    private func take(_ query: Int) -> RankedItems {
        lock.withWriteLock {
            let items = best[query]
            best[query] = RankedItems(queries[query])
            return items
        }
    }

    /// Passes until one has an outcome. At the latest the deadline ends it.
    private func searchAgain(_ query: TopKQuery) -> TopKOutcome {
        while true {
            let pass = TopKPass(collection, [query])
            _ = pass.takePart()
            if let outcome = pass.outcome(of: 0) { return outcome }
        }
    }

    /// A pass reads more than any cache holds, so what describes a chunk is far away each time: on the way to its lock,
    /// three misses in a row, a quarter of the time that its codes take.
    private func prefetchChunks(after index: Int) {
        guard index + 2 < chunkCount else { return }
        prefetch(collection.chunks[index + 2], byteCount: MemoryLayout<ItemChunk>.size)
        prefetch(collection.chunks[index + 1].pointee.lock.address, byteCount: 64)
    }

    private func claim() -> Range<Int>? {
        let chunksPerClaim = max(1, Self.codeBytesPerClaim / chunkByteCount)
        let first = claimedChunkCount.wrappingAdd(chunksPerClaim, ordering: .relaxed).oldValue
        guard first < chunkCount else { return nil }
        return first..<min(first + chunksPerClaim, chunkCount)
    }

    /// Drops the queries whose time is up.
    private func expire(_ scan: inout TopKScan) {
        guard let firstDeadline else { return }
        let now = ContinuousClock.now
        guard firstDeadline < now else { return }
        for (index, query) in queries.enumerated() {
            guard let deadline = query.deadline, deadline < now else { continue }
            expired.bitwiseOr(1 << UInt8(index), ordering: .relaxed)
            scan.drop(query: index)
        }
    }
}

extension Collection {
    /// The best items for one query, by this thread alone. It must have no deadline and no margin.
    package func topK(_ query: TopKQuery) -> TopKAnswer {
        topK([query])[0]
    }

    /// The same for up to eight queries in one pass.
    package func topK(_ queries: [TopKQuery]) -> [TopKAnswer] {
        precondition(queries.allSatisfy { $0.deadline == nil && $0.margin == nil })
        let pass = TopKPass(self, queries)
        let isLast = pass.takePart()
        precondition(isLast)
        var answers = queries.map { _ in TopKAnswer() }
        pass.forEachOutcome { index, outcome in
            guard case .success(let answer) = outcome else { preconditionFailure("failed, with nothing to fail") }
            answers[index] = answer
        }
        return answers
    }
}
