import LMDB
import SamplingFrequency
import VectorIndex

/// The records of the store itself: the catalogue and the source positions. Both are in the `meta` table.
///
/// A pass of the checkpoint first copies all dirty ones in one transaction, and writes the last group that they
/// contain. So the `meta` table has a collection before any other table has its records. After a drop, those are erased
/// last.
///
/// Store thread only, except that any thread may read `catalogue` and `sources`.
final class CatalogueRecords {
    let catalogue = Catalogue()
    let sources = SourcePositions()
    /// The number of the next new collection. Numbers are never reused.
    private(set) var nextCollectionNumber: UInt32 = 1
    /// Dropped collections that may still have records, with the group that dropped them. The records are erased once
    /// the checkpoint contains that group. The `meta` table has this list too. Otherwise records with a damaged number
    /// would pass for those of a dropped collection.
    private(set) var dropped: [(number: UInt32, group: UInt64)] = []
    /// The last group that the records contained when they were loaded; 0 for a new store.
    private var applied: UInt64 = 0
    /// Collections with a catalogue record that differs from the table: new, renamed or dropped ones.
    private var dirtyCollections: Set<UInt32> = []
    private var dirtySources: Set<String> = []
    /// A collection that is ready, but not yet durable: see `prepare`.
    private var prepared: Collection?
    /// Whether recovery has finished, so that a new collection serves at once.
    private var isServing = false
    private var hasDroppedList = true
    /// By collection: the first operation of the journal that does not fit it, during recovery.
    private var misfits: [UInt32: StoreError] = [:]

    // MARK: - Operations

    /// Allocates the memory of a new collection, so that the operation that creates it can't fail once it is durable.
    /// Throws `full`.
    func prepare(_ configuration: CollectionConfiguration, number: UInt32) throws(StoreError) {
        prepared = try Collection(number: number, configuration: configuration, account: catalogue.memory)
    }

    /// The collection did not become durable: frees its memory.
    func forgetPrepared() {
        prepared = nil
    }

    func create(_ number: UInt32, _ record: CatalogueRecord, group: UInt64) throws(StoreError) {
        guard group > applied else { return }
        let collection: Collection
        if let prepared, prepared.number == number {
            collection = prepared
        } else {
            collection = try Collection(
                number: number,
                configuration: record.configuration,
                account: catalogue.memory
            )
        }
        prepared = nil
        collection.isServing = isServing
        catalogue.add(collection, named: record.name)
        nextCollectionNumber = max(nextCollectionNumber, number + 1)
        dirtyCollections.insert(number)
    }

    func drop(_ number: UInt32, group: UInt64) {
        guard group > applied else { return }
        catalogue.remove(number)
        misfits[number] = nil
        dropped.append((number, group))
        dirtyCollections.insert(number)
    }

    /// Renames two collections, which exchange their names. Throws `corrupt` if the catalogue does not have both.
    func swap(_ names: [(number: UInt32, name: String)], group: UInt64) throws(StoreError) {
        guard group > applied else { return }
        guard catalogue.rename(names) else {
            throw .corruptOperation(group: group, "there is no such collection")
        }
        for (number, _) in names { dirtyCollections.insert(number) }
    }

    func note(_ position: SourcePosition, group: UInt64) {
        guard group > applied else { return }
        sources.note(position)
        dirtySources.insert(position.source)
    }

    // MARK: - Dropped collections

    /// Whether a collection is not in the catalogue because it was dropped. In a directory of version 2, which has no
    /// list of dropped collections, every unknown number is taken for one.
    func isDropped(_ number: UInt32) -> Bool {
        if dropped.contains(where: { $0.number == number }) { return true }
        if !hasDroppedList { dropped.append((number, 0)) }
        return !hasDroppedList
    }

    /// A dropped collection with records that can be erased now, because the tables contain all groups up to `group`.
    func erasable(checkpointed group: UInt64) -> UInt32? {
        dropped.first { $0.group <= group }?.number
    }

    /// Removes an erased collection from the list in the `meta` table. Call `noteErased` once that is committed.
    func forgetDropped(_ number: UInt32, in tables: Tables, _ transaction: borrowing WriteTransaction) throws {
        try transaction.delete(MetaKey(.dropped, number: number), from: tables.meta)
    }

    func noteErased(_ number: UInt32) {
        dropped.removeAll { $0.number == number }
    }

    // MARK: - Checkpoint

    /// Writes the dirty records. They stay dirty until `noteCopied`, which is called after the commit.
    func write(applied group: UInt64, to tables: Tables, _ transaction: borrowing WriteTransaction) throws {
        guard !dirtyCollections.isEmpty || !dirtySources.isEmpty else { return }
        for (name, collection) in catalogue.allNamed where dirtyCollections.contains(collection.number) {
            let record = CatalogueRecord(name: name, configuration: collection.configuration)
            try record.write(number: collection.number, in: tables.meta, transaction)
            try collection.sums.write(number: collection.number, in: tables.meta, transaction)
        }
        for number in dirtyCollections where catalogue[number: number] == nil {
            try transaction.delete(MetaKey(.collection, number: number), from: tables.meta)
            try transaction.delete(MetaKey(.sums, number: number), from: tables.meta)
            try tables.putInteger(group, for: MetaKey(.dropped, number: number), transaction)
        }
        for (index, position) in sources.all.enumerated() where dirtySources.contains(position.source) {
            try position.write(number: UInt32(index), in: tables.meta, transaction)
        }
        try tables.putInteger(nextCollectionNumber, for: MetaKey(.nextCollection), transaction)
        try tables.putInteger(group, for: MetaKey(.catalogueApplied), transaction)
    }

    func noteCopied() {
        dirtyCollections = []
        dirtySources = []
    }

    // MARK: - Recovery

    /// Loads the catalogue, the list of dropped collections and the source positions. Throws `corrupt`.
    func load(_ tables: Tables, _ transaction: borrowing ReadTransaction) throws {
        hasDroppedList = try tables.integer(UInt32.self, for: MetaKey(.schema), transaction) != 2
        nextCollectionNumber = try tables.integer(UInt32.self, for: MetaKey(.nextCollection), transaction) ?? 1
        applied = try tables.integer(UInt64.self, for: MetaKey(.catalogueApplied), transaction) ?? 0
        try transaction.forEach(in: tables.meta, from: MetaKey(.collection)) { key, value in
            guard key.kind == MetaKey.Kind.collection.rawValue else { return false }
            let record = try CatalogueRecord(value, key: key)
            catalogue.add(
                try Collection(
                    number: key.number,
                    configuration: record.configuration,
                    account: catalogue.memory
                ),
                named: record.name
            )
            return true
        }
        try transaction.forEach(in: tables.meta, from: MetaKey(.dropped)) { key, _ in
            guard key.kind == MetaKey.Kind.dropped.rawValue else { return false }
            let group = try tables.integer(UInt64.self, for: key, transaction)
            dropped.append((key.number, group ?? 0))
            return true
        }
        try transaction.forEach(in: tables.meta, from: MetaKey(.source)) { key, value in
            guard key.kind == MetaKey.Kind.source.rawValue else { return false }
            sources.note(try SourcePosition(value, key: key))
            return true
        }
    }

    /// Notes that an operation does not fit a collection. Throws if the store serves.
    ///
    /// During recovery the collection may be dropped later in the journal. The checkpoint skips the records of a
    /// collection that is dropped before their turn. So the journal that is left may name rows that no table has.
    func noteMisfit(_ error: StoreError, of number: UInt32) throws(StoreError) {
        guard !isServing else { throw error }
        if misfits[number] == nil { misfits[number] = error }
    }

    /// Throws `corrupt` if an operation did not fit a collection that is still there.
    func finishRecovery() throws(StoreError) {
        if let first = misfits.min(by: { $0.key < $1.key }) { throw first.value }
        isServing = true
        for collection in catalogue.all { try collection.finishRecovery() }
    }
}

/// A collection in the `meta` table. Its number is in the key. The operation `create` in the journal has the same
/// fields, without the checksum.
///
///     crc32c 4 | metric 1 | name length 1 | 0 2 | dimension 4 | alpha float64 8 | half-life float64 8, 0: none
///     | recent observations 8 | most ids 8, 0: no cap | buckets of a hash 8, 0: no sketch | hashes 8 | seed 8 | name
///
/// Buckets, hashes and seed are the layout of the sketch (`SketchLayout`).
struct CatalogueRecord {
    private static let headerByteCount = 64

    let name: String
    let configuration: CollectionConfiguration

    init(name: String, configuration: CollectionConfiguration) {
        self.name = name
        self.configuration = configuration
    }

    /// The size of the fields in bytes, without the checksum.
    var byteCount: Int { Self.headerByteCount + name.utf8.count }

    func write(number: UInt32, in table: Table<MetaKey>, _ transaction: borrowing WriteTransaction) throws {
        let key = MetaKey(.collection, number: number)
        try transaction.putRecord(Checksum.byteCount + byteCount, for: key, in: table) { encode(into: &$0) }
    }

    func encode(into bytes: inout ByteWriter) {
        bytes.integer(Self.code(of: configuration.metric))
        bytes.integer(UInt8(name.utf8.count))
        bytes.integer(UInt16(0))
        bytes.integer(UInt32(configuration.dimension))
        bytes.double(configuration.alpha)
        bytes.double(configuration.halfLife ?? 0)
        bytes.integer(Int64(configuration.recentCount))
        bytes.integer(Int64(configuration.idCountMax ?? 0))
        bytes.integer(Int64(configuration.sketch?.bucketCount ?? 0))
        bytes.integer(Int64(configuration.sketch?.hashCount ?? 0))
        bytes.integer(configuration.sketch?.seed ?? 0)
        for byte in name.utf8 { bytes.integer(byte) }
    }

    /// Throws `corrupt`.
    init(_ value: UnsafeRawBufferPointer, key: MetaKey) throws(StoreError) {
        var bytes = ByteReader(try Checksum.verified(value, key: key, table: "meta"))
        do throws(DecodingFailure) {
            self = try CatalogueRecord(&bytes)
        } catch {
            throw Checksum.corrupt(key, "meta", error.reason)
        }
    }

    struct DecodingFailure: Error {
        let reason: String
    }

    init(_ bytes: inout ByteReader) throws(DecodingFailure) {
        guard let code = bytes.integer(UInt8.self), let nameByteCount = bytes.integer(UInt8.self),
            bytes.integer(UInt16.self) != nil, let dimension = bytes.integer(UInt32.self),
            let alpha = bytes.double(), let halfLife = bytes.double(), let recentCount = bytes.integer(Int64.self),
            let idCountMax = bytes.integer(Int64.self), let bucketCount = bytes.integer(Int64.self),
            let hashCount = bytes.integer(Int64.self), let seed = bytes.integer(UInt64.self),
            let name = bytes.bytes(Int(nameByteCount))
        else { throw DecodingFailure(reason: "it is too short") }
        guard let metric = Metric.allCases.first(where: { Self.code(of: $0) == code }) else {
            throw DecodingFailure(reason: "there is no metric \(code)")
        }
        guard let name = String(validating: name, as: UTF8.self) else {
            throw DecodingFailure(reason: "the name is not UTF-8")
        }
        guard dimension > 0, alpha > 0, alpha <= 1, halfLife == 0 || halfLife >= 1 && halfLife.isFinite,
            (0...Int64(CollectionConfiguration.recentCountMax)).contains(recentCount)
        else { throw DecodingFailure(reason: "a parameter is out of range") }
        var sketch: SketchLayout?
        if bucketCount != 0 {
            guard SketchLayout.isPossible(bucketCount: Int(bucketCount), hashCount: Int(hashCount)) else {
                throw DecodingFailure(reason: "got \(hashCount) hashes of \(bucketCount) buckets")
            }
            sketch = SketchLayout(bucketCount: Int(bucketCount), hashCount: Int(hashCount), seed: seed)
        }
        self.name = name
        configuration = CollectionConfiguration(
            dimension: Int(dimension),
            metric: metric,
            alpha: alpha,
            halfLife: halfLife > 0 ? halfLife : nil,
            recentCount: Int(recentCount),
            idCountMax: idCountMax > 0 ? Int(idCountMax) : nil,
            sketch: sketch
        )
    }

    private static func code(of metric: Metric) -> UInt8 {
        switch metric {
        case .dot: 0
        case .cosine: 1
        case .l2: 2
        }
    }
}
