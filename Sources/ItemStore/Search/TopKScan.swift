import SamplingFrequency
import VectorIndex

/// What one thread does in a `TopKPass`: scans chunks, and keeps the best of what it has seen for each query.
///
/// The codes rule out nearly all rows; the few that could be among the best are scored for real at once, under the same
/// lock, which raises the threshold that the next blocks are held against. That is about k·ln(rows / k) rows that
/// enter, and as many again that nearly do.
struct TopKScan {
    /// A lock is held for about this much of the codes, so that no writer waits long.
    private static let codeBytesPerLock = 1 << 16
    private static let blocksInChunk = ItemChunk.rowCount / CodeSlab.slotsInBlock

    private let collection: Collection
    private let scanner: CodeScanner
    private let summary: Collection.Summary
    /// Of queries with a strength.
    private let correction: ScoreCorrection?
    private var bounds: CorrectionBounds?
    private let blocksPerLock: Int
    private let vectorByteCount: Int
    private var lines: [Line]

    /// One query and what became of it so far.
    private struct Line {
        let vector: QueryVector
        let columns: TopKColumns
        let excluded: ExcludedIDs
        var items: RankedItems
        var isDropped = false
    }

    /// `excluded`: those of each query.
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
        vectorByteCount = collection.configuration.dimension * MemoryLayout<Float>.size
        lines = zip(queries, excluded).map { query, excluded in
            Line(vector: query.vector, columns: query.columns, excluded: excluded, items: RankedItems(query))
        }
        for (index, line) in lines.enumerated() { scanner.setThreshold(line.items.threshold, of: index) }
    }

    /// The best items for each query.
    var items: [RankedItems] { lines.map(\.items) }

    var hasQueries: Bool { lines.contains { !$0.isDropped } }

    mutating func drop(query: Int) {
        lines[query].isDropped = true
        scanner.setThreshold(.infinity, of: query)
    }

    mutating func scan(_ chunk: ItemChunk) {
        let firstBlock = chunk.firstSlot / CodeSlab.slotsInBlock
        let endBlock = firstBlock + Self.blocksInChunk
        let vectors = UInt(bitPattern: chunk.vectors) &- UInt(chunk.firstSlot * vectorByteCount)
        for first in stride(from: firstBlock, to: endBlock, by: blocksPerLock) {
            var blocks = first..<min(first + blocksPerLock, endBlock)
            while !blocks.isEmpty {
                // Once for nearly every run; where there are many hits, again for every few hundred.
                chunk.lock.withReadLock {
                    boundCorrections(chunk, blocks)
                    for hit in scanner.hits(in: chunk.codes, &blocks, vectors: vectors) { judge(chunk, hit) }
                }
            }
        }
    }

    /// Of the counts that belong to the codes which are read next, under the same lock.
    private mutating func boundCorrections(_ chunk: ItemChunk, _ blocks: Range<Int>) {
        guard let addends = scanner.addends else { return }
        let first = blocks.lowerBound * CodeSlab.slotsInBlock - chunk.firstSlot
        let count = blocks.count * CodeSlab.slotsInBlock
        guard collection.sketch != nil else {
            bounds?.write(of: chunk.statistics + first, count: count, to: addends.values)
            return
        }
        // What the sketch says may change before a row is judged, for it has a lock of its own. Then the row was ruled out,
        // or not, by what it said a moment ago.
        withUnsafeTemporaryAllocation(of: FrequencyRecord.self, capacity: count) { records in
            for index in 0..<count {
                let isItem = chunk.flags[first + index].contains(.hasVector)
                records.initializeElement(
                    at: index,
                    to: isItem ? collection.record(chunk, first + index) : .unseen
                )
            }
            bounds?.write(of: records.baseAddress!, count: count, to: addends.values)
        }
    }

    /// Scores a row for real and takes it if it is good enough. Under the chunk's lock.
    private mutating func judge(_ chunk: ItemChunk, _ hit: CodeHit) {
        let index = Int(hit.slot) - chunk.firstSlot
        let query = Int(hit.query)
        // A slot with codes has a row with a vector: they change together, under the lock.
        assert(chunk.flags[index].contains(.hasVector))
        var score = lines[query].vector.score(chunk.vectors + index * collection.configuration.dimension)
        if let correction { score = correction.corrected(score, collection.record(chunk, index)) }
        guard score >= lines[query].items.threshold, !lines[query].isDropped else { return }
        let id = IdentifierSlot.bytes(chunk.identifiers + index)
        if lines[query].excluded.contains(id) { return }
        let wanted = lines[query].columns
        let entered = lines[query].items.insert(score, id) {
            SelectedColumns(collection, chunk, index, wanted, summary)
        }
        if entered { scanner.setThreshold(lines[query].items.threshold, of: query) }
    }
}
