import SamplingFrequency

/// The smallest change that the journal records, in terms of collection numbers and rows. Operations are encoded when a
/// write is judged. After the commit and in recovery they are applied from the same bytes. So memory depends only on
/// the journal.
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
///    10 create       length 2 | fields of a `CatalogueRecord`
///    11 drop
///    12 swap         name length 1 | new name | other collection 4 | name length 1 | its new name
///    13 source       sequence 8 | name length 1 | name                          collection 0
///    14 run          place 2 | offset 8 | last step 8 | name length 1 | name
///    15 clock        hit 24 of the old last step | hit 24 of the new one
///    16 producer     place 2 | number 8 | step 8 | name length 1 | name
///    17 observe      as 5
///    18 sketch observation  as 8
///    19 handover     56 bytes of `StoredTotals`
///    20 statistics   entries 4 | (row or bucket 4 | 40 bytes of statistics) x entries
///    21 recent       position 8 | entries 4 | (row 4 | generation 4) x entries
///
/// Codes 5, 7 and 8 are from schema version 2. They are read but no longer written. A late observation of that version
/// changed no gap (`Lateness`).
///
/// A hit is step 8 | exponent 8 | weight float64. Its weight is computed once, when the write is judged, because `exp2`
/// may differ on another machine. "Position" is the number of observations that came before in the bank of recent ones.
enum Operation {
    case assign(row: UInt32, id: UnsafeRawBufferPointer)
    case free(row: UInt32)
    case embedding(row: UInt32, vector: UnsafeRawBufferPointer)
    case features(row: UInt32, json: UnsafeRawBufferPointer)
    case observe(Hit, Lateness, position: UInt64, entries: RowEntries<RecentBank.Entry>)
    case frequencies(Hit, entries: RowEntries<FrequencyEntry>)
    case producer(ProducerEntry, place: Int?)
    case sketchObservation(Hit, Lateness, hashes: UnsafeRawBufferPointer)
    case sketchFrequencies(Hit, entries: UnsafeRawBufferPointer)
    case create(CatalogueRecord)
    case drop
    case swap(newName: String, other: UInt32, otherNewName: String)
    case source(SourcePosition)
    case run(TrainerRun, place: Int)
    case clock(from: Hit, to: Hit)
    /// The collection forgets all statistics, producers and runs. The next operations set those of another collection,
    /// which has these totals.
    case handover(StoredTotals)
    case statistics(entries: RowEntries<StatisticsEntry>)
    case recent(position: UInt64, entries: RowEntries<RecentBank.Entry>)

    static let hashByteCount = 8

    /// What an observation means for gaps if its step is late.
    enum Lateness {
        /// It divides the gap in which it lies.
        case dividesGaps
        /// It is only counted.
        case isOnlyCounted
    }

    enum Code: UInt8 {
        case assign = 1
        case free = 2
        case embedding = 3
        case features = 4
        case oldObserve = 5
        case frequencies = 6
        case oldSequence = 7
        case oldSketchObservation = 8
        case sketchFrequencies = 9
        case create = 10
        case drop = 11
        case swap = 12
        case source = 13
        case run = 14
        case clock = 15
        case producer = 16
        case observe = 17
        case sketchObservation = 18
        case handover = 19
        case statistics = 20
        case recent = 21
    }
}

/// One entry of an operation on many rows.
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

/// One entry of a `statistics` operation.
struct StatisticsEntry: RowEntry {
    static let byteCount = 4 + Statistics.encodedByteCount

    /// In a collection with a sketch, the number of a bucket.
    let row: UInt32
    let record: Statistics

    init(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        var bytes = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + Self.byteCount]))
        // The length was checked, so no field is missing.
        row = bytes.integer(UInt32.self)!
        record = Statistics(&bytes)!
    }

    init(row: UInt32, _ record: Statistics) {
        self.row = row
        self.record = record
    }
}
