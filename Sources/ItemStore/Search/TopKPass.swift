import PackedStrings
import Synchronization
import SystemSupport
import VectorIndex

/// One pass over a collection for up to eight queries at once, by any number of threads.
///
/// Scanning the codes costs about the same for several queries as for one. So queries that wait for the same collection
/// share a pass, and idle threads may join it at any time. Each participant claims ranges of chunks until none is left,
/// and has a selection for each query. The last participant to finish reads the outcomes.
///
/// Why an answer is exact while rows are written (an item is *written* if any of its data changes during the pass):
///
/// 1. A row with an embedding has one slot, and keeps it until it loses the embedding. The row and the slot are in the
///    same chunk, and change only under the chunk's lock. So under that lock, a row has codes in exactly one slot, and
///    they are the codes of its vector.
/// 2. The pass looks once at each slot of each chunk that existed when it began. An item that is not written keeps its
///    slot, so the pass looks at the item exactly once.
/// 3. The codes and then the vector of a slot are read under one lock. So each item is scored with one value that it
///    had during the pass. Its id and columns are copied under the same lock.
/// 4. A slot is ruled out only if k items had a better score during this pass. So an item that was ruled out is not
///    among the k best that the pass has seen, in whatever order rows are written.
/// 5. An id that is deleted and put again may get a row in another chunk, and the pass may see both rows. The id has
///    then taken the place of another item. `freedRowCount` shows that this may have happened; if an id occurs twice,
///    the query gets another pass.
///
/// So the pass misses no item because of a move: an item moves only if it is written, when its id loses its row and
/// gets another. If slots ever move without a write, 2 is no longer enough. The pass must then also look at the rows
/// that have moved since it began.
package final class TopKPass: @unchecked Sendable {
    package static let queryCountMax = CodeScanner.queryCountMax
    /// A participant claims about this many bytes of codes at a time, for some ten microseconds of work.
    private static let codeBytesPerClaim = 1 << 18
    /// A pass is worth joining if at least this many bytes of codes are left.
    private static let codeBytesWorthJoining = 1 << 20
    /// The most bytes that the selections of a pass may take together. The caller puts further queries into another
    /// pass.
    package static let selectionBytesMax = 256 << 20

    let collection: Collection
    let queries: [TopKQuery]
    private let excluded: [ExcludedIDs]
    /// For each query: the highest score in the answer. Nil if no positive of the query's margin has an embedding.
    private let scoreMax: [Double?]
    private let chunkCount: Int
    /// The size of the codes of a chunk, in bytes.
    private let chunkByteCount: Int
    /// The most bytes that the selections of one participant may take.
    private let selectionByteCount: Int
    private let freedRowCount: Int
    private let summary: Collection.Summary
    private let correction: ScoreCorrection?
    private let firstDeadline: ContinuousClock.Instant?
    private let claimedChunkCount = Atomic<Int>(0)
    /// A bit for each query that has reached its deadline.
    private let expired = Atomic<UInt8>(0)

    /// Guards the next three fields.
    private let lock = ReadWriteLock()
    private var participantCount = 0
    private var isFinished = false
    /// The best items for each query, of all participants that have finished. Empty until the first one has.
    private var best: [RankedItems] = []

    /// Takes 1 to 8 queries, of the collection's dimension and metric, and of the same strength.
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

    /// Whether enough is left to scan that another thread should join.
    package var isWorthJoining: Bool {
        let chunksLeft = chunkCount - claimedChunkCount.load(ordering: .relaxed)
        return chunksLeft * chunkByteCount >= Self.codeBytesWorthJoining
            && selectionByteCount < Self.selectionBytesMax / 4
    }

    /// Takes part in the scan until nothing is left. Returns true to only one participant, which must then call
    /// `forEachOutcome`.
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

    /// Calls `body` with the index and outcome of each query. Queries that need another pass come last. Call this once,
    /// only in the participant to which `takePart` returned true.
    package func forEachOutcome(_ body: (_ query: Int, TopKOutcome) -> Void) {
        var again: [Int] = []
        for index in queries.indices {
            if let outcome = outcome(of: index) { body(index, outcome) } else { again.append(index) }
        }
        for index in again { body(index, searchAgain(queries[index])) }
    }

    /// The outcome of a query; nil if it needs another pass, because an id occurs twice (see 5 above).
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
        return Result { () throws(StoreError) in try items.answer(to: queries[query], scoreMax: scoreMax) }
    }

    /// Removes the items of a query from the pass, because they may be large, and returns them.
    private func take(_ query: Int) -> RankedItems {
        lock.withWriteLock {
            let items = best[query]
            best[query] = RankedItems(queries[query])
            return items
        }
    }

    /// Repeats the pass until there is an outcome. If the query has a deadline, that ends the repetition.
    private func searchAgain(_ query: TopKQuery) -> TopKOutcome {
        while true {
            let pass = TopKPass(collection, [query])
            _ = pass.takePart()
            if let outcome = pass.outcome(of: 0) { return outcome }
        }
    }

    /// Prefetches the `ItemChunk` and the lock of the next chunks. A pass reads more than any cache holds, so they are
    /// never in the cache. Without this, reaching the lock takes three cache misses, one after another: a quarter of
    /// the time to scan the codes.
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

    /// Drops the queries that have reached their deadline.
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
    /// The best items for one query, found by this thread alone. The query must have no deadline and no margin.
    package func topK(_ query: TopKQuery) -> TopKAnswer {
        topK([query])[0]
    }

    /// The same for up to eight queries, in one pass.
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
