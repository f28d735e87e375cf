import PackedStrings
import SamplingFrequency
import VectorIndex

/// The best items so far for one query, with what they will be answered with.
struct RankedItems {
    private let wanted: TopKColumns
    private var selection: TopKSelection
    /// By place in the selection; empty if nothing is wanted.
    private var columns: [SelectedColumns] = []

    init(_ query: TopKQuery) {
        wanted = query.columns
        selection = TopKSelection(k: query.ranks.upperBound, scoreMin: query.scoreMin)
    }

    /// Scores below this cannot enter.
    var threshold: Double { selection.threshold }

    /// Takes the item if it is among the best, and says whether.
    mutating func insert(_ score: Double, _ id: UnsafeRawBufferPointer, _ columns: () -> SelectedColumns) -> Bool {
        guard let place = selection.insert(score: score, id: id) else { return false }
        guard !wanted.isEmpty else { return true }
        if place < self.columns.count {
            self.columns[place] = columns()
        } else {
            self.columns.append(columns())
        }
        return true
    }

    /// Takes what the other has, as if it had been inserted here.
    mutating func formUnion(_ other: RankedItems) {
        for (score, place) in other.selection.sorted() {
            other.selection.withID(at: place) { id in
                _ = insert(score, id) { other.columns[place] }
            }
        }
    }

    /// Whether an id is there twice: its row was freed and it got another one while the rows were scanned.
    var hasRepeatedID: Bool {
        var seen: Set<[UInt8]> = []
        return (0..<selection.count).contains { place in
            !selection.withID(at: place) { seen.insert(Array($0)).inserted }
        }
    }

    /// The items of the query's ranks that score `scoreMax` or less, or a sample of them.
    func answer(to query: TopKQuery, scoreMax: Double) -> TopKAnswer {
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
        }
        return answer
    }
}

extension TopKSample {
    /// Keeps the elements of the sample, in their order.
    fileprivate func reduce<Element>(_ elements: inout [Element]) {
        guard elements.count > count else { return }
        switch strategy {
        case .top:
            elements.removeSubrange(count...)
        case .random(let seed):
            // Each is taken with the probability (wanted still) / (to come still), so each set is as likely as the next
            // (Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S).
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

/// What a selected row is answered with, of the moment at which it was scored.
struct SelectedColumns {
    private var vector: [Float] = []
    private var logQ = 0.0
    private var features: [UInt8]?

    /// Under the chunk's lock.
    init(
        _ collection: Collection,
        _ chunk: ItemChunk,
        _ index: Int,
        _ wanted: TopKColumns,
        _ summary: Collection.Summary
    ) {
        if wanted.contains(.vector), let vector = collection.vector(chunk, index) { self.vector = Array(vector) }
        if wanted.contains(.logQ) {
            logQ = summary.logQ(collection.record(chunk, index))
        }
        if wanted.contains(.features) { features = chunk.features[index].map { Array($0.bytes) } }
    }

    func append(to answer: inout TopKAnswer, _ wanted: TopKColumns) {
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
