import PackedStrings
import SamplingFrequency
import Synchronization
import TestSupport
import Testing

@testable import ItemStore

/// Pages of ids by count, compared with sorting all ids.
@Suite struct PopularTests {
    private struct Row: Equatable {
        let id: [UInt8]
        let count: Double
    }

    /// All pages. `between` runs between two pages.
    private func pages(
        of collection: @autoclosure () throws -> Collection,
        size: Int,
        between: (_ found: [Row]) throws -> Void = { _ in }
    ) throws -> (rows: [Row], step: Int64?) {
        var rows: [Row] = []
        var place: PopularQuery.Place?
        while true {
            let page = try collection().popular(PopularQuery(count: size, after: place))
            let ids = StoreModel.strings(page.ids)
            try #require(ids.count <= size && ids.count == page.counts.count && Set(ids).count == ids.count)
            #expect(place == nil || page.step == place?.step, "the step of the first page is that of all")
            rows += zip(ids, page.counts).map(Row.init)
            try #require(rows.count <= 20_000, "the list does not end")
            guard ids.count == size, let last = rows.last else { return (rows, page.step) }
            place = PopularQuery.Place(id: last.id, count: last.count, step: page.step)
            try between(rows)
        }
    }

    private func sorted(_ rows: [Row]) -> [Row] {
        rows.sorted { $0.count != $1.count ? $0.count > $1.count : $0.id.lexicographicallyPrecedes($1.id) }
    }

    /// Random writes of every kind, with and without a half-life, a sketch and a cap, and restarts.
    @Test(arguments: Array(1...(TestScale.isFull ? 30 : 3)) as [UInt64])
    func allPagesHaveEveryIDOnce(seed: UInt64) throws {
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        let names = ["a", "drift", "capped", "sketch", "drift-sketch"]
        var writes = RandomWrites(seed: seed, names: names)
        var limits = StoreLimits()
        limits.checkpointAtJournalBytes = 40_000
        let fixture = try StoreFixture(limits: limits)
        var rowCount = 0
        for round in 0..<24 {
            let batch = (0..<30).map { _ in
                let name = names.randomElement(using: &random)!
                return writes.next(for: name, fixture.store.collection(named: name)?.configuration)
            }
            try fixture.apply(batch)
            if round % 8 == 5 { try fixture.restart(checkpointing: Bool.random(using: &random)) }
            for (name, collection) in fixture.store.collections() {
                let expected = try everyID(of: collection)
                let size = Int.random(in: 1...70, using: &random)
                let found = try pages(of: collection, size: size)
                #expect(found.rows == expected, "seed \(seed), round \(round), \(size) a page of \(name)")
                #expect(found.rows.count == collection.idCount)
                let lastStep = collection.totals.lastStep
                #expect(found.step == (lastStep < 0 ? nil : lastStep))
                rowCount += found.rows.count
            }
        }
        #expect(rowCount > 1_000)
    }

    /// The ids that other requests know, with the counts of `FREQ`, sorted.
    private func everyID(of collection: Collection) throws -> [Row] {
        let ids = RandomWrites.ids
        let packed = PackedStrings(ids)
        let frequencies = collection.frequencies(of: packed, 0..<ids.count)
        let embeddings = collection.embeddings(of: packed, 0..<ids.count).isPresent
        let features = collection.features(of: packed, 0..<ids.count).isPresent
        let isListed = ids.indices.filter { index in
            let hasStatistics = collection.sketch == nil && frequencies[index].state != .unseen
            return embeddings[index] || features[index] || hasStatistics
        }
        return sorted(isListed.map { Row(id: ids[$0], count: frequencies[$0].count) })
    }

    /// Thousands of ids with few different counts, among them deleted ones whose rows are used again.
    @Test func tiesAreOrderedByIDAndAPlaceOutlivesARestart() throws {
        let fixture = try StoreFixture()
        var random = SeededGenerator(seed: 5)
        let ids = (0..<6_000).map { Array("\($0 * 7_919 % 6_000)".utf8) }
        var counts: [[UInt8]: Double] = [:]
        let some = ids[..<5_000]
        let values = some.map { _ in Double(Int.random(in: 0...3, using: &random)) }
        try fixture.apply([
            .create(name: "c", CollectionConfiguration(dimension: 1)),
            .setFrequencies(
                collection: "c",
                step: 1,
                ids: PackedStrings(some),
                gaps: some.map { _ in .nan },
                counts: values
            ),
        ])
        for (id, value) in zip(some, values) { counts[id] = value }
        let gone = Set((0..<1_500).map { _ in ids.randomElement(using: &random)! })
        try fixture.apply([.delete(collection: "c", ids: PackedStrings(gone))])
        for id in gone { counts[id] = nil }
        let seen = (0..<1_000).map { _ in ids.randomElement(using: &random)! }
        try fixture.apply([.observe(collection: "c", step: 2, sequence: nil, ids: PackedStrings(seen))])
        for id in seen { counts[id, default: 0] += 1 }
        let put = (0..<500).map { _ in ids.randomElement(using: &random)! }
        try fixture.apply(put.map { .put(collection: "c", id: $0, vector: [1], features: nil) })
        for id in put { counts[id, default: 0] += 0 }

        let expected = sorted(counts.map { Row(id: $0.key, count: $0.value) })
        #expect(Set(counts.values).count < 10)
        for size in [1_000, 999, 16_384, expected.count] {
            let found = try pages(of: try #require(fixture.store.collection(named: "c")), size: size) { _ in
                try fixture.restart(checkpointing: Bool.random(using: &random))
            }
            #expect(found.rows == expected && found.step == 2, "\(size) a page")
        }
    }

    /// The clock moves by many half-lives between two pages, and ids that were listed are observed.
    @Test(arguments: [nil, 5] as [Double?])
    func pagesFitEachOtherWhileTheClockMoves(halfLife: Double?) throws {
        let fixture = try StoreFixture()
        let ids = (0..<400).map { Array("id-\($0)".utf8) }
        try fixture.apply([.create(name: "c", CollectionConfiguration(dimension: 1, halfLife: halfLife))])
        func observe(_ ids: some Sequence<[UInt8]>, _ step: Int64) throws {
            let step = RequestedStep(step, isJump: true)
            try fixture.apply([.observe(collection: "c", step: step, sequence: nil, ids: PackedStrings(Array(ids)))])
        }
        for step in 1...20 { try observe(ids.indices.filter { $0 % 20 < step }.map { ids[$0] }, Int64(step)) }
        let collection = try #require(fixture.store.collection(named: "c"))
        let counts = collection.frequencies(of: PackedStrings(ids), 0..<ids.count).map(\.count)
        let expected = sorted(zip(ids, counts).map(Row.init))
        var step: Int64 = 20
        let found = try pages(of: collection, size: 30) { found in
            // 200 half-lives and more.
            step += 1_000
            // Without a half-life, one hit of a new id would be the lowest count of all.
            let new = (0..<20).map { _ in Array("new-\(step)".utf8) }
            try observe(found.map(\.id) + new + new, step)
        }
        #expect(found.rows == expected)
        #expect(found.step == 20 && step > 10_000)
    }

    /// Ids that nobody writes are on one page each, while others are observed, deleted and put again.
    @Test(arguments: [nil, 1_000] as [Double?])
    func othersMayBeWrittenMeanwhile(halfLife: Double?) throws {
        let fixture = try StoreFixture()
        let store = fixture.store
        let steady = (0..<1_500).map { Array("steady-\($0)".utf8) }
        let noise = (0..<300).map { Array("noise-\($0)".utf8) }
        try fixture.apply([.create(name: "c", CollectionConfiguration(dimension: 1, halfLife: halfLife))])
        for step in 1...12 {
            let ids = steady.indices.filter { $0 % 12 < step }.map { steady[$0] } + noise
            try fixture.apply([.observe(collection: "c", step: 1, sequence: nil, ids: PackedStrings(ids))])
        }
        let collection = try #require(store.collection(named: "c"))
        let isOver = Atomic(false)
        let writing = Background {
            var random = SeededGenerator(seed: 11)
            var roundCount = 0
            while !isOver.load(ordering: .relaxed) {
                let some = PackedStrings((0..<40).map { _ in noise.randomElement(using: &random)! })
                _ = try store.apply([
                    .observe(collection: "c", step: nil, sequence: nil, ids: some),
                    .delete(collection: "c", ids: some),
                    .put(collection: "c", id: noise.randomElement(using: &random)!, vector: [1], features: nil),
                ])
                roundCount += 1
            }
            return roundCount
        }
        let outcome = Result {
            var random = SeededGenerator(seed: 12)
            for _ in 0..<10 {
                let size = Int.random(in: 20...200, using: &random)
                let found = try pages(of: collection, size: size)
                #expect(found.rows == sorted(found.rows))
                let listed = found.rows.filter { !$0.id.starts(with: "noise".utf8) }
                #expect(Set(listed.map(\.id)) == Set(steady) && listed.count == steady.count, "\(size) a page")
                // All were last seen at one step, so whatever has faded since, their counts keep their ratios.
                let most = try #require(listed.first?.count)
                #expect(Set(listed.map { Int(($0.count / most * 12).rounded()) }) == Set(1...12))
            }
        }
        isOver.store(true, ordering: .relaxed)
        #expect(try writing.wait() > 0)
        try outcome.get()
    }

    /// Two ids change their rows all the time, and the rows are far apart. A pass may see the rows of one id twice.
    @Test func anIDThatChangesItsRowIsOnAPageOnce() throws {
        let fixture = try StoreFixture()
        let store = fixture.store
        let others = (0..<8_000).map { Array("other-\($0)".utf8) }
        let movers = [Array("a".utf8), Array("b".utf8)]
        try fixture.apply([
            .create(name: "c", CollectionConfiguration(dimension: 1)),
            .observe(collection: "c", step: 1, sequence: nil, ids: PackedStrings([movers[0]] + others + [movers[1]])),
        ])
        let collection = try #require(store.collection(named: "c"))
        let isOver = Atomic(false)
        let writing = Background {
            while !isOver.load(ordering: .relaxed) {
                // Rows are used again in the reverse order of their deletion, so the two ids exchange theirs.
                _ = try store.apply([
                    .delete(collection: "c", ids: PackedStrings(movers)),
                    .observe(collection: "c", step: 1, sequence: nil, ids: PackedStrings(movers)),
                ])
            }
        }
        let pages = Result {
            try (0..<60).map { _ in StoreModel.strings(try collection.popular(PopularQuery(count: 2)).ids) }
        }
        isOver.store(true, ordering: .relaxed)
        try writing.wait()
        #expect(try pages.get().allSatisfy { Set($0).count == 2 })
    }

    /// A write that is not durable yet has reserved the row of its id.
    @Test func aReservedRowIsNotListed() throws {
        let fixture = try StoreFixture()
        try fixture.apply([.create(name: "c", CollectionConfiguration(dimension: 1))])
        let collection = try #require(fixture.store.collection(named: "c"))
        // The store's thread has nothing to do meanwhile.
        let row = Array("new".utf8).withUnsafeBytes { collection.reserveRow(for: $0, IdentifierTable.Hash($0)) }
        #expect(try collection.popular(PopularQuery(count: 10)).ids.count == 0)
        collection.cancelReservation(of: row)
        try fixture.apply([.setFeatures(collection: "c", id: Array("new".utf8), json: Array("{}".utf8))])
        #expect(try collection.popular(PopularQuery(count: 10)).ids.count == 1)
    }

    @Test func aPageThatIsTooLateIsNotAnswered() throws {
        let fixture = try StoreFixture()
        try fixture.apply([
            .create(name: "c", CollectionConfiguration(dimension: 1)),
            .put(collection: "c", id: [1], vector: [1], features: nil),
        ])
        let collection = try #require(fixture.store.collection(named: "c"))
        let late = PopularQuery(count: 1, deadline: .now - .seconds(1))
        let error = #expect(throws: StoreError.self) { try collection.popular(late) }
        #expect(error?.code == .timeout)
        #expect(try collection.popular(PopularQuery(count: 1, deadline: .now + .seconds(3_600))).ids.count == 1)
    }
}
