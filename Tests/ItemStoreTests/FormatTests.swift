import Foundation
import LMDB
import PackedStrings
import SamplingFrequency
import TestSupport
import Testing
import VectorIndex

@testable import ItemStore

/// The bytes of every key, record and operation. A change here needs a new version in `FormatVersions` and a migration,
/// because directories with the old bytes exist.
@Suite struct FormatTests {
    /// The store whose bytes are expected. It has one record of each kind.
    private static func store() throws -> StoreFixture {
        var limits = StoreLimits()
        limits.idleCheckpointMilliseconds = 600_000
        let fixture = try StoreFixture(limits: limits)
        let sketch = SketchLayout(bucketCount: 3, hashCount: 2, seed: 0x0102_0304)
        let ids = PackedStrings([Array("ab".utf8), Array("c".utf8)])
        let producer = ProducerSequence(producer: "p", number: 5)
        try fixture.apply([
            .create(
                name: "items",
                CollectionConfiguration(
                    dimension: 2,
                    metric: .cosine,
                    alpha: 0.5,
                    halfLife: 8,
                    recentCount: 3,
                    idCountMax: 9
                )
            ),
            .create(name: "sketch", CollectionConfiguration(dimension: 1, metric: .l2, alpha: 0.01, sketch: sketch)),
            .swap("items", "sketch"),
            .put(collection: "sketch", id: Array("ab".utf8), vector: [1, -2], features: Array(#"{"x":1}"#.utf8)),
            .observe(collection: "sketch", step: 8, sequence: producer, ids: ids),
            .setFrequencies(collection: "sketch", step: 16, ids: ids, gaps: [2, .nan], counts: [.nan, 1]),
            .observe(collection: "items", step: 8, sequence: nil, ids: ids),
            .delete(collection: "sketch", ids: PackedStrings([Array("c".utf8)])),
        ])
        return fixture
    }

    /// Hexadecimal, in groups of four bytes.
    private static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        var text = ""
        for (index, byte) in bytes.enumerated() {
            if index > 0, index % 4 == 0 { text += " " }
            text += byte < 16 ? "0" : ""
            text += String(byte, radix: 16)
        }
        return text
    }

    /// Every entry of the tables as `table key = value`, without the checksum. Runs of zeroed statistics are left out.
    private static func dump(_ fixture: StoreFixture) throws -> [String] {
        let environment = try fixture.directory.environment()
        return try environment.read { transaction in
            let tables = try Tables(in: transaction)
            return try lines(of: tables.meta, transaction) + lines(of: tables.rows, transaction)
                + lines(of: tables.features, transaction) + lines(of: tables.frequency, transaction)
        }
    }

    private static func lines<Key: TableKey>(
        of table: Table<Key>,
        _ transaction: borrowing ReadTransaction
    ) throws -> [String] {
        var lines: [String] = []
        try transaction.forEach(in: table) { key, value in
            let name = key.withEncodedBytes { hexadecimal($0) }
            let unseen =
                "ffffffff ffffffff 00000000 00000000 00000000 00000000 00000000 00000000 "
                + "00000000 00000000"
            var bytes = Array(value.dropFirst(Checksum.byteCount))
            if let key = key as? MetaKey { mask(&bytes, key) }
            let text = hexadecimal(bytes).replacing(" " + unseen, with: " .")
            lines.append("\(table.name) \(name) = \(text)")
            return true
        }
        return lines
    }

    /// Replaces the random identity of the directory, and the sums of checksums, which follow from the other lines.
    private static func mask(_ bytes: inout [UInt8], _ key: MetaKey) {
        let masked: [Range<Int>] =
            switch MetaKey.Kind(rawValue: key.kind) {
            case .identity: [0..<16]
            case .sums: [8..<16, 24..<32, 40..<48]
            default: []
            }
        for range in masked { bytes.replaceSubrange(range, with: repeatElement(0xAA, count: range.count)) }
    }

    /// The lines of a text in which long lines are folded.
    private static func lines(of text: String) -> [String] {
        text.replacing("    ", with: "").split(separator: "\n").map(String.init)
    }

    @Test func theTablesHaveTheseBytes() throws {
        let fixture = try Self.store()
        fixture.close(checkpointing: true)
        let expected = """
            meta 00000000 00 = 04000000
            meta 01000000 00 = 04000000 00000000
            meta 02000000 00 = 03000000
            meta 03000000 01 = 01060000 02000000 00000000 0000e03f 00000000 00002040 03000000 00000000 09000000 \
                00000000 00000000 00000000 00000000 00000000 00000000 00000000 736b6574 6368
            meta 03000000 02 = 02050000 01000000 7b14ae47 e17a843f 00000000 00000000 00000000 00000000 00000000 \
                00000000 03000000 00000000 02000000 00000000 04030201 00000000 6974656d 73
            meta 04000000 00 = 04000000 00000000
            meta 06000000 01 = 01000000
            meta 06000000 02 = 01000000
            meta 06000000 03 = 03000000
            meta 06000000 04 = 01000000
            meta 06000000 05 = 02000000
            meta 06000000 06 = 02000000
            meta 06000000 07 = 01000000
            meta 06000000 08 = 02000000
            meta 06000000 09 = 02000000
            meta 06000000 0a = 01000000
            meta 07000000 00 = aaaaaaaa aaaaaaaa aaaaaaaa aaaaaaaa
            meta 09000000 01 = 02000000 00000000 aaaaaaaa aaaaaaaa 01000000 00000000 aaaaaaaa aaaaaaaa \
                05000000 00000000 aaaaaaaa aaaaaaaa
            meta 09000000 02 = 00000000 00000000 aaaaaaaa aaaaaaaa 00000000 00000000 aaaaaaaa aaaaaaaa \
                03000000 00000000 aaaaaaaa aaaaaaaa
            rows 00000001 00000000 00 = 04000000 00000000 00000000 03020000 61620000 803f0000 00c0
            rows 00000001 00000001 00 = 04000000 00000000 01000000 00000000
            features 00000001 00000000 = 04000000 00000000 00000000 7b227822 3a317d
            frequency 00000001 00000000 = 04000000 00000000 00000000 10000000 00000000 00000000 00000040 00000000 \
                00000040 02000000 00000000 00000000 00000000 . . . . . . . . . . . . . . . . . . . . . . . . . . . \
                . . . .
            frequency 00000001 e0000000 = 04000000 00000000 00000000 00000000 01000000 00000000
            frequency 00000001 f0000000 = 04000000 00000000 05000000 00000000 81700800 00000000 0000
            frequency 00000001 f1000000 = 04000000 00000000 00000000 00000000 10000000 00000000 00
            frequency 00000001 ffffffff = 04000000 00000000 08000000 00000000 10000000 00000000 00000000 00001040 \
                02000000 00000000 00000000 00000000 08000000 00000000 01000000 00000000
            frequency 00000002 00000000 = 04000000 00000000 00000000 . 08000000 00000000 00000000 00000000 00000000 \
                0000f03f 00000000 ffffffff 00000000 00000000 08000000 00000000 00000000 00000000 00000000 0000f03f \
                00000000 ffffffff 00000000 00000000 08000000 00000000 00000000 00000000 00000000 0000f03f 00000000 \
                ffffffff 00000000 00000000 . 08000000 00000000 00000000 00000000 00000000 0000f03f 00000000 \
                ffffffff 00000000 00000000 . . . . . . . . . . . . . . . . . . . . . . . . . .
            frequency 00000002 f1000000 = 04000000 00000000 00000000 00000000 08000000 00000000 00
            frequency 00000002 ffffffff = 04000000 00000000 08000000 00000000 08000000 00000000 00000000 0000f03f \
                00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000
            """
        let dump = try Self.dump(fixture)
        #expect(dump == Self.lines(of: expected))
    }

    /// A full record is followed by another part, even if nothing is left for it.
    @Test func longFeaturesHaveTheseBytes() throws {
        let fixture = try Self.store()
        let lengths = [4_063, 4_064, 4_064 + 4_068 + 3]
        func json(_ length: Int) -> [UInt8] { Array("{\"k\":\"\(String(repeating: "x", count: length - 8))\"}".utf8) }
        try fixture.apply(lengths.map { .setFeatures(collection: "sketch", id: Array("\($0)".utf8), json: json($0)) })
        fixture.close(checkpointing: true)
        let environment = try fixture.directory.environment()
        let lines = try environment.read { transaction in
            try Self.lines(of: try Tables(in: transaction).features, transaction)
        }
        // The first line is the features of `ab`.
        let expected = [
            ("features 00000001 00000001", "05000000 00000000 01000000", json(4_063)),
            ("features 00000001 00000002", "05000000 00000000 00000000", json(4_064)),
            ("features 00000001 00000002 01", "05000000 00000000", []),
            ("features 00000001 00000003", "05000000 00000000 00000000", Array(json(lengths[2])[..<4_064])),
            ("features 00000001 00000003 01", "05000000 00000000", Array(json(lengths[2])[4_064..<8_132])),
            ("features 00000001 00000003 02", "05000000 00000000", Array(json(lengths[2])[8_132...])),
        ].map { key, head, json in "\(key) = \(head)\(json.isEmpty ? "" : " ")\(Self.hexadecimal(json))" }
        #expect(Array(lines.dropFirst()) == expected)
    }

    @Test func theHeadHasTheseBytes() throws {
        let directory = try TemporaryDirectory()
        let identity = DirectoryIdentity(high: 0x0807_0605_0403_0201, low: 0x100F_0E0D_0C0B_0A09)
        let head = Head(identity: identity, lastGroup: 0x21, lastTransaction: 0x31)
        _ = try HeadFile(directory.path, head)
        let bytes = try Data(contentsOf: URL(fileURLWithPath: directory.path + "/HEAD"))
        let expected =
            "6c6f6771 64000001 01020304 05060708 090a0b0c 0d0e0f10 21000000 00000000 31000000 00000000"
        #expect(Self.hexadecimal(bytes.dropLast(4)) == expected)
        #expect(try HeadFile.read(directory.path) == head)
    }

    private static var operations: [(name: String, encode: (inout OperationEncoder) -> Void)] {
        [
            (
                "assign",
                { encoder in [0x61, 0x62 as UInt8].withUnsafeBytes { encoder.assign(collection: 7, row: 3, id: $0) } }
            ),
            ("free", { $0.free(collection: 7, row: 4) }),
            ("embedding", { $0.embedding(collection: 7, row: 5, vector: [1, -2]) }),
            ("features", { $0.features(collection: 7, row: 6, json: [0x7B, 0x7D]) }),
            (
                "observe",
                {
                    let entries = [RecentBank.Entry(row: 1, generation: 5)]
                    $0.observe(collection: 7, Hit(step: 8, exponent: -3, weight: 2), position: 70, entries)
                }
            ),
            ("frequencies", { $0.frequencies(collection: 7, Hit(step: 8), rows: [9], gaps: [2], counts: [4]) }),
            ("producer", { $0.producer(collection: 7, ProducerEntry(name: "r/p", number: 13, step: 8), place: 2) }),
            ("run", { $0.run(collection: 7, TrainerRun(name: "r", offset: -3, lastStep: 9), place: 1) }),
            ("clock", { $0.clock(collection: 7, from: Hit(step: 9), to: Hit(step: 8)) }),
            ("sketch observation", { $0.sketchObservation(collection: 7, Hit(step: 8), hashes: [1]) }),
            (
                "sketch frequencies",
                {
                    let entry = SketchEntry(hash: 3, gap: 2, count: 4, smallest: 2, smallestStep: 9)
                    $0.sketchFrequencies(collection: 7, Hit(step: 8), [entry])
                }
            ),
            (
                "create",
                {
                    let configuration = CollectionConfiguration(dimension: 3, alpha: 0.5)
                    $0.create(collection: 7, CatalogueRecord(name: "c", configuration: configuration))
                }
            ),
            ("drop", { $0.drop(collection: 7) }),
            ("swap", { $0.swap((7, "a"), (8, "b")) }),
            ("source", { $0.source(SourcePosition(source: "log", sequence: 9)) }),
        ]
    }

    private static var handoverOperations: [(name: String, encode: (inout OperationEncoder) -> Void)] {
        [
            (
                "handover",
                {
                    let totals = StoredTotals(
                        firstStep: 1,
                        lastStep: 9,
                        hitWeight: 1,
                        recentPosition: 70,
                        lateness: 2,
                        pace: FrequencyTotals.Pace(steps: 8, count: 4)
                    )
                    $0.handover(collection: 7, totals)
                }
            ),
            (
                "statistics",
                {
                    let record = Statistics(
                        lastStep: 9,
                        gap: 2,
                        count: 4,
                        gapCount: 1,
                        closedDistance: 3,
                        openSteps: 5
                    )
                    $0.statistics(collection: 7, [StatisticsEntry(row: 6, record)])
                }
            ),
            (
                "recent",
                { $0.recent(collection: 7, position: 70, [RecentBank.Entry(row: 1, generation: 5)]) }
            ),
        ]
    }

    @Test func operationsHaveTheseBytes() throws {
        let lines = (Self.operations + Self.handoverOperations).map { name, encode in
            var encoder = OperationEncoder()
            encode(&encoder)
            return name + " = " + encoder.withBytes { Self.hexadecimal($0.dropFirst(JournalGroup.headerByteCount)) }
        }
        let expected = """
            assign = 01070000 00030000 00026162
            free = 02070000 00040000 00
            embedding = 03070000 00050000 00020000 00803f00 0000c0
            features = 04070000 00060000 0002007b 7d
            observe = 11070000 00080000 00000000 00fdffff ffffffff ff000000 00000000 40460000 00000000 00010000 \
                00010000 00050000 00
            frequencies = 06070000 00080000 00000000 00000000 00000000 00000000 000000f0 3f010000 00090000 00000000 \
                00000000 40000000 00000010 40
            producer = 10070000 0002000d 00000000 00000008 00000000 00000003 722f70
            run = 0e070000 000100fd ffffffff ffffff09 00000000 00000001 72
            clock = 0f070000 00090000 00000000 00000000 00000000 00000000 000000f0 3f080000 00000000 00000000 \
                00000000 00000000 000000f0 3f
            sketch observation = 12070000 00080000 00000000 00000000 00000000 00000000 000000f0 3f010000 00010000 \
                00000000 00
            sketch frequencies = 09070000 00080000 00000000 00000000 00000000 00000000 000000f0 3f010000 00030000 \
                00000000 00000000 00000000 40000000 00000010 40000000 00000000 40090000 00000000 00
            create = 0a070000 00410000 01000003 00000000 00000000 00e03f00 00000000 00000000 40000000 00000000 \
                00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000063
            drop = 0b070000 00
            swap = 0c070000 00016108 00000001 62
            source = 0d000000 00090000 00000000 00036c6f 67
            handover = 13070000 00010000 00000000 00090000 00000000 00000000 000000f0 3f460000 00000000 00020000 \
                00000000 00080000 00000000 00040000 00000000 00
            statistics = 14070000 00010000 00060000 00090000 00000000 00000000 00000000 40000000 00000010 40010000 \
                00030000 00050000 00000000 00
            recent = 15070000 00460000 00000000 00010000 00010000 00050000 00
            """
        #expect(lines == Self.lines(of: expected))
    }

    @Test func aGroupInTheJournalHasTheseBytes() throws {
        var encoder = OperationEncoder()
        encoder.drop(collection: 7)
        let fixture = try StoreFixture()
        fixture.close()
        let environment = try fixture.directory.environment()
        try environment.write { transaction in
            let journal = try Tables(in: transaction).journal
            try encoder.withBytes { try JournalGroup.append($0, group: 0x0102, to: journal, transaction) }
        }
        let lines = try environment.read { transaction in
            try Self.lines(of: try Tables(in: transaction).journal, transaction)
        }
        let expected = """
            journal 00000000 00000102 00000000 = 05000000 0b070000 00
            """
        #expect(lines == Self.lines(of: expected))
    }

    /// Changes the directory to schema version 2, which had no versions of kinds.
    private static func setBack(_ fixture: StoreFixture) throws -> (Environment, Tables) {
        let environment = try fixture.directory.environment()
        let tables = try environment.write { transaction in
            let tables = try Tables(in: transaction)
            try tables.putInteger(UInt32(2), for: MetaKey(.schema), transaction)
            for kind in FormatVersions.kinds {
                try transaction.delete(MetaKey(.format, number: kind.code), from: tables.meta)
            }
            return tables
        }
        return (environment, tables)
    }

    /// A migration step that a crash interrupts has no effect.
    @Test func anInterruptedMigrationRunsAgain() throws {
        struct Crash: Error {}
        let fixture = try Self.store()
        fixture.close(checkpointing: true)
        let before = try Self.dump(fixture)
        do {
            let (environment, tables) = try Self.setBack(fixture)
            #expect(throws: Crash.self) {
                try environment.write { transaction in
                    try Migration.all[0].convert(tables, transaction)
                    try tables.putInteger(UInt32(3), for: MetaKey(.schema), transaction)
                    throw Crash()
                }
            }
        }
        #expect(try Self.dump(fixture).first == "meta 00000000 00 = 02000000")
        try fixture.restart(checkpointing: false)
        fixture.close()
        #expect(try Self.dump(fixture) == before)
    }

    @Test func recordsOfAnUnknownVersionOrKindAreRefused() throws {
        for (code, version, expected) in [(4, 2, "version 2 of rows"), (99, 1, "unknown kind, 99")]
            as [(UInt32, UInt32, String)]
        {
            let fixture = try Self.store()
            fixture.close()
            do {
                let environment = try fixture.directory.environment()
                try environment.write { transaction in
                    let tables = try Tables(in: transaction)
                    try tables.putInteger(version, for: MetaKey(.format, number: code), transaction)
                }
            }
            let error = #expect(throws: StoreError.self) { try fixture.restart(checkpointing: false) }
            #expect(error?.code == .unknownSchema && error?.message.contains(expected) == true, "\(error as Any)")
        }
    }

    /// LMDB leaves old data in the part of a value that is not written.
    @Test func aRecordThatIsNotFilledIsAnErrorAndNothingIsCommitted() throws {
        let fixture = try StoreFixture()
        fixture.close()
        let environment = try fixture.directory.environment()
        let key = MetaKey(.collection, number: 7)
        let tables = try environment.read { transaction in try Tables(in: transaction) }
        let expected = StoreError(
            .internalError,
            "a record in table 'meta', key \(key), has 12 bytes, expected 16"
        )
        #expect(throws: expected) {
            try environment.write { transaction in
                try transaction.putRecord(16, for: key, in: tables.meta) { $0.integer(UInt64(1)) }
            }
        }
        try environment.read { transaction in
            try transaction.withValue(of: key, in: tables.meta) { #expect($0 == nil) }
        }
    }
}
