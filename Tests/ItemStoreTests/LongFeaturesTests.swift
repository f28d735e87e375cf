import LMDB
import PackedStrings
import TestSupport
import Testing
import VectorIndex

@testable import ItemStore

/// Features that are longer than a record, on a real store.
@Suite struct LongFeaturesTests {
    private static let longest = 65_535

    private static func json(_ length: Int, _ letter: String = "x") -> [UInt8] {
        Array("{\"k\":\"\(String(repeating: letter, count: length - 8))\"}".utf8)
    }

    private static func set(_ id: Int, _ length: Int, _ letter: String = "x") -> Write {
        .setFeatures(collection: "c", id: Array("\(id)".utf8), json: json(length, letter))
    }

    private static func store() throws -> StoreFixture {
        var limits = StoreLimits()
        limits.idleCheckpointMilliseconds = 600_000
        let fixture = try StoreFixture(limits: limits)
        try fixture.apply([.create(name: "c", CollectionConfiguration(dimension: 1, recentCount: 0))])
        return fixture
    }

    private static func features(_ id: Int, _ fixture: StoreFixture) throws -> [UInt8]? {
        let collection = try #require(fixture.store.collection(named: "c"))
        let column = collection.features(of: PackedStrings([Array("\(id)".utf8)]), 0..<1)
        return column.isPresent[0] ? Array(column.json[0]) : nil
    }

    /// The number of records in the table. The store must be closed.
    private static func recordCount(_ fixture: StoreFixture) throws -> Int {
        try fixture.directory.environment().read { transaction in
            try transaction.entryCount(in: try Tables(in: transaction).features)
        }
    }

    /// Every pair of lengths around the ends of records, the first one replaced by the second one.
    @Test(arguments: [false, true])
    func featuresOfEveryLengthSurviveARestart(checkpointing: Bool) throws {
        let lengths = [20, 4_063, 4_064, 4_065, 8_131, 8_132, 8_133, Self.longest - 1, Self.longest]
        let partCounts = [1, 1, 2, 2, 2, 3, 3, 17, 17]
        let fixture = try Self.store()
        let pairs = lengths.flatMap { old in lengths.map { (old, $0) } }
        try fixture.apply(pairs.enumerated().map { Self.set($0, $1.0, "a") })
        try fixture.restart(checkpointing: checkpointing)
        for (id, pair) in pairs.enumerated() { #expect(try Self.features(id, fixture) == Self.json(pair.0, "a")) }
        try fixture.apply(pairs.enumerated().map { Self.set($0, $1.1, "b") })
        try fixture.restart(checkpointing: checkpointing)
        for (id, pair) in pairs.enumerated() { #expect(try Self.features(id, fixture) == Self.json(pair.1, "b")) }
        fixture.close(checkpointing: true)
        #expect(try Self.recordCount(fixture) == lengths.count * partCounts.reduce(0, +))
        // The id and everything of it is deleted, in the process that wrote it and in another one.
        try fixture.restart(checkpointing: false)
        let ids = PackedStrings(pairs.indices.map { Array("\($0)".utf8) })
        try fixture.apply([.delete(collection: "c", ids: ids), Self.set(0, Self.longest)])
        try fixture.restart(checkpointing: true)
        #expect(try Self.features(0, fixture) == Self.json(Self.longest))
        try fixture.apply([.delete(collection: "c", ids: PackedStrings([Array("0".utf8)]))])
        fixture.close(checkpointing: true)
        #expect(try Self.recordCount(fixture) == 0)
        try fixture.restart(checkpointing: false)
        #expect(try Self.features(0, fixture) == nil)
    }

    @Test func droppedCollectionsLeaveNoParts() throws {
        let fixture = try Self.store()
        try fixture.apply([Self.set(0, Self.longest), Self.set(1, 20)])
        try fixture.restart(checkpointing: true)
        try fixture.apply([.drop(name: "c")])
        fixture.store.close(erasingDropped: true)
        fixture.close()
        #expect(try Self.recordCount(fixture) == 0)
    }

    // MARK: - Damage

    enum PartDamage: CaseIterable {
        case flippedByte, missingFirst, missingMiddle, missingLast, added, otherRow, older
    }

    private static func value(
        _ key: FeatureKey,
        _ tables: Tables,
        _ transaction: borrowing WriteTransaction
    ) throws -> [UInt8] {
        try transaction.withValue(of: key, in: tables.features) { Array(try #require($0)) }
    }

    private static func put(
        _ value: [UInt8],
        _ key: FeatureKey,
        _ tables: Tables,
        _ transaction: borrowing WriteTransaction
    ) throws {
        var value = value
        value.withUnsafeMutableBytes { Checksum.seal($0, key: key) }
        try value.withUnsafeBytes { try transaction.put($0, for: key, in: tables.features) }
    }

    /// All checksums are right but in the first case, and the sums of the collection are not needed to find it.
    @Test(arguments: PartDamage.allCases)
    func aDamagedPartIsNamed(_ damage: PartDamage) throws {
        let fixture = try Self.store()
        try fixture.apply([Self.set(0, 20_000), Self.set(1, 20_000, "y")])
        fixture.close(checkpointing: true)
        func part(_ number: UInt8, of row: UInt32 = 0) -> FeatureKey {
            FeatureKey(collection: 1, row: row, part: number)
        }
        try fixture.directory.environment().write { transaction in
            let tables = try Tables(in: transaction)
            try transaction.delete(MetaKey(.sums, number: 1), from: tables.meta)
            switch damage {
            case .flippedByte:
                var value = try Self.value(part(3), tables, transaction)
                value[2_000] ^= 1
                try value.withUnsafeBytes { try transaction.put($0, for: part(3), in: tables.features) }
            case .missingFirst: try transaction.delete(part(0), from: tables.features)
            case .missingMiddle: try transaction.delete(part(2), from: tables.features)
            case .missingLast: try transaction.delete(part(4), from: tables.features)
            case .added:
                try Self.put(try Self.value(part(4), tables, transaction), part(5), tables, transaction)
            case .otherRow:
                // Without its own checksum.
                let other = try Self.value(part(2, of: 1), tables, transaction)
                try other.withUnsafeBytes { try transaction.put($0, for: part(2), in: tables.features) }
            case .older:
                var value = try Self.value(part(4), tables, transaction)
                value[4] ^= 1
                try Self.put(value, part(4), tables, transaction)
            }
        }
        let error = #expect(throws: StoreError.self) { try fixture.restart(checkpointing: false) }
        #expect(error?.code == .corrupt)
        #expect(
            error?.message.contains("table 'features', key FeatureKey(collection: 1, row: 0") == true,
            "\(error as Any)"
        )
    }

    // MARK: - Directories of version 3

    @Test func aDirectoryOfVersion3TakesLongFeatures() throws {
        let fixture = try Self.store()
        try fixture.apply([Self.set(0, 3_900), Self.set(1, 20)])
        fixture.close(checkpointing: true)
        try fixture.directory.environment().write { transaction in
            let tables = try Tables(in: transaction)
            try tables.putInteger(UInt32(3), for: MetaKey(.schema), transaction)
            try tables.putInteger(UInt32(1), for: MetaKey(.format, number: 5), transaction)
        }
        try fixture.restart(checkpointing: false)
        #expect(try Self.features(0, fixture) == Self.json(3_900))
        try fixture.apply([Self.set(1, Self.longest)])
        for checkpointing in [false, true] {
            try fixture.restart(checkpointing: checkpointing)
            #expect(try Self.features(0, fixture) == Self.json(3_900))
            #expect(try Self.features(1, fixture) == Self.json(Self.longest))
        }
    }

    // MARK: - Queries

    private static func searchable(_ count: Int) throws -> (StoreFixture, Collection) {
        let fixture = try store()
        try fixture.apply(
            (0..<count).map { id in
                .put(collection: "c", id: Array("\(id)".utf8), vector: [Float(id)], features: json(1_000))
            }
        )
        return (fixture, try #require(fixture.store.collection(named: "c")))
    }

    private static func outcome(_ query: TopKQuery, _ collection: Collection) -> TopKOutcome? {
        let pass = TopKPass(collection, [query])
        var found: TopKOutcome?
        if pass.takePart() { pass.forEachOutcome { found = $1 } }
        return found
    }

    @Test func aSearchStopsAtItsBoundOfFeatures() throws {
        let (fixture, collection) = try Self.searchable(100)
        defer { fixture.close() }
        let vector = QueryVector([1], metric: .dot)
        func search(_ ranks: ClosedRange<Int>, _ columns: ItemColumns = .features) -> TopKOutcome? {
            let query = TopKQuery(vector: vector, ranks: ranks, columns: columns, featureBytesMax: 10_000)
            return Self.outcome(query, collection)
        }
        let answer = try search(1...10)?.get()
        #expect(answer?.ids.count == 10 && answer?.features.json.byteCount == 10_000)
        #expect(
            throws: StoreError(
                .limit,
                "got 11 rows with more than 10000 bytes of features, expected at most 10000: about 10 of them fit"
            )
        ) { try search(1...11)?.get() }
        // Ranks before those of the answer are bounded more loosely.
        #expect(try search(31...40)?.get().features.json.byteCount == 10_000)
        #expect(
            throws: StoreError(
                .limit,
                "got more than 40000 bytes of features among the best 41 items, expected at most 40000: ask for fewer"
            )
        ) { try search(41...41)?.get() }
        #expect(try search(1...100, [])?.get().ids.count == 100)
    }

    /// What the pass holds follows from the longest features that the collection has had.
    @Test func theSizeOfASelectionFollowsFromTheLongestFeatures() throws {
        let (fixture, collection) = try Self.searchable(100)
        let query = TopKQuery(vector: QueryVector([1], metric: .dot), ranks: 1...10, columns: .features)
        #expect(query.selectionByteCount(in: collection) == 13_000)
        try fixture.apply([Self.set(7, Self.longest)])
        #expect(query.selectionByteCount(in: collection) == 10 * (300 + Self.longest))
        try fixture.restart(checkpointing: true)
        let again = try #require(fixture.store.collection(named: "c"))
        #expect(query.selectionByteCount(in: again) == 10 * (300 + Self.longest))
    }

    @Test func aDrawStopsAtItsBoundOfFeatures() throws {
        let (fixture, collection) = try Self.searchable(3)
        defer { fixture.close() }
        func draw(_ count: Int) throws(StoreError) -> SampleAnswer {
            try collection.sample(SampleQuery(.uniform, count: count, columns: .features, featureBytesMax: 10_000))
        }
        #expect(try draw(10).features.json.byteCount == 10_000)
        #expect(
            throws: StoreError(
                .limit,
                "got 11 rows with more than 10000 bytes of features, expected at most 10000: about 10 of them fit"
            )
        ) { try draw(11) }
    }
}
