/// The last number of each writer that numbers its observations (`seq=writer:n`), in the order in which they came.
///
/// Stored 32 writers a record, so that one more observation rewrites one record and not a thousand names.
struct WriterSequences {
    static let writersInChunk = 32

    private var entries: [WriterSequence] = []
    private var indexByWriter: [String: Int] = [:]

    var count: Int { entries.count }

    func lastNumber(of writer: String) -> Int64? {
        indexByWriter[writer].map { entries[$0].number }
    }

    /// Notes the writer's number and returns the chunk that changed.
    @discardableResult
    mutating func note(_ sequence: WriterSequence) -> Int {
        let index: Int
        if let known = indexByWriter[sequence.writer] {
            index = known
            entries[index] = sequence
        } else {
            index = entries.count
            entries.append(sequence)
            indexByWriter[sequence.writer] = index
        }
        return index / Self.writersInChunk
    }

    func chunk(_ index: Int) -> ArraySlice<WriterSequence> {
        let first = index * Self.writersInChunk
        return entries[first..<min(first + Self.writersInChunk, entries.count)]
    }
}
