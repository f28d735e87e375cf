import LMDB

/// Every table and key of a data directory, in one place. Integers in keys are big-endian, so that the order of the
/// bytes is the order of the fields; integers and floats in values are little-endian.
///
/// | table | key | value |
/// |---|---|---|
/// | `meta` | kind, number | schema version; checkpoint position; next collection number; a collection (`CatalogueRecord`) |
/// | `journal` | group, frame | operations (`JournalGroup`) |
/// | `rows` | collection, row, part | id and embedding (`RowRecord`) |
/// | `features` | collection, row | JSON (`FeatureRecord`) |
/// | `frequency` | collection, chunk | statistics of 32 rows, totals, 32 writers, or recent observations (`FrequencyRecords`) |
///
/// No value is over 4,080 bytes. LMDB puts a value that does not fit a leaf on pages of its own, and 4,080 bytes are
/// just one page: it never has to look for two neighbouring free pages, which gets slow in a file that is months old.
struct Tables {
    static let schemaVersion: UInt32 = 2
    static let valueByteCountMax = 4080

    let meta: Table<MetaKey>
    let journal: Table<JournalKey>
    let rows: Table<RowKey>
    let features: Table<FeatureKey>
    let frequency: Table<FrequencyKey>
}

extension Tables {
    /// Opens the tables; makes those that are missing.
    init(in transaction: borrowing WriteTransaction) throws(LMDBError) {
        meta = try Table(named: "meta", in: transaction)
        journal = try Table(named: "journal", in: transaction)
        rows = try Table(named: "rows", in: transaction)
        features = try Table(named: "features", in: transaction)
        frequency = try Table(named: "frequency", in: transaction)
    }

    /// Opens the tables, which must be there.
    init(in transaction: borrowing ReadTransaction) throws(LMDBError) {
        meta = try Table(named: "meta", in: transaction)
        journal = try Table(named: "journal", in: transaction)
        rows = try Table(named: "rows", in: transaction)
        features = try Table(named: "features", in: transaction)
        frequency = try Table(named: "frequency", in: transaction)
    }
}

struct MetaKey: TableKey {
    enum Kind: UInt8 {
        /// Value: schema version, UInt32.
        case schema = 0
        /// Value: the last group that is wholly in the tables, UInt64. Its journal is gone or is being cut.
        case checkpoint = 1
        /// Value: the number that the next collection gets, UInt32. Numbers are never used again.
        case nextCollection = 2
        /// Value: a `CatalogueRecord`; the key's number is the collection's.
        case collection = 3
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

/// A key of a table that belongs to collections: their number comes first.
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

struct FeatureKey: CollectionKey {
    var collection: UInt32
    var row: UInt32

    init(collection: UInt32, row: UInt32) {
        self.collection = collection
        self.row = row
    }

    static func first(of collection: UInt32) -> FeatureKey {
        FeatureKey(collection: collection, row: 0)
    }

    static let byteCount = 8

    func encode(into bytes: UnsafeMutableRawBufferPointer) {
        bytes.storeBigEndian(collection)
        bytes.storeBigEndian(row, at: 4)
    }

    init(decoding bytes: UnsafeRawBufferPointer) {
        collection = bytes.loadBigEndian()
        row = bytes.loadBigEndian(at: 4)
    }
}

struct FrequencyKey: CollectionKey {
    /// Runs of 32 rows are numbered from 0; there are at most 2^27 of them. Behind them stand chunks of the bank of recent
    /// observations, 32 writers a chunk, and the totals.
    static let firstRecentChunk: UInt32 = 0xE000_0000
    static let firstWriterChunk: UInt32 = 0xF000_0000
    static let totalsChunk: UInt32 = 0xFFFF_FFFF

    var collection: UInt32
    var chunk: UInt32

    init(collection: UInt32, chunk: UInt32) {
        self.collection = collection
        self.chunk = chunk
    }

    static func first(of collection: UInt32) -> FrequencyKey {
        FrequencyKey(collection: collection, chunk: 0)
    }

    static let byteCount = 8

    func encode(into bytes: UnsafeMutableRawBufferPointer) {
        bytes.storeBigEndian(collection)
        bytes.storeBigEndian(chunk, at: 4)
    }

    init(decoding bytes: UnsafeRawBufferPointer) {
        collection = bytes.loadBigEndian()
        chunk = bytes.loadBigEndian(at: 4)
    }
}
