import SamplingFrequency
import SystemSupport
import VectorIndex

/// A participant's part of a `TopKPass`: scans chunks, and keeps the best items so far for each query.
///
/// The codes rule out nearly all rows. The few that could be among the best are scored exactly, under the same lock.
/// That raises the threshold for the next blocks. About k·ln(rows / k) rows enter the selection, and about as many are
/// scored in vain.
struct TopKScan {
    /// A lock is held for about this many bytes of codes, so that the store's thread never waits long.
    private static let codeBytesPerLock = 1 << 16
    private static let blocksInChunk = ItemChunk.rowCount / CodeSlab.slotsInBlock

    private let collection: Collection
    private let scanner: CodeScanner
    private let summary: Collection.Summary
    /// Nil if the queries have no strength.
    private let correction: ScoreCorrection?
    private var bounds: CorrectionBounds?
    private let blocksPerLock: Int
    private let dimension: Int
    private var queries: [QueryState]

    /// A query and its best items so far.
    private struct QueryState {
        let vector: QueryVector
        let columns: ItemColumns
        let excluded: ExcludedIDs
        var items: RankedItems
        var isDropped = false
    }

    /// `excluded` has the excluded ids of each query.
    init(
        _ collection: Collection,
        _ queries: [TopKQuery],
        _ excluded: [ExcludedIDs],
        _ summary: Collection.Summary,
        _ correction: ScoreCorrection?
    ) {
        self.collection = collection
        self.summary = summary
        self.correction = correction
        bounds = correction.map { CorrectionBounds($0) }
        let blockByteCount = collection.configuration.dimension * CodeSlab.slotsInBlock
        blocksPerLock = min(max(1, Self.codeBytesPerLock / blockByteCount), Self.blocksInChunk)
        scanner = CodeScanner(queries.map(\.vector), addendBlocksMax: correction == nil ? 0 : blocksPerLock)
        dimension = collection.configuration.dimension
        self.queries = zip(queries, excluded).map { query, excluded in
            QueryState(vector: query.vector, columns: query.columns, excluded: excluded, items: RankedItems(query))
        }
        for (index, query) in self.queries.enumerated() { scanner.setThreshold(query.items.threshold, of: index) }
    }

    /// The best items for each query.
    var items: [RankedItems] { queries.map(\.items) }

    var hasQueries: Bool { queries.contains { !$0.isDropped } }

    mutating func drop(query: Int) {
        queries[query].isDropped = true
        scanner.setThreshold(.infinity, of: query)
    }

    mutating func scan(_ chunk: ItemChunk) {
        let all = chunk.span.blocks
        for first in stride(from: all.lowerBound, to: all.upperBound, by: blocksPerLock) {
            var blocks = first..<min(first + blocksPerLock, all.upperBound)
            while !blocks.isEmpty {
                // Nearly always there is one iteration. With many hits, there is one for every few hundred.
                chunk.lock.withReadLock {
                    boundCorrections(chunk, blocks)
                    for hit in scanner.hits(in: chunk.span, &blocks, vectors: chunk.vectors) {
                        scoreExactly(chunk, chunk.span.row(of: hit), query: Int(hit.query))
                    }
                }
            }
        }
    }

    @inline(__always)
    private func vector(_ chunk: ItemChunk, _ index: Int) -> UnsafeMutablePointer<Float> {
        chunk.vectors + index * dimension
    }

    /// Writes the bounds of the corrections for the rows of these blocks. Call under the same lock as the scan.
    private mutating func boundCorrections(_ chunk: ItemChunk, _ blocks: Range<Int>) {
        guard let addends = scanner.addends else { return }
        // A sketch has a lock of its own, so an estimate may change before the row is scored. A row may then be ruled
        // out by a slightly older estimate.
        bounds?.withBounds { bound in
            chunk.span.forEachRow(in: blocks) { place, index in
                addends.values[place] = bound(collection.record(chunk, index))
            }
        }
    }

    /// Scores a row exactly, and inserts it if it is among the best. Call under the chunk's lock.
    private mutating func scoreExactly(_ chunk: ItemChunk, _ index: Int, query: Int) {
        // A slot with codes belongs to a row with a vector, because both change under the same lock.
        assert(chunk.flags[index].contains(.hasVector))
        var score = queries[query].vector.score(vector(chunk, index))
        if let correction { score = correction.corrected(score, collection.record(chunk, index)) }
        guard score >= queries[query].items.threshold, !queries[query].isDropped else { return }
        let id = IdentifierSlot.bytes(chunk.identifiers + index)
        if queries[query].excluded.contains(id) { return }
        let wanted = queries[query].columns
        let entered = queries[query].items.insert(score, id) {
            SelectedColumns(collection, chunk, index, wanted, summary)
        }
        if entered { scanner.setThreshold(queries[query].items.threshold, of: query) }
    }
}
