/// The last N observations, first in, first out: the bank that cross-batch negatives are drawn from (Wang et al., SIGIR
/// 2021). An id that was observed twice is in it twice.
///
/// An observation is a row with its generation, so one of an id that was deleted since belongs to nobody, also when its
/// row was handed out again. Where an observation stands follows from its position in the stream of all of them; so the
/// journal may repeat what a chunk of the stored bank already has.
struct RecentBank: Sendable {
    struct Entry: RowEntry, BitwiseCopyable, Sendable, Equatable {
        static let byteCount = 8

        let row: UInt32
        let generation: UInt32

        /// Where nothing was observed yet. No row has this number.
        static let none = Entry(row: .max, generation: 0)
    }

    static let entriesInChunk = 500

    let capacity: Int
    /// As many as were needed so far, up to `capacity`.
    private(set) var entries: [Entry] = []
    /// How many observations there were, ever.
    private(set) var position: UInt64 = 0

    init(capacity: Int) {
        self.capacity = capacity
    }

    var byteCount: Int { entries.capacity * Entry.byteCount }

    /// Takes note of observations, the first of which has number `position` in the stream, in those chunks that `mayChange`
    /// says may change.
    mutating func set(
        _ position: UInt64,
        _ observations: some RandomAccessCollection<Entry>,
        mayChange: (_ chunk: Int) -> Bool
    ) {
        restore(position: position + UInt64(observations.count))
        guard capacity > 0 else { return }
        var place = Int(position % UInt64(capacity))
        var rest = observations[...]
        while !rest.isEmpty {
            let chunk = place / Self.entriesInChunk
            let next = rest.prefix(min((chunk + 1) * Self.entriesInChunk, capacity) - place)
            if mayChange(chunk) {
                for (offset, entry) in next.enumerated() { set(place + offset, entry) }
            }
            place = (place + next.count) % capacity
            rest = rest.dropFirst(next.count)
        }
    }

    private mutating func set(_ place: Int, _ entry: Entry) {
        if place >= entries.count {
            entries.append(contentsOf: repeatElement(.none, count: place + 1 - entries.count))
        }
        entries[place] = entry
    }

    /// What is stored as one record.
    func chunk(_ index: Int) -> ArraySlice<Entry> {
        entries[index * Self.entriesInChunk..<min((index + 1) * Self.entriesInChunk, entries.count)]
    }

    /// Puts a stored chunk back in place. False if it does not fit.
    mutating func restore(_ chunk: [Entry], at index: Int) -> Bool {
        let first = index * Self.entriesInChunk
        guard chunk.count <= Self.entriesInChunk, first + chunk.count <= capacity else { return false }
        for (offset, entry) in chunk.enumerated() { set(first + offset, entry) }
        return true
    }

    mutating func restore(position: UInt64) {
        self.position = max(self.position, position)
    }
}

extension RecentBank.Entry {
    init(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        row = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        generation = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self))
    }
}

/// Numbers of chunks, a bit each, as many as needed.
struct ChunkBitmap: Sendable {
    private var words: [UInt64] = []

    mutating func insert(_ chunk: Int) {
        if chunk / 64 >= words.count {
            words.append(contentsOf: repeatElement(0, count: chunk / 64 + 1 - words.count))
        }
        words[chunk / 64] |= 1 << UInt64(chunk % 64)
    }

    mutating func remove(_ chunk: Int) {
        words[chunk / 64] &= ~(1 << UInt64(chunk % 64))
    }

    /// The lowest one that is not below `chunk`.
    func first(from chunk: Int) -> Int? {
        var index = chunk / 64
        guard index < words.count else { return nil }
        var word = words[index] & (.max << UInt64(chunk % 64))
        while word == 0 {
            index += 1
            guard index < words.count else { return nil }
            word = words[index]
        }
        return index * 64 + word.trailingZeroBitCount
    }
}
