/// The best k of any number of scored ids: highest score first, ties by id, bytewise ascending.
///
/// The idea: a heap of at most k entries with the *worst* at its root. A candidate is compared with that one; if it
/// loses, which is what nearly always happens, it costs one comparison of two numbers. So read `threshold` in the
/// loop over the rows and fetch the id only for those not below it. The payload (a row number, say) is asked for only
/// when the candidate enters.
///
/// The answer depends on the set of candidates alone, never on their order. A score that is not a number never enters.
package struct TopKSelection<Payload> {
    package struct Element {
        package let score: Double
        package let id: [UInt8]
        package let payload: Payload

        /// Whether this ranks after the other.
        @inlinable
        func isWorse(than other: Element) -> Bool {
            if score != other.score { return score < other.score }
            return other.id.withUnsafeBytes { precedes($0, id) }
        }
    }

    package let k: Int
    /// Scores below this cannot enter. One that equals it still can, by its id.
    package private(set) var threshold: Double
    private var heap: [Element] = []

    /// Candidates that score below `scoreMin` never enter.
    package init(k: Int, scoreMin: Double = -.infinity) {
        precondition(k >= 0)
        self.k = k
        threshold = k == 0 ? .infinity : scoreMin
        heap.reserveCapacity(min(k, 1_024))
    }

    /// The number of entries so far, at most k.
    package var count: Int { heap.count }

    /// Takes the candidate if it is among the best k so far; says whether.
    @discardableResult
    package mutating func insert(
        score: Double,
        id: UnsafeRawBufferPointer,
        payload: @autoclosure () -> Payload
    ) -> Bool {
        guard score >= threshold, k > 0 else { return false }
        if heap.count < k {
            heap.append(Element(score: score, id: [UInt8](id), payload: payload()))
            siftUp()
            if heap.count == k { threshold = heap[0].score }
            return true
        }
        guard score > threshold || precedes(id, heap[0].id) else { return false }
        heap[0] = Element(score: score, id: [UInt8](id), payload: payload())
        siftDown()
        threshold = heap[0].score
        return true
    }

    /// Takes what the other has, as if its candidates had been offered here.
    package mutating func formUnion(_ other: TopKSelection) {
        for element in other.heap {
            element.id.withUnsafeBytes { id in
                _ = insert(score: element.score, id: id, payload: element.payload)
            }
        }
    }

    /// The entries, best first.
    package consuming func sorted() -> [Element] {
        heap.sort { $1.isWorse(than: $0) }
        return heap
    }

    private mutating func siftUp() {
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isWorse(than: heap[parent]) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func siftDown() {
        var parent = 0
        while true {
            var worst = parent
            for child in (2 * parent + 1)...(2 * parent + 2)
            where child < heap.count && heap[child].isWorse(than: heap[worst]) {
                worst = child
            }
            if worst == parent { return }
            heap.swapAt(parent, worst)
            parent = worst
        }
    }
}

/// Whether `left` comes before `right`, byte by byte, a prefix before what it begins.
@usableFromInline
func precedes(_ left: UnsafeRawBufferPointer, _ right: [UInt8]) -> Bool {
    right.withUnsafeBytes { right in
        for index in 0..<min(left.count, right.count) where left[index] != right[index] {
            return left[index] < right[index]
        }
        return left.count < right.count
    }
}
