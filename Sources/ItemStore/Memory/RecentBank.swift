/// The last N observations: the bank for cross-batch negatives (Wang et al., SIGIR 2021). An id that was observed twice
/// is in it twice.
///
/// An observation is a row with its generation. So the observation of an id that was deleted belongs to no id, even if
/// another id has the row now. The place of an observation follows from its position in the stream of all observations.
/// So replay may repeat observations that a stored record of the bank already has.
struct RecentBank: Sendable {
    struct Entry: RowEntry, BitwiseCopyable, Sendable, Equatable {
        static let byteCount = 8

        let row: UInt32
        let generation: UInt32

        /// Marks a place without an observation. No row has this number.
        static let none = Entry(row: .max, generation: 0)
    }

    static let entriesInRecord = 500

    let capacity: Int
    /// By place. Grows with the observations, up to `capacity`.
    private(set) var entries: [Entry] = []
    /// The number of all observations that there have been.
    private(set) var position: UInt64 = 0

    init(capacity: Int) {
        self.capacity = capacity
    }

    /// The memory in bytes of a bank that is full. It counts from the beginning, because observations of known ids must
    /// not fail when memory is short.
    static func byteCount(capacity: Int) -> Int { capacity * Entry.byteCount }

    /// Writes observations that begin at `position` in the stream. Skips records for which `mayChange` returns false.
    /// Without `movesPosition`, the position of the bank is already that of a later group.
    mutating func set(
        _ position: UInt64,
        _ observations: some RandomAccessCollection<Entry>,
        movesPosition: Bool,
        mayChange: (_ record: Int) -> Bool
    ) {
        if movesPosition { restore(position: position + UInt64(observations.count)) }
        guard capacity > 0 else { return }
        var place = Int(position % UInt64(capacity))
        var rest = observations[...]
        while !rest.isEmpty {
            let record = place / Self.entriesInRecord
            let next = rest.prefix(min((record + 1) * Self.entriesInRecord, capacity) - place)
            if mayChange(record) {
                for (offset, entry) in next.enumerated() { set(place + offset, entry) }
            }
            place = (place + next.count) % capacity
            rest = rest.dropFirst(next.count)
        }
    }

    private mutating func set(_ place: Int, _ entry: Entry) {
        if place >= entries.count {
            // An array that grew by itself could become twice as large as the bank.
            if place >= entries.capacity { entries.reserveCapacity(min(capacity, max(1_024, 2 * place))) }
            entries.append(contentsOf: repeatElement(.none, count: place + 1 - entries.count))
        }
        entries[place] = entry
    }

    /// Removes the entries of a record.
    mutating func removeEntries(ofRecord record: Int) {
        for place in places(ofRecord: record) { entries[place] = .none }
        if let last = entries.lastIndex(where: { $0 != .none }) {
            entries.removeLast(entries.count - last - 1)
        } else {
            entries.removeAll(keepingCapacity: true)
        }
    }

    /// The entries of one stored record.
    func entries(ofRecord record: Int) -> ArraySlice<Entry> {
        entries[places(ofRecord: record)]
    }

    /// The places of a record that the bank has reached.
    private func places(ofRecord record: Int) -> Range<Int> {
        let first = min(record * Self.entriesInRecord, entries.count)
        return first..<min(first + Self.entriesInRecord, entries.count)
    }

    /// The observations in the bank, the oldest first.
    var observations: [Entry] {
        guard capacity > 0 else { return [] }
        let oldest = position < UInt64(capacity) ? 0 : Int(position % UInt64(capacity))
        let places = oldest..<oldest + min(capacity, Int(clamping: position))
        return places.map { place in
            let place = place % capacity
            return place < entries.count ? entries[place] : .none
        }
    }

    /// Restores a stored record. Returns false if the bank has no room for it.
    mutating func restore(_ stored: [Entry], record: Int) -> Bool {
        let first = record * Self.entriesInRecord
        guard stored.count <= Self.entriesInRecord, first + stored.count <= capacity else { return false }
        for (offset, entry) in stored.enumerated() { set(first + offset, entry) }
        return true
    }

    mutating func restore(position: UInt64) {
        self.position = max(self.position, position)
    }

    mutating func reset(position: UInt64) {
        self.position = position
    }
}

extension RecentBank.Entry {
    init(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        row = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        generation = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self))
    }
}
