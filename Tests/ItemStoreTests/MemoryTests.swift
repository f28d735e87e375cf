import PackedStrings
import SamplingFrequency
import TestSupport
import Testing

@testable import ItemStore

/// The basic data structures, compared with simple ones.
@Suite struct MemoryTests {
    @Test(arguments: [1, 2, 3])
    func theIDTableMatchesADictionary(seed: UInt64) {
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        let table = IdentifierTable()
        var expected: [Int: UInt32] = [:]
        func hash(_ id: Int) -> IdentifierTable.Hash {
            withUnsafeBytes(of: id) { IdentifierTable.Hash($0) }
        }
        // A row represents its id here, so that a match can be told from a hash collision.
        for _ in 0..<20_000 {
            let id = Int.random(in: 0..<4_000, using: &random)
            if let row = expected.removeValue(forKey: id) {
                table.remove(row, hash(id)) {}
            } else {
                expected[id] = UInt32(id)
                table.insert(UInt32(id), hash(id))
            }
        }
        for id in 0..<4_000 {
            let found = table.firstMatch(hash(id)) { row in row == UInt32(id) ? row : nil }
            #expect(found == expected[id])
        }
    }

    @Test func idsOfEveryLengthFitASlot() {
        let slot = UnsafeMutablePointer<IdentifierSlot>.allocate(capacity: 1)
        slot.initialize(to: IdentifierSlot())
        defer { slot.deallocate() }
        for length in 1...255 {
            let id = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ length) }
            id.withUnsafeBytes { bytes in
                IdentifierSlot.set(slot, bytes)
                #expect(IdentifierSlot.equals(slot, bytes))
                #expect(Array(IdentifierSlot.bytes(slot)) == id)
            }
            var other = id
            other[length - 1] ^= 1
            other.withUnsafeBytes { #expect(!IdentifierSlot.equals(slot, $0)) }
            IdentifierSlot.clear(slot)
            #expect(IdentifierSlot.length(slot) == 0)
        }
    }

    /// Compares with a list of all observations.
    @Test(arguments: [0, 1, 499, 500, 1_234, 2_000])
    func theBankHoldsTheLastObservations(capacity: Int) {
        var random = SeededGenerator()
        var bank = RecentBank(capacity: capacity)
        var all: [RecentBank.Entry] = []
        for _ in 0..<40 {
            let run = (0..<Int.random(in: 0...700, using: &random)).map {
                RecentBank.Entry(row: UInt32(all.count + $0), generation: 1)
            }
            var changed = Set<Int>()
            bank.set(UInt64(all.count), run, movesPosition: true) {
                changed.insert($0)
                return true
            }
            all += run
            #expect(bank.position == UInt64(all.count))
            let isRight = bank.entries.map(\.row).sorted() == all.suffix(capacity).map(\.row)
            #expect(bank.observations == all.suffix(capacity))
            #expect(isRight, "after \(all.count) observations")
            let chunks = (all.count - run.count..<all.count).map { $0 % max(capacity, 1) / RecentBank.entriesInRecord }
            #expect(changed == (capacity == 0 ? [] : Set(chunks)))
        }
        // Chunks for which the closure returns false must not change.
        let before = bank.entries
        let entry = [RecentBank.Entry(row: 0, generation: 9)]
        bank.set(UInt64(all.count), entry, movesPosition: true) { _ in false }
        #expect(bank.entries == before && bank.position == UInt64(all.count) + 1)
        #expect(bank.observations.count == min(capacity, all.count + 1))
        bank.set(UInt64(all.count) + 9, entry, movesPosition: false) { _ in false }
        #expect(bank.position == UInt64(all.count) + 1)
    }

    @Test func aRecordSetFindsItsRecordsInOrder() {
        let set = RecordSet()
        #expect(set.first(from: 0) == nil && !set.contains(0))
        let records = [0, 1, 63, 64, 511, 512, 513, 1_000, 1_023, 1_000_000]
        for record in records.reversed() { set.insert(record) }
        var found: [Int] = []
        var next = 0
        while let record = set.first(from: next) {
            found.append(record)
            next = record + 1
        }
        #expect(found == records)
        #expect(records.allSatisfy(set.contains) && !set.contains(2) && !set.contains(2_000_000))
        set.remove(3_000_000)
        for record in records { set.remove(record) }
        #expect(set.first(from: 0) == nil)
    }

    @Test func operationsOfAGroupAreDueForRecordsThatAreOlder() {
        var applied = AppliedGroups()
        #expect(applied.isDue(1, for: 0))
        applied.note(7, for: 5_000)
        #expect(!applied.isDue(7, for: 5_000) && applied.isDue(8, for: 5_000))
        #expect(applied.isDue(1, for: 4_999) && applied.isDue(1, for: 0) && applied.isDue(1, for: 100_000))
    }

    /// Neighbours with the same group, with another one, or missing.
    @Test func groupsOfRecordsMatchADictionary() {
        var random = SeededGenerator()
        for changesOften in [false, true] {
            var applied = AppliedGroups()
            var expected: [Int: UInt64] = [:]
            var group: UInt64 = 1
            for record in 0..<3_000 {
                if Int.random(in: 0..<(changesOften ? 3 : 400), using: &random) == 0 { group += 1 }
                guard Int.random(in: 0..<(changesOften ? 5 : 700), using: &random) > 0 else { continue }
                applied.note(group, for: record)
                expected[record] = group
            }
            for record in 0..<3_500 {
                for group in [1, group / 2, group, group + 1] {
                    let isDue = expected[record].map { $0 < group } ?? true
                    #expect(applied.isDue(group, for: record) == isDue, "record \(record), group \(group)")
                }
            }
        }
    }

    /// A table that was reserved has the size of one that has grown, and the same entries.
    @Test(arguments: [0, 1, 1_000, 3_071, 100_000])
    func aReservedIDTableIsLikeOneThatHasGrown(count: Int) {
        func hash(_ id: Int) -> IdentifierTable.Hash { withUnsafeBytes(of: id) { IdentifierTable.Hash($0) } }
        let (reserved, grown) = (IdentifierTable(), IdentifierTable())
        reserved.reserve(entryCount: count)
        #expect(count < 100_000 || reserved.byteCount > IdentifierTable().byteCount, "nothing was reserved")
        for id in 0..<count {
            reserved.insert(UInt32(id), hash(id))
            grown.insert(UInt32(id), hash(id))
        }
        #expect(reserved.byteCount == grown.byteCount)
        for id in 0..<count + 100 {
            let found = reserved.firstMatch(hash(id)) { row in row == UInt32(id) ? row : nil }
            #expect(found == (id < count ? UInt32(id) : nil))
        }
    }

    @Test func operationsReadBackAsTheyWereWritten() throws {
        var encoder = OperationEncoder()
        Array("id".utf8).withUnsafeBytes { encoder.assign(collection: 7, row: 3, id: $0) }
        encoder.free(collection: 7, row: 4)
        encoder.embedding(collection: 8, row: 5, vector: [1, -2])
        encoder.features(collection: 8, row: 6, json: Array("{}".utf8))
        let entries = [RecentBank.Entry(row: 1, generation: 5), RecentBank.Entry(row: 2, generation: 6)]
        encoder.observe(collection: 9, Hit(step: 11, exponent: 700, weight: 1.25), position: 70, entries)
        encoder.frequencies(collection: 9, Hit(step: 12), rows: [9], gaps: [.nan], counts: [4])
        encoder.producer(collection: 9, ProducerEntry(name: "r/w", number: 13, step: 12), place: 5)
        encoder.run(collection: 9, TrainerRun(name: "r", offset: -4, lastStep: 16), place: 6)
        encoder.clock(collection: 9, from: Hit(step: 12), to: Hit(step: 11, exponent: 2, weight: 1.5))
        encoder.sketchObservation(collection: 10, Hit(step: 14), hashes: [1, .max])
        let entry = SketchEntry(hash: 3, gap: 1.5, count: .nan, smallest: 2, smallestStep: 9)
        encoder.sketchFrequencies(collection: 10, Hit(step: 15), [entry])
        encoder.create(
            collection: 11,
            CatalogueRecord(name: "new", configuration: CollectionConfiguration(dimension: 3))
        )
        encoder.drop(collection: 12)
        encoder.swap((13, "b"), (14, "a"))
        encoder.source(SourcePosition(source: "log", sequence: 15))
        let other = try Collection(number: 20, configuration: CollectionConfiguration(dimension: 1))
        encoder.handover(collection: 16, StoredTotals(other))
        let record = Statistics(lastStep: 1, gap: 2, count: 3, gapCount: 4)
        encoder.statistics(collection: 16, [StatisticsEntry(row: 17, record)])
        encoder.recent(collection: 16, position: 18, [RecentBank.Entry(row: 19, generation: 1)])
        var seen: [String] = []
        try encoder.withBytes { bytes in
            var reader = OperationReader(group: UnsafeRawBufferPointer(bytes))
            while let (collection, operation) = try reader.next() {
                seen.append("\(collection) " + describe(operation))
            }
        }
        #expect(
            seen == [
                "7 assign 3 id", "7 free 4", "8 embedding 5 8 bytes", "8 features 6 {}",
                "9 observe 11 700 1.25 at 70: row 1 of life 5, row 2 of life 6",
                "9 frequencies 12 1.0 row 9 gap nil count Optional(4.0)",
                "9 producer r/w 13 12 at 5", "9 run r -4 16 at 6", "9 clock 12 to 11 2 1.5",
                "10 sketch observation 14 1 18446744073709551615",
                "10 sketch frequencies 15 3 gap Optional(1.5) count nil smallest 2.0 of 9",
                "11 create new of dimension 3", "12 drop", "13 swap b, 14 a", "0 source log 15",
                "16 handover -1 to -1", "16 statistics 17 3.0", "16 recent 18 19",
            ]
        )
    }

    private func describe(_ operation: Operation) -> String {
        switch operation {
        case .create(let record): "create \(record.name) of dimension \(record.configuration.dimension)"
        case .drop: "drop"
        case .swap(let name, let other, let otherName): "swap \(name), \(other) \(otherName)"
        case .source(let position): "source \(position.source) \(position.sequence)"
        case .assign(let row, let id): "assign \(row) \(String(decoding: id, as: UTF8.self))"
        case .free(let row): "free \(row)"
        case .embedding(let row, let vector): "embedding \(row) \(vector.count) bytes"
        case .features(let row, let json): "features \(row) \(String(decoding: json, as: UTF8.self))"
        case .observe(let hit, _, let position, let entries):
            "observe \(hit.step) \(hit.exponent) \(hit.weight) at \(position): "
                + entries.map { "row \($0.row) of life \($0.generation)" }.joined(separator: ", ")
        case .frequencies(let hit, let entries):
            {
                let entry = entries[0]
                return "frequencies \(hit.step) \(hit.weight) row \(entry.row) gap \(entry.gap.debugDescription) "
                    + "count \(entry.count.debugDescription)"
            }()
        case .sketchObservation(let hit, _, let hashes):
            "sketch observation \(hit.step) \(SketchEntry.hash(hashes, 0)) \(SketchEntry.hash(hashes, 1))"
        case .sketchFrequencies(let hit, let entries):
            {
                let entry = SketchEntry(entries, 0)
                return "sketch frequencies \(hit.step) \(entry.hash) gap \(entry.gap.debugDescription) "
                    + "count \(entry.count.debugDescription) smallest \(entry.smallest) of \(entry.smallestStep)"
            }()
        case .producer(let entry, let place): "producer \(entry.name) \(entry.number) \(entry.step) at \(place ?? -1)"
        case .run(let run, let place): "run \(run.name) \(run.offset) \(run.lastStep) at \(place)"
        case .handover(let totals): "handover \(totals.firstStep) to \(totals.lastStep)"
        case .statistics(let entries): "statistics " + entries.map { "\($0.row) \($0.record.count)" }.joined()
        case .recent(let position, let entries): "recent \(position) " + entries.map { "\($0.row)" }.joined()
        case .clock(let old, let new): "clock \(old.step) to \(new.step) \(new.exponent) \(new.weight)"
        }
    }
}
