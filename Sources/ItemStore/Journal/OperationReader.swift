import SamplingFrequency

/// Reads the operations of a group one after another. The pointers in an operation are valid as long as the group's
/// bytes.
struct OperationReader {
    private var bytes: ByteReader

    init(_ operations: UnsafeRawBufferPointer) {
        bytes = ByteReader(operations)
    }

    /// Reads the operations of a group. Its bytes begin with the header, which is skipped.
    init(group: UnsafeRawBufferPointer) {
        self.init(UnsafeRawBufferPointer(rebasing: group.dropFirst(JournalGroup.headerByteCount)))
    }

    /// Decodes the next operation; nil at the end. Throws `corrupt` if the bytes are no operation.
    mutating func next() throws(StoreError) -> (collection: UInt32, operation: Operation)? {
        if bytes.isAtEnd { return nil }
        guard let code = bytes.integer(UInt8.self).flatMap(Operation.Code.init(rawValue:)),
            let collection = bytes.integer(UInt32.self), let operation = decode(code)
        else { throw StoreError(.corrupt, "corrupt operation in a group of table 'journal'") }
        return (collection, operation)
    }

    private mutating func decode(_ code: Operation.Code) -> Operation? {
        switch code {
        case .assign:
            guard let row = bytes.integer(UInt32.self), let length = bytes.integer(UInt8.self),
                let id = bytes.bytes(Int(length)), length > 0
            else { return nil }
            return .assign(row: row, id: id)
        case .free:
            guard let row = bytes.integer(UInt32.self) else { return nil }
            return .free(row: row)
        case .embedding:
            guard let row = bytes.integer(UInt32.self), let dimension = bytes.integer(UInt16.self),
                let vector = bytes.bytes(Int(dimension) * 4)
            else { return nil }
            return .embedding(row: row, vector: vector)
        case .features:
            guard let row = bytes.integer(UInt32.self), let length = bytes.integer(UInt16.self),
                let json = bytes.bytes(Int(length))
            else { return nil }
            return .features(row: row, json: json)
        case .observe, .oldObserve:
            guard let hit = decodeHit(), let position = bytes.integer(UInt64.self),
                let entries = decodeEntries(of: RecentBank.Entry.self)
            else { return nil }
            return .observe(
                hit,
                code == .observe ? .dividesGaps : .isOnlyCounted,
                position: position,
                entries: entries
            )
        case .frequencies:
            guard let hit = decodeHit(), let entries = decodeEntries(of: FrequencyEntry.self) else { return nil }
            return .frequencies(hit, entries: entries)
        case .oldSequence:
            guard let number = bytes.integer(Int64.self), let name = bytes.name() else { return nil }
            return .producer(ProducerEntry(name: name, number: number, step: -1), place: nil)
        case .sketchObservation, .oldSketchObservation:
            guard let hit = decodeHit(), let count = bytes.integer(UInt32.self),
                let hashes = bytes.bytes(Int(count) * Operation.hashByteCount)
            else { return nil }
            let lateness: Operation.Lateness = code == .sketchObservation ? .dividesGaps : .isOnlyCounted
            return .sketchObservation(hit, lateness, hashes: hashes)
        case .sketchFrequencies:
            guard let hit = decodeHit(), let count = bytes.integer(UInt32.self),
                let entries = bytes.bytes(Int(count) * SketchEntry.byteCount)
            else { return nil }
            return .sketchFrequencies(hit, entries: entries)
        case .run, .clock, .producer:
            return decodeOfTrainer(code)
        case .handover, .statistics, .recent:
            return decodeOfHandover(code)
        case .create, .drop, .swap, .source:
            return decodeOfStore(code)
        }
    }

    private mutating func decodeOfTrainer(_ code: Operation.Code) -> Operation? {
        if code == .clock {
            guard let old = decodeHit(), let new = decodeHit() else { return nil }
            return .clock(from: old, to: new)
        }
        guard let place = bytes.integer(UInt16.self), let first = bytes.integer(Int64.self),
            let second = bytes.integer(Int64.self), let name = bytes.name()
        else { return nil }
        if code == .run {
            // The sum is a step on the clock, so it must not overflow or be negative.
            let (clock, overflow) = first.addingReportingOverflow(second)
            guard !overflow, clock >= 0 else { return nil }
            return .run(TrainerRun(name: name, offset: first, lastStep: second), place: Int(place))
        }
        return .producer(ProducerEntry(name: name, number: first, step: second), place: Int(place))
    }

    private mutating func decodeOfHandover(_ code: Operation.Code) -> Operation? {
        switch code {
        case .handover:
            guard let fields = bytes.bytes(StoredTotals.byteCount) else { return nil }
            var reader = ByteReader(fields)
            return StoredTotals(&reader).map { .handover($0) }
        case .statistics:
            return decodeEntries(of: StatisticsEntry.self).map { .statistics(entries: $0) }
        default:
            guard let position = bytes.integer(UInt64.self), let entries = decodeEntries(of: RecentBank.Entry.self)
            else { return nil }
            return .recent(position: position, entries: entries)
        }
    }

    private mutating func decodeOfStore(_ code: Operation.Code) -> Operation? {
        switch code {
        case .create:
            guard let length = bytes.integer(UInt16.self), let fields = bytes.bytes(Int(length)) else { return nil }
            var reader = ByteReader(fields)
            guard let record = try? CatalogueRecord(&reader), reader.isAtEnd else { return nil }
            return .create(record)
        case .swap:
            guard let name = bytes.name(), let other = bytes.integer(UInt32.self), let otherName = bytes.name()
            else { return nil }
            return .swap(newName: name, other: other, otherNewName: otherName)
        case .source:
            guard let sequence = bytes.integer(UInt64.self), let source = bytes.name() else { return nil }
            return .source(SourcePosition(source: source, sequence: sequence))
        default:
            return .drop
        }
    }

    private mutating func decodeEntries<Entry: RowEntry>(of type: Entry.Type) -> RowEntries<Entry>? {
        guard let count = bytes.integer(UInt32.self), let bytes = bytes.bytes(Int(count) * Entry.byteCount)
        else { return nil }
        return RowEntries(bytes)
    }

    private mutating func decodeHit() -> Hit? {
        guard let step = bytes.integer(Int64.self), step >= 0, let exponent = bytes.integer(Int64.self),
            let weight = bytes.double()
        else { return nil }
        return Hit(step: step, exponent: Int(exponent), weight: weight)
    }
}
