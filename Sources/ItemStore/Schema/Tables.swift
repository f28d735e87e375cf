import LMDB

/// All tables and keys of a data directory. Integers in keys are big-endian, so keys sort like their fields. Integers
/// and floats in values are little-endian.
///
/// | table | key | value |
/// |---|---|---|
/// | `meta` | kind, number | versions; identity; checkpoint position; `CatalogueRecord`s; dropped; `SourcePosition`s |
/// | `journal` | group, frame | operations (`JournalGroup`, `Operation`) |
/// | `rows` | collection, row, part | id and embedding (`Rows`) |
/// | `features` | collection, row, part | JSON (`Features`) |
/// | `frequency` | collection, record | `FrequencyTableKind`s: statistics, bank, producers, runs, totals |
///
/// No value has more than 4,080 bytes. LMDB puts a value that does not fit in a leaf on pages of its own, and 4,080
/// bytes fit on one page. So LMDB never has to find adjacent free pages, which is slow in an old file.
struct Tables {
    static let valueBytesMax = 4080

    let meta: Table<MetaKey>
    let journal: Table<JournalKey>
    let rows: Table<RowKey>
    let features: Table<FeatureKey>
    let frequency: Table<FrequencyKey>

    /// The names of all tables, with the sizes of their keys.
    static let keyByteCounts = [
        "meta": MetaKey.byteCounts, "journal": JournalKey.byteCounts, "rows": RowKey.byteCounts,
        "features": FeatureKey.byteCounts, "frequency": FrequencyKey.byteCounts,
    ]
}

extension Tables {
    /// Opens the tables, and creates those that are missing.
    init(in transaction: borrowing WriteTransaction) throws(LMDBError) {
        meta = try Table(named: "meta", in: transaction)
        journal = try Table(named: "journal", in: transaction)
        rows = try Table(named: "rows", in: transaction)
        features = try Table(named: "features", in: transaction)
        frequency = try Table(named: "frequency", in: transaction)
    }

    /// Opens the tables, which must exist.
    init(in transaction: borrowing ReadTransaction) throws(LMDBError) {
        meta = try Table(named: "meta", in: transaction)
        journal = try Table(named: "journal", in: transaction)
        rows = try Table(named: "rows", in: transaction)
        features = try Table(named: "features", in: transaction)
        frequency = try Table(named: "frequency", in: transaction)
    }
}

extension Tables {
    /// The size of the pages of all tables in bytes, without free pages.
    func byteCount(_ transaction: borrowing ReadTransaction) throws(LMDBError) -> Int {
        try transaction.byteCount(of: meta) + transaction.byteCount(of: journal) + recordByteCount(transaction)
    }

    /// The size of the pages with the records of collections in bytes.
    func recordByteCount(_ transaction: borrowing ReadTransaction) throws(LMDBError) -> Int {
        try transaction.byteCount(of: rows) + transaction.byteCount(of: features) + transaction.byteCount(of: frequency)
    }
}

struct MetaKey: TableKey {
    enum Kind: UInt8 {
        /// Value: the schema version, UInt32.
        case schema = 0
        /// Value: the last group of the checkpoint, UInt64. The tables have everything up to this group, so the journal
        /// is cut up to it.
        case checkpoint = 1
        /// Value: the number of the next new collection, UInt32. Numbers are never reused.
        case nextCollection = 2
        /// Value: a `CatalogueRecord`; the key's number is the collection's.
        case collection = 3
        /// Value: the last group that the catalogue and the source positions contain, UInt64.
        case catalogueApplied = 4
        /// Value: a `SourcePosition`.
        case source = 5
        /// Value: the version of a kind of record, UInt32; the key's number is the kind's (`FormatVersions`).
        case format = 6
        /// Value: the `DirectoryIdentity`, 16 bytes.
        case identity = 7
        /// Value: the last group when the checkpoint removed the collection with the key's number, UInt64. The
        /// collection may still have records in other tables.
        case dropped = 8
        /// Value: the `CollectionSums` of the collection with the key's number.
        case sums = 9
    }

    var kind: UInt8
    var number: UInt32

    init(_ kind: Kind, number: UInt32 = 0) {
        self.kind = kind.rawValue
        self.number = number
    }

    static let byteCount = 5

    func encode(into bytes: UnsafeMutableRawBufferPointer) {
        bytes[0] = kind
        bytes.storeBigEndian(number, at: 1)
    }

    init(decoding bytes: UnsafeRawBufferPointer) {
        kind = bytes[0]
        number = bytes.loadBigEndian(at: 1)
    }
}

struct JournalKey: TableKey {
    var group: UInt64
    var frame: UInt32

    init(group: UInt64, frame: UInt32) {
        self.group = group
        self.frame = frame
    }

    static let byteCount = 12

    func encode(into bytes: UnsafeMutableRawBufferPointer) {
        bytes.storeBigEndian(group)
        bytes.storeBigEndian(frame, at: 8)
    }

    init(decoding bytes: UnsafeRawBufferPointer) {
        group = bytes.loadBigEndian()
        frame = bytes.loadBigEndian(at: 8)
    }
}

/// A key of a table with records of collections. The number of the collection comes first.
protocol CollectionKey: TableKey {
    var collection: UInt32 { get }
    /// The lowest key that the collection can have.
    static func first(of collection: UInt32) -> Self
}

struct RowKey: CollectionKey {
    var collection: UInt32
    var row: UInt32
    var part: UInt8

    init(collection: UInt32, row: UInt32, part: UInt8 = 0) {
        self.collection = collection
        self.row = row
        self.part = part
    }

    static func first(of collection: UInt32) -> RowKey {
        RowKey(collection: collection, row: 0)
    }

    static let byteCount = 9

    func encode(into bytes: UnsafeMutableRawBufferPointer) {
        bytes.storeBigEndian(collection)
        bytes.storeBigEndian(row, at: 4)
        bytes[8] = part
    }

    init(decoding bytes: UnsafeRawBufferPointer) {
        collection = bytes.loadBigEndian()
        row = bytes.loadBigEndian(at: 4)
        part = bytes[8]
    }
}

/// Part 0 has no byte for its number, so a short JSON has the shorter key. It sorts before the other parts of its row.
struct FeatureKey: CollectionKey {
    var collection: UInt32
    var row: UInt32
    var part: UInt8

    init(collection: UInt32, row: UInt32, part: UInt8 = 0) {
        self.collection = collection
        self.row = row
        self.part = part
    }

    static func first(of collection: UInt32) -> FeatureKey {
        FeatureKey(collection: collection, row: 0)
    }

    static let byteCount = 9
    static let byteCountMin = 8

    var encodedByteCount: Int { part == 0 ? Self.byteCountMin : Self.byteCount }

    func encode(into bytes: UnsafeMutableRawBufferPointer) {
        bytes.storeBigEndian(collection)
        bytes.storeBigEndian(row, at: 4)
        if part > 0 { bytes[8] = part }
    }

    init(decoding bytes: UnsafeRawBufferPointer) {
        collection = bytes.loadBigEndian()
        row = bytes.loadBigEndian(at: 4)
        part = bytes.count > Self.byteCountMin ? bytes[8] : 0
    }
}

struct FrequencyKey: CollectionKey {
    /// The range of `record` for each kind of record. There are at most 2^27 pages of 32 rows or buckets.
    static let pages: ClosedRange<UInt32> = 0...0x07FF_FFFF
    static let recent: ClosedRange<UInt32> = 0xE000_0000...0xEFFF_FFFF
    static let producers: ClosedRange<UInt32> = 0xF000_0000...0xF000_001F
    static let runs: ClosedRange<UInt32> = 0xF100_0000...0xF100_0007
    static let totals: ClosedRange<UInt32> = 0xFFFF_FFFF...0xFFFF_FFFF

    var collection: UInt32
    var record: UInt32

    init(collection: UInt32, record: UInt32) {
        self.collection = collection
        self.record = record
    }

    static func first(of collection: UInt32) -> FrequencyKey {
        FrequencyKey(collection: collection, record: 0)
    }

    static let byteCount = 8

    func encode(into bytes: UnsafeMutableRawBufferPointer) {
        bytes.storeBigEndian(collection)
        bytes.storeBigEndian(record, at: 4)
    }

    init(decoding bytes: UnsafeRawBufferPointer) {
        collection = bytes.loadBigEndian()
        record = bytes.loadBigEndian(at: 4)
    }
}
