/// A set of record numbers: a bitmap that grows as needed. Store thread only.
///
/// Each kind of record has a set of its dirty records, which differ from the table. A set takes one bit for each record
/// up to the highest. So the set of a million rows fits in the second-level cache.
final class RecordSet {
    private var words = UnsafeMutablePointer<UInt64>.allocate(capacity: 0)
    private var wordCount = 0

    deinit {
        words.deallocate()
    }

    @inline(__always)
    func insert(_ record: Int) {
        let word = record >> 6
        if word >= wordCount { grow(toHold: word) }
        words[word] |= 1 << UInt64(record & 63)
    }

    func remove(_ record: Int) {
        guard record >> 6 < wordCount else { return }
        words[record >> 6] &= ~(1 << UInt64(record & 63))
    }

    func contains(_ record: Int) -> Bool {
        record >> 6 < wordCount && words[record >> 6] & 1 << UInt64(record & 63) != 0
    }

    /// The lowest record in the set that is not below `record`. Costs a nanosecond for each 64 records that it skips.
    func first(from record: Int) -> Int? {
        var index = record >> 6
        guard index < wordCount else { return nil }
        var word = words[index] & (.max << UInt64(record & 63))
        while word == 0 {
            index += 1
            guard index < wordCount else { return nil }
            word = words[index]
        }
        return index * 64 + word.trailingZeroBitCount
    }

    private func grow(toHold word: Int) {
        let newCount = max(word + 1, 2 * wordCount)
        let larger = UnsafeMutablePointer<UInt64>.allocate(capacity: newCount)
        larger.update(from: words, count: wordCount)
        (larger + wordCount).initialize(repeating: 0, count: newCount - wordCount)
        words.deallocate()
        words = larger
        wordCount = newCount
    }
}
