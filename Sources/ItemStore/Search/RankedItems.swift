import PackedStrings
import SamplingFrequency
import VectorIndex

/// The best items so far for one query, with the columns that the answer needs.
struct RankedItems {
    private let wanted: ItemColumns
    private var selection: TopKSelection
    /// By place in the selection. Empty if the query requests no columns.
    private var columns: [SelectedColumns] = []
    /// The bytes of features in `columns`, and the most that they may be. Past it the search fails, and they are freed.
    private var featureByteCount = 0
    private let featureBytesMax: Int
    private var hasTooManyFeatures = false

    init(_ query: TopKQuery) {
        wanted = query.columns
        selection = TopKSelection(k: query.ranks.upperBound, scoreMin: query.scoreMin)
        // The selection also has ranks that are not in the answer, and items that better ones will replace.
        featureBytesMax = 4 * query.featureBytesMax
    }

    /// An item with a lower score cannot enter.
    var threshold: Double { selection.threshold }

    /// Inserts the item if it is among the best so far, and returns whether it is.
    mutating func insert(_ score: Double, _ id: UnsafeRawBufferPointer, _ columns: () -> SelectedColumns) -> Bool {
        guard let place = selection.insert(score: score, id: id) else { return false }
        guard !wanted.isEmpty, !hasTooManyFeatures else { return true }
        let new = columns()
        featureByteCount += new.featureByteCount
        if place < self.columns.count {
            featureByteCount -= self.columns[place].featureByteCount
            self.columns[place] = new
        } else {
            self.columns.append(new)
        }
        if featureByteCount > featureBytesMax { giveUpFeatures() }
        return true
    }

    private mutating func giveUpFeatures() {
        hasTooManyFeatures = true
        columns = []
    }

    /// Inserts the items of `other`.
    mutating func formUnion(_ other: RankedItems) {
        if other.hasTooManyFeatures { giveUpFeatures() }
        for (score, place) in other.selection.sorted() {
            other.selection.withID(at: place) { id in
                _ = insert(score, id) { other.columns[place] }
            }
        }
    }

    /// Whether an id occurs twice. That happens if the id was deleted during the scan and got another row.
    var hasRepeatedID: Bool {
        var seen: Set<[UInt8]> = []
        return (0..<selection.count).contains { place in
            !selection.withID(at: place) { seen.insert(Array($0)).inserted }
        }
    }

    /// The items with the requested ranks and a score of at most `scoreMax`, or a sample of them. Throws `limit` if
    /// they have too many bytes of features.
    func answer(to query: TopKQuery, scoreMax: Double) throws(StoreError) -> TopKAnswer {
        guard !hasTooManyFeatures else {
            let items = "the best \(query.ranks.upperBound) items"
            let got = "got more than \(featureBytesMax) bytes of features among \(items)"
            throw StoreError(.limit, "\(got), expected at most \(featureBytesMax): ask for fewer")
        }
        let first = query.ranks.lowerBound
        var chosen: [(rank: Int, score: Double, place: Int)] = []
        for (index, entry) in selection.sorted().dropFirst(first - 1).enumerated() where entry.score <= scoreMax {
            chosen.append((first + index, entry.score, entry.place))
        }
        if let sample = query.sample { sample.reduce(&chosen) }

        var answer = TopKAnswer()
        answer.ids.reserveCapacity(strings: chosen.count, bytes: chosen.count * 16)
        answer.scores.reserveCapacity(chosen.count)
        answer.ranks.reserveCapacity(chosen.count)
        for (rank, score, place) in chosen {
            selection.withID(at: place) { answer.ids.append($0) }
            answer.scores.append(score)
            answer.ranks.append(rank)
            if !wanted.isEmpty { columns[place].append(to: &answer, wanted) }
            try answer.features.check(bytesMax: query.featureBytesMax, of: chosen.count)
        }
        return answer
    }
}

extension TopKSample {
    /// Keeps a sample of the elements, in their order.
    fileprivate func reduce<Element>(_ elements: inout [Element]) {
        guard elements.count > count else { return }
        switch strategy {
        case .top:
            elements.removeSubrange(count...)
        case .random(let seed):
            // Takes each element with probability (missing elements) / (remaining elements), so all samples are equally
            // likely (Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S).
            var generator = DrawGenerator(seed: seed ?? .random(in: 0...UInt64.max))
            var wanted = count
            var sample: [Element] = []
            sample.reserveCapacity(count)
            for (index, element) in elements.enumerated() where generator.below(elements.count - index) < wanted {
                sample.append(element)
                wanted -= 1
            }
            elements = sample
        }
    }
}

/// The columns of a selected row, copied when the row was scored.
struct SelectedColumns {
    private var vector: [Float] = []
    private var logQ = 0.0
    private var features: [UInt8]?

    var featureByteCount: Int { features?.count ?? 0 }

    /// Call under the chunk's lock.
    init(
        _ collection: Collection,
        _ chunk: ItemChunk,
        _ index: Int,
        _ wanted: ItemColumns,
        _ summary: Collection.Summary
    ) {
        if wanted.contains(.vector), let vector = collection.vector(chunk, index) { self.vector = Array(vector) }
        if wanted.contains(.logQ) {
            logQ = summary.logQ(collection.record(chunk, index))
        }
        if wanted.contains(.features) { features = chunk.features[index].map { Array($0.bytes) } }
    }

    func append(to answer: inout TopKAnswer, _ wanted: ItemColumns) {
        if wanted.contains(.vector) { answer.vectors.append(contentsOf: vector) }
        if wanted.contains(.logQ) { answer.logQ.append(logQ) }
        guard wanted.contains(.features) else { return }
        if let features {
            features.withUnsafeBytes { answer.features.append($0) }
        } else {
            answer.features.append(UnsafeRawBufferPointer?.none)
        }
    }
}
