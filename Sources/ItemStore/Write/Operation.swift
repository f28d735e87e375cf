import SamplingFrequency

/// What the journal says: the smallest changes, in terms of collection numbers and rows. The writer encodes them when it
/// judges a request, and applies them from these very bytes after the commit; recovery applies the same bytes again.
/// So what is in memory depends on the journal alone.
///
/// Layout, little-endian: code UInt8, collection UInt32, then
///
///     1 assign       row 4 | id length 1 | id
///     2 free         row 4
///     3 embedding    row 4 | dimension 2 | float32 x dimension
///     4 features     row 4 | length 2 | JSON
///     5 observe      hit 24 | position 8 | entries 4 | (row 4 | generation 4) x entries
///     6 frequencies  hit 24 | entries 4 | (row 4 | gap 8 | count 8) x entries   NaN: unchanged
///     7 sequence     number 8 | name length 1 | name
///     8 sketch observation  hit 24 | ids 4 | hash 8 x ids
///     9 sketch frequencies  hit 24 | ids 4 | (hash 8 | gap 8 | count 8 | smallest count 8 | its step 8) x ids
///
/// A hit is step 8 | exponent 8 | weight float64: what it adds to a count is computed once, when the write is judged, so
/// that another machine's `exp2` changes nothing. "Position" is how many observations the bank of
/// recent ones had seen before.
enum Operation {
    case assign(row: UInt32, id: UnsafeRawBufferPointer)
    case free(row: UInt32)
    case embedding(row: UInt32, vector: UnsafeRawBufferPointer)
    case features(row: UInt32, json: UnsafeRawBufferPointer)
    case observe(Hit, position: UInt64, entries: RowEntries<RecentBank.Entry>)
    case frequencies(Hit, entries: RowEntries<FrequencyEntry>)
    case sequence(number: Int64, writer: UnsafeRawBufferPointer)
    case sketchObservation(Hit, hashes: UnsafeRawBufferPointer)
    case sketchFrequencies(Hit, entries: UnsafeRawBufferPointer)

    static let hashByteCount = 8

    enum Code: UInt8 {
        case assign = 1
        case free = 2
        case embedding = 3
        case features = 4
        case observe = 5
        case frequencies = 6
        case sequence = 7
        case sketchObservation = 8
        case sketchFrequencies = 9
    }
}

/// What an operation on many rows says of one.
protocol RowEntry {
    static var byteCount: Int { get }
    var row: UInt32 { get }
    init(_ bytes: UnsafeRawBufferPointer, at offset: Int)
}

/// The entries of an operation on many rows, decoded one by one from its bytes.
struct RowEntries<Entry: RowEntry>: RandomAccessCollection {
    private let bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    var startIndex: Int { 0 }
    var endIndex: Int { bytes.count / Entry.byteCount }

    @inline(__always)
    subscript(index: Int) -> Entry { Entry(bytes, at: index * Entry.byteCount) }
}

/// One entry of a `frequencies` operation.
struct FrequencyEntry: RowEntry {
    static let byteCount = 20

    let row: UInt32
    /// Nil: unchanged.
    let gap: Double?
    let count: Double?

    init(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        func double(_ offset: Int) -> Double? {
            let bits = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            let value = Double(bitPattern: bits)
            return value.isNaN ? nil : value
        }
        row = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        gap = double(offset + 4)
        count = double(offset + 12)
    }
}

/// Encodes the operations of a group.
struct OperationEncoder {
    /// The group so far, behind room for the group's header.
    private(set) var bytes = [UInt8](repeating: 0, count: JournalGroup.headerByteCount)

    var isEmpty: Bool { bytes.count == JournalGroup.headerByteCount }
    var byteCount: Int { bytes.count }

    mutating func removeAll() {
        bytes.removeLast(bytes.count - JournalGroup.headerByteCount)
    }

    mutating func withBytes<R>(_ body: (UnsafeMutableRawBufferPointer) throws -> R) rethrows -> R {
        try bytes.withUnsafeMutableBytes(body)
    }

    mutating func assign(collection: UInt32, row: UInt32, id: UnsafeRawBufferPointer) {
        begin(.assign, collection)
        integer(row)
        integer(UInt8(id.count))
        bytes.append(contentsOf: id)
    }

    mutating func free(collection: UInt32, row: UInt32) {
        begin(.free, collection)
        integer(row)
    }

    mutating func embedding(collection: UInt32, row: UInt32, vector: [Float]) {
        begin(.embedding, collection)
        integer(row)
        integer(UInt16(vector.count))
        vector.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }

    mutating func features(collection: UInt32, row: UInt32, json: [UInt8]) {
        begin(.features, collection)
        integer(row)
        integer(UInt16(json.count))
        bytes.append(contentsOf: json)
    }

    mutating func observe(collection: UInt32, _ hit: Hit, position: UInt64, _ entries: [RecentBank.Entry]) {
        begin(.observe, collection)
        self.hit(hit)
        integer(position)
        integer(UInt32(entries.count))
        entries.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }

    mutating func frequencies(
        collection: UInt32,
        _ hit: Hit,
        rows: [UInt32],
        gaps: [Double],
        counts: [Double]
    ) {
        begin(.frequencies, collection)
        self.hit(hit)
        integer(UInt32(rows.count))
        for index in rows.indices {
            integer(rows[index])
            integer(gaps[index].bitPattern)
            integer(counts[index].bitPattern)
        }
    }

    mutating func sequence(collection: UInt32, _ sequence: WriterSequence) {
        begin(.sequence, collection)
        integer(sequence.number)
        integer(UInt8(sequence.writer.utf8.count))
        bytes.append(contentsOf: sequence.writer.utf8)
    }

    mutating func sketchObservation(collection: UInt32, _ hit: Hit, hashes: [UInt64]) {
        begin(.sketchObservation, collection)
        self.hit(hit)
        integer(UInt32(hashes.count))
        for hash in hashes { integer(hash) }
    }

    mutating func sketchFrequencies(collection: UInt32, _ hit: Hit, _ entries: [SketchEntry]) {
        begin(.sketchFrequencies, collection)
        self.hit(hit)
        integer(UInt32(entries.count))
        for entry in entries {
            integer(entry.hash)
            integer((entry.gap ?? .nan).bitPattern)
            integer((entry.count ?? .nan).bitPattern)
            integer(entry.smallest.bitPattern)
            integer(entry.smallestStep)
        }
    }

    private mutating func hit(_ hit: Hit) {
        integer(hit.step)
        integer(Int64(hit.exponent))
        integer(hit.weight.bitPattern)
    }

    private mutating func begin(_ code: Operation.Code, _ collection: UInt32) {
        bytes.append(code.rawValue)
        integer(collection)
    }

    private mutating func integer<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
}

/// Reads the operations of a group one after another. The pointers are valid as long as the group's bytes.
struct OperationReader {
    private var reader: ByteReader

    /// `group` begins with its header.
    init(group: UnsafeRawBufferPointer) {
        reader = ByteReader(UnsafeRawBufferPointer(rebasing: group.dropFirst(JournalGroup.headerByteCount)))
    }

    var bytesLeft: Int { reader.bytesLeft }

    /// The next operation, nil at the end. An operation that makes no sense is `corrupt`.
    mutating func next() throws(StoreError) -> (collection: UInt32, operation: Operation)? {
        if reader.isAtEnd { return nil }
        guard let code = reader.integer(UInt8.self).flatMap(Operation.Code.init(rawValue:)),
            let collection = reader.integer(UInt32.self), let operation = decode(code)
        else { throw StoreError(.corrupt, "corrupt operation in a group of table 'journal'") }
        return (collection, operation)
    }

    private mutating func decode(_ code: Operation.Code) -> Operation? {
        switch code {
        case .assign:
            guard let row = reader.integer(UInt32.self), let length = reader.integer(UInt8.self),
                let id = reader.bytes(Int(length)), length > 0
            else { return nil }
            return .assign(row: row, id: id)
        case .free:
            guard let row = reader.integer(UInt32.self) else { return nil }
            return .free(row: row)
        case .embedding:
            guard let row = reader.integer(UInt32.self), let dimension = reader.integer(UInt16.self),
                let vector = reader.bytes(Int(dimension) * 4)
            else { return nil }
            return .embedding(row: row, vector: vector)
        case .features:
            guard let row = reader.integer(UInt32.self), let length = reader.integer(UInt16.self),
                let json = reader.bytes(Int(length))
            else { return nil }
            return .features(row: row, json: json)
        case .observe:
            guard let hit = decodeHit(), let position = reader.integer(UInt64.self),
                let entries = decodeEntries(of: RecentBank.Entry.self)
            else { return nil }
            return .observe(hit, position: position, entries: entries)
        case .frequencies:
            guard let hit = decodeHit(), let entries = decodeEntries(of: FrequencyEntry.self) else { return nil }
            return .frequencies(hit, entries: entries)
        case .sequence:
            guard let number = reader.integer(Int64.self), let length = reader.integer(UInt8.self),
                let writer = reader.bytes(Int(length))
            else { return nil }
            return .sequence(number: number, writer: writer)
        case .sketchObservation:
            guard let hit = decodeHit(), let count = reader.integer(UInt32.self),
                let hashes = reader.bytes(Int(count) * Operation.hashByteCount)
            else { return nil }
            return .sketchObservation(hit, hashes: hashes)
        case .sketchFrequencies:
            guard let hit = decodeHit(), let count = reader.integer(UInt32.self),
                let entries = reader.bytes(Int(count) * SketchEntry.byteCount)
            else { return nil }
            return .sketchFrequencies(hit, entries: entries)
        }
    }

    private mutating func decodeEntries<Entry: RowEntry>(of type: Entry.Type) -> RowEntries<Entry>? {
        guard let count = reader.integer(UInt32.self), let bytes = reader.bytes(Int(count) * Entry.byteCount)
        else { return nil }
        return RowEntries(bytes)
    }

    private mutating func decodeHit() -> Hit? {
        guard let step = reader.integer(Int64.self), step >= 0, let exponent = reader.integer(Int64.self),
            let weight = reader.double()
        else { return nil }
        return Hit(step: step, exponent: Int(exponent), weight: weight)
    }
}
