/// Which records of a chunk differ from the tables: a bit a row for `rows` and for `features`, and a bit for each run
/// of 32 rows of `frequency`. All zero is clean. Touched by the writer thread alone.
struct DirtyRecords {
    static let rowsInFrequencyRun = 32

    var rows = RowBitmap()
    var features = RowBitmap()
    private var frequencyRuns: UInt32 = 0

    mutating func markFrequency(row: Int) {
        frequencyRuns |= 1 << UInt32(row / Self.rowsInFrequencyRun)
    }

    mutating func removeFrequency(run: Int) {
        frequencyRuns &= ~(1 << UInt32(run))
    }

    /// The lowest marked run of 32 rows that is not below `run`.
    func firstFrequencyRun(from run: Int) -> Int? {
        // A shift by all 32 bits leaves none.
        let rest = frequencyRuns & (.max << UInt32(run))
        return rest == 0 ? nil : rest.trailingZeroBitCount
    }
}

/// 1,024 bits.
struct RowBitmap {
    private var words: (SIMD8<UInt64>, SIMD8<UInt64>) = (SIMD8(), SIMD8())

    private static let wordCount = ItemChunk.rowCount / 64

    private subscript(word index: Int) -> UInt64 {
        get { index < 8 ? words.0[index] : words.1[index - 8] }
        set {
            if index < 8 {
                words.0[index] = newValue
            } else {
                words.1[index - 8] = newValue
            }
        }
    }

    mutating func insert(_ row: Int) {
        self[word: row >> 6] |= 1 << UInt64(row & 63)
    }

    mutating func remove(_ row: Int) {
        self[word: row >> 6] &= ~(1 << UInt64(row & 63))
    }

    /// The lowest marked row that is not below `row`.
    func first(from row: Int) -> Int? {
        guard row < ItemChunk.rowCount else { return nil }
        var index = row >> 6
        var word = self[word: index] & (.max << UInt64(row & 63))
        while word == 0 {
            index += 1
            guard index < Self.wordCount else { return nil }
            word = self[word: index]
        }
        return index * 64 + word.trailingZeroBitCount
    }
}
