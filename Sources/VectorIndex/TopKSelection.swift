/// The best k of any number of scored ids: highest score first, ties by id, bytewise ascending.
///
/// A heap of at most k entries has the *worst* entry at its root. Nearly every candidate scores below the root, and is
/// ruled out by comparing two numbers. So a loop over rows should compare with `threshold` first, and fetch the id only
/// if the score is not below it.
///
/// Each entry has a *place*, 0 ..< k, which stays the same while the entry is in the heap. A new entry takes the place
/// of the entry that it replaces. The caller can keep other data about entries in an array indexed by place.
///
/// The result depends only on the set of candidates, not on their order. A score that is not a number never enters.
package struct TopKSelection {
    private struct Entry {
        let score: Double
        let place: Int
    }

    package let k: Int
    /// A candidate with a lower score cannot enter. One with an equal score can, if its id precedes that of the worst
    /// entry.
    package private(set) var threshold: Double
    private var heap: [Entry] = []
    /// The ids by place, in 256 bytes each: the length, then the id. The fixed size lets a new entry reuse the memory
    /// of the one it replaces.
    private var ids: [UInt8] = []
    private static let idStride = 256

    /// Candidates that score below `scoreMin` never enter.
    package init(k: Int, scoreMin: Double = -.infinity) {
        precondition(k >= 0)
        self.k = k
        threshold = k == 0 ? .infinity : scoreMin
    }

    /// The number of entries so far, at most k.
    package var count: Int { heap.count }

    /// Inserts the candidate if it is among the best k so far, and returns its place; otherwise returns nil. An id has
    /// at most 255 bytes.
    package mutating func insert(score: Double, id: UnsafeRawBufferPointer) -> Int? {
        guard score >= threshold, k > 0 else { return nil }
        if heap.count < k {
            let place = heap.count
            ids.append(contentsOf: repeatElement(0, count: Self.idStride))
            heap.append(Entry(score: score, place: place))
            setID(id, at: place)
            siftUp()
            if heap.count == k { threshold = heap[0].score }
            return place
        }
        let place = heap[0].place
        guard score > threshold || withID(at: place, { precedes(id, $0) }) else { return nil }
        setID(id, at: place)
        heap[0] = Entry(score: score, place: place)
        siftDown()
        threshold = heap[0].score
        return place
    }

    /// The entries, best first: scores and places.
    package func sorted() -> [(score: Double, place: Int)] {
        heap.sorted { isWorse($1, than: $0) }.map { ($0.score, $0.place) }
    }

    /// Calls `body` with the id of the entry at `place`.
    package func withID<R>(at place: Int, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        ids.withUnsafeBytes { bytes in
            let start = place * Self.idStride
            return body(UnsafeRawBufferPointer(rebasing: bytes[start + 1..<start + 1 + Int(bytes[start])]))
        }
    }

    private mutating func setID(_ id: UnsafeRawBufferPointer, at place: Int) {
        precondition(id.count < Self.idStride, "got an id of \(id.count) bytes, expected at most 255")
        ids.withUnsafeMutableBytes { bytes in
            let start = place * Self.idStride
            bytes[start] = UInt8(id.count)
            UnsafeMutableRawBufferPointer(rebasing: bytes[start + 1..<start + 1 + id.count]).copyMemory(from: id)
        }
    }

    /// Whether `left` ranks after `right`.
    private func isWorse(_ left: Entry, than right: Entry) -> Bool {
        if left.score != right.score { return left.score < right.score }
        return withID(at: left.place) { leftID in withID(at: right.place) { precedes($0, leftID) } }
    }

    private mutating func siftUp() {
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard isWorse(heap[child], than: heap[parent]) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func siftDown() {
        var parent = 0
        while true {
            var worst = parent
            for child in (2 * parent + 1)...(2 * parent + 2)
            where child < heap.count && isWorse(heap[child], than: heap[worst]) {
                worst = child
            }
            if worst == parent { return }
            heap.swapAt(parent, worst)
            parent = worst
        }
    }
}

/// Whether `left` comes before `right` in bytewise order. A prefix precedes the longer string.
private func precedes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    for index in 0..<min(left.count, right.count) where left[index] != right[index] {
        return left[index] < right[index]
    }
    return left.count < right.count
}
