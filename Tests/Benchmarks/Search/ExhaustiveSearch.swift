import Dispatch
import Synchronization

/// The ground truth: every score of every item in float64, without an index and without the kernels under test.
struct ExhaustiveSearch: Sendable {
    /// The number of rows that are converted to float64 once and then scored for every query, while they are in the
    /// cache.
    private static let blockSize = 512

    nonisolated(unsafe) private let items: UnsafeBufferPointer<Float>
    private let queries: [SIMD8<Double>]
    private let queryCount: Int
    private let dimension: Int

    init(items: UnsafeBufferPointer<Float>, queries: UnsafeBufferPointer<Float>, dimension: Int) {
        precondition(dimension % 8 == 0, "got dimension \(dimension), expected a multiple of 8")
        self.items = items
        self.queries = Self.widen(queries[...])
        queryCount = queries.count / dimension
        self.dimension = dimension
    }

    /// For each query, the rows with the `count` highest dot products, best first.
    func best(_ count: Int) -> [UInt32] {
        let rowCount = items.count / dimension
        let partCount = 2
        let parts = Mutex([[BestRows]](repeating: [], count: partCount))
        DispatchQueue.concurrentPerform(iterations: partCount) { part in
            let found = search(rowCount * part / partCount..<rowCount * (part + 1) / partCount, count)
            parts.withLock { $0[part] = found }
        }
        let found = parts.withLock { $0 }
        return (0..<queryCount).flatMap { query in
            var merged = BestRows(count: count)
            for part in found { merged.formUnion(part[query]) }
            return merged.rows
        }
    }

    private func search(_ rows: Range<Int>, _ count: Int) -> [BestRows] {
        var best = [BestRows](repeating: BestRows(count: count), count: queryCount)
        let stepCount = dimension / 8
        for first in stride(from: rows.lowerBound, to: rows.upperBound, by: Self.blockSize) {
            let block = first..<min(first + Self.blockSize, rows.upperBound)
            let values = Self.widen(items[block.lowerBound * dimension..<block.upperBound * dimension])
            for query in 0..<queryCount {
                for row in block {
                    var sum = SIMD8<Double>.zero
                    for step in 0..<stepCount {
                        sum += values[(row - first) * stepCount + step] * queries[query * stepCount + step]
                    }
                    best[query].insert(UInt32(row), sum.sum())
                }
            }
        }
        return best
    }

    private static func widen(_ values: Slice<UnsafeBufferPointer<Float>>) -> [SIMD8<Double>] {
        let bytes = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: values))
        return stride(from: 0, to: bytes.count, by: 32).map {
            SIMD8<Double>(bytes.loadUnaligned(fromByteOffset: $0, as: SIMD8<Float>.self))
        }
    }
}

/// The best rows seen so far, best first.
private struct BestRows {
    private let count: Int
    private(set) var rows: [UInt32] = []
    private var scores: [Double] = []

    init(count: Int) {
        self.count = count
    }

    mutating func insert(_ row: UInt32, _ score: Double) {
        if scores.count == count, score <= scores[count - 1] { return }
        let place = scores.firstIndex { $0 < score } ?? scores.count
        rows.insert(row, at: place)
        scores.insert(score, at: place)
        if scores.count > count {
            rows.removeLast()
            scores.removeLast()
        }
    }

    mutating func formUnion(_ other: BestRows) {
        for (row, score) in zip(other.rows, other.scores) { insert(row, score) }
    }
}
