import Foundation
import PackedStrings
import SamplingFrequency
import TestSupport
import Testing

@testable import ItemStore

/// The clock of a collection, compared with a plain model: several runs, restarts of trainers and of the store, late
/// workers, wrong steps, jumps, and mistakes that are undone.
@Suite struct ClockTests {
    /// `LOGQD_TEST_SCALE=full`: 10,000 histories.
    @Test(arguments: [nil, 40] as [Double?])
    func randomHistoriesMatchTheModel(halfLife: Double?) throws {
        var random = SeededGenerator(seed: TestScale.seed(or: 77))
        let fixture = try StoreFixture()
        for number in 0..<(TestScale.isFull ? 5_000 : 60) {
            var history = try ClockHistory(fixture, number, halfLife, SeededGenerator(seed: random.next()))
            for _ in 0..<12 { try history.advance() }
            #expect(try fixture.apply([.drop(name: history.name)]) == [.done])
        }
    }

    private static func ids(_ names: [String]) -> PackedStrings {
        PackedStrings(names.map { Array($0.utf8) })
    }

    private static func observe(_ step: RequestedStep, _ names: [String], _ sequence: Int64? = nil) -> Write {
        .observe(
            collection: "c",
            step: step,
            sequence: sequence.map { ProducerSequence(producer: "w", number: $0) },
            ids: ids(names)
        )
    }

    private static func store(_ configuration: CollectionConfiguration) throws -> StoreFixture {
        let fixture = try StoreFixture()
        #expect(try fixture.apply([.create(name: "c", configuration)]) == [.done])
        return fixture
    }

    private static func code(_ outcome: WriteOutcome) -> StoreError.Code? {
        if case .failed(let error) = outcome { error.code } else { nil }
    }

    @Test func stepsThatBeginAgainAreRefusedUnlessTheRunIsNamed() throws {
        let fixture = try Self.store(CollectionConfiguration(dimension: 1, halfLife: 300))
        #expect(
            try fixture.apply((1...500).map { Self.observe(RequestedStep($0), ["old"]) }).allSatisfy { $0 == .done }
        )
        let refused = try fixture.apply([Self.observe(1, ["new"])])
        guard case .failed(let error) = refused[0] else { throw StoreError(.step, "step 1 was counted") }
        #expect(error.code == .step)
        #expect(error.message.contains("got step 1 after step 500, expected 436 or more"))
        #expect(error.message.contains("run="))
        let collection = try #require(fixture.store.collection(named: "c"))
        #expect(collection.idCount == 1 && collection.stepCounters.refusedLate == 1)
        // Named, the first step of the run counts as now.
        #expect(try fixture.apply([Self.observe(RequestedStep(1, run: "second"), ["new"])]) == [.done])
        #expect(collection.totals.lastStep == 501)
        let read = collection.frequencies(of: Self.ids(["new"]), 0..<1)[0]
        #expect(abs(read.count - 1) < 1e-9 && read.lastStep == 501)
    }

    @Test func stepsFarAheadAreRefusedAndChangeNothing() throws {
        let fixture = try Self.store(CollectionConfiguration(dimension: 1, halfLife: 100))
        try fixture.apply((1...1_000).map { Self.observe(RequestedStep($0), ["hot"]) })
        let collection = try #require(fixture.store.collection(named: "c"))
        let before = collection.frequencies(of: Self.ids(["hot", "odd"]), 0..<2)
        for step in [1_000_000, 1_769_000_000_000_000_000, .max] as [Int64] {
            #expect(try Self.code(fixture.apply([Self.observe(RequestedStep(step), ["odd"])])[0]) == .step)
        }
        #expect(collection.frequencies(of: Self.ids(["hot", "odd"]), 0..<2) == before)
        #expect(collection.idCount == 1 && collection.stepCounters.refusedAhead == 3)
        // A jump that is meant, and its undoing.
        #expect(try fixture.apply([Self.observe(RequestedStep(1_000_000, isJump: true), ["odd"])]) == [.done])
        #expect(collection.frequencies(of: Self.ids(["hot"]), 0..<1)[0].q < 1e-300)
        #expect(try fixture.apply([.setClock(collection: "c", step: 1_000)]) == [.done])
        let after = collection.frequencies(of: Self.ids(["hot", "odd"]), 0..<2)
        #expect(after[0].gap == before[0].gap && abs(after[0].count - before[0].count) < 1e-9)
        #expect(abs(after[1].count - 1) < 1e-9 && after[1].lastStep == 1_000)
        // The trainer goes on where it was.
        #expect(try fixture.apply([Self.observe(1_001, ["hot"])]) == [.done])
    }

    /// The numbers of a run's requests begin again with the run, and a request that is repeated late is no error.
    @Test func aNewRunBeginsItsNumbersAgain() throws {
        let fixture = try Self.store(CollectionConfiguration(dimension: 1))
        for (run, step, count) in [("a", 1, 1), ("a", 1, 1), ("b", 1, 2), ("b", 2, 3), ("b", 2, 3)]
            as [(String, Int64, Double)]
        {
            let write = Self.observe(RequestedStep(step, run: run), ["x"], step)
            #expect(try fixture.apply([write]) == [.done])
            let collection = try #require(fixture.store.collection(named: "c"))
            #expect(collection.frequencies(of: Self.ids(["x"]), 0..<1)[0].count == count)
        }
        try fixture.restart(checkpointing: true)
        for step in 3...200 { try fixture.apply([Self.observe(RequestedStep(Int64(step), run: "b"), ["y"])]) }
        #expect(try fixture.apply([Self.observe(RequestedStep(2, run: "b"), ["x"], 2)]) == [.done])
        let collection = try #require(fixture.store.collection(named: "c"))
        #expect(collection.frequencies(of: Self.ids(["x"]), 0..<1)[0].count == 3)
        #expect(collection.clock().producers.map(\.name) == ["a/w", "b/w"])
    }

    @Test func runsAndProducersHaveABound() throws {
        var limits = StoreLimits()
        limits.producersMax = 40
        let fixture = try StoreFixture(limits: limits)
        try fixture.apply([.create(name: "c", CollectionConfiguration(dimension: 1)), Self.observe(1, ["x"])])
        for run in 0..<300 {
            #expect(try fixture.apply([Self.observe(RequestedStep(1, run: "run-\(run)"), ["x"], 1)]) == [.done])
        }
        let collection = try #require(fixture.store.collection(named: "c"))
        #expect(collection.clock().runs.count == collection.runs.countMax)
        #expect(collection.clock().producers.count == 40)
        #expect(collection.clock().runs.contains { $0.name.isEmpty } && collection.totals.lastStep == 301)
        let clock = collection.clock()
        try fixture.restart(checkpointing: true)
        let read = try #require(fixture.store.collection(named: "c")).clock()
        #expect(read.runs == clock.runs && read.producers == clock.producers && read.totals == clock.totals)
    }

    /// A training job that is restarted five times, with steps that begin at 1. Five half-lives into each run q is that
    /// of the run. Without a half-life it is that of all runs together.
    @Test(arguments: [40, nil] as [Double?])
    func aJobThatIsRestartedHasTheRightQ(halfLife: Double?) throws {
        var random = SeededGenerator(seed: TestScale.seed(or: 5))
        let fixture = try Self.store(CollectionConfiguration(dimension: 1, halfLife: halfLife))
        let names = (0..<100).map { "id-\($0)" }
        var all = [Double](repeating: 0, count: names.count)
        for run in 0..<6 {
            let weights = names.map { _ in pow(Double.random(in: 0.05..<1, using: &random), 3) }
            let sum = weights.reduce(0, +)
            let cumulative = weights.indices.map { weights[...$0].reduce(0, +) / sum }
            let writes = (1...200 as ClosedRange<Int64>).map { step in
                let batch = (0..<512).map { _ in
                    let draw = Double.random(in: 0..<1, using: &random)
                    return names[cumulative.firstIndex { $0 >= draw } ?? names.count - 1]
                }
                return Self.observe(RequestedStep(step, run: "run-\(run)"), batch)
            }
            #expect(try fixture.apply(writes).allSatisfy { $0 == .done })
            for index in all.indices { all[index] += weights[index] / sum }
            let truth = halfLife == nil ? all.map { $0 / Double(run + 1) } : weights.map { $0 / sum }
            let collection = try #require(fixture.store.collection(named: "c"))
            let read = collection.frequencies(of: Self.ids(names), 0..<names.count)
            let variation = zip(read, truth).reduce(0) { $0 + abs($1.0.q - $1.1) } / 2
            #expect(variation < 0.05, "run \(run): total variation \(variation)")
            try fixture.restart(checkpointing: run % 2 == 0)
        }
    }
}

/// One collection, with a plain model of its clock.
private struct ClockHistory {
    let name: String
    private let fixture: StoreFixture
    private let halfLife: Double?
    private var random: SeededGenerator
    private var model: ClockModel
    private var newestRun = 0
    private static let names = (0..<6).map { "id-\($0)" }

    init(_ fixture: StoreFixture, _ number: Int, _ halfLife: Double?, _ random: SeededGenerator) throws {
        self.fixture = fixture
        self.halfLife = halfLife
        self.random = random
        name = "c\(number)"
        model = ClockModel(halfLife: halfLife)
        let configuration = CollectionConfiguration(dimension: 1, alpha: ClockModel.alpha, halfLife: halfLife)
        #expect(try fixture.apply([.create(name: name, configuration)]) == [.done])
    }

    /// A few writes, and then one of: nothing, a start of the store with or without a checkpoint.
    mutating func advance() throws {
        var writes: [Write] = []
        var expected: [Bool] = []
        for _ in 0..<Int.random(in: 1...8, using: &random) {
            if Int.random(in: 0..<25, using: &random) == 0, model.last >= 0 {
                let step = max(0, model.last + Int64.random(in: -100...20, using: &random))
                writes.append(.setClock(collection: name, step: step))
                model.setClock(step)
                expected.append(true)
            } else {
                let step = randomStep()
                let ids = (0..<Int.random(in: 1...4, using: &random)).map { _ in
                    Self.names.randomElement(using: &random)!
                }
                writes.append(
                    .observe(
                        collection: name,
                        step: step,
                        sequence: nil,
                        ids: PackedStrings(ids.map { Array($0.utf8) })
                    )
                )
                expected.append(model.observe(step, ids))
            }
        }
        let outcomes = try fixture.apply(writes)
        for (index, outcome) in outcomes.enumerated() {
            #expect((outcome == .done) == expected[index], "\(writes[index])")
        }
        if Int.random(in: 0..<30, using: &random) == 0 {
            try fixture.restart(checkpointing: Bool.random(using: &random))
        }
        try compare()
    }

    private mutating func randomStep() -> RequestedStep {
        if Int.random(in: 0..<10, using: &random) == 0 { newestRun += 1 }
        let number = max(0, newestRun - Int.random(in: 0...1, using: &random))
        let run = number == 0 ? "" : "run-\(number)"
        let last = model.runs[run]?.last ?? Int64.random(in: 0...50, using: &random)
        let step: Int64? =
            switch Int.random(in: 0..<20, using: &random) {
            case 0: nil
            case 1..<12: last + Int64.random(in: 1...3, using: &random)
            case 12..<17: last - Int64.random(in: 0...70, using: &random)
            case 17: last + Int64.random(in: 1...3_000, using: &random)
            case 18: Int64.random(in: 0...1_000_000, using: &random)
            default: 1
            }
        let isJump = Int.random(in: 0..<15, using: &random) == 0
        return RequestedStep(step.map { max(0, $0) }, run: run, isJump: isJump)
    }

    private func compare() throws {
        let collection = try #require(fixture.store.collection(named: name))
        #expect(collection.totals.lastStep == model.last && collection.totals.firstStep == model.first)
        let ids = PackedStrings(Self.names.map { Array($0.utf8) })
        let read = collection.frequencies(of: ids, 0..<ids.count)
        for (index, id) in Self.names.enumerated() {
            let (gap, count, last) = model.estimate(id)
            #expect(read[index].lastStep == last, "\(id) in \(name)")
            #expect(abs(read[index].count - count) <= 1e-6 * count + 1e-200, "\(id): \(read[index]), expected \(count)")
            #expect((read[index].gap == nil) == (gap == nil), "\(id): \(read[index]), expected \(gap ?? .nan)")
            if let gap, let got = read[index].gap { #expect(abs(got - gap) < 1e-9 * gap) }
        }
    }
}

/// The rules of the clock on plain lists of hits.
private struct ClockModel {
    static let alpha = 0.1

    struct Item {
        var hits: [(step: Int64, count: Double)] = []
        /// Steps that end gaps, ascending.
        var steps: [Int64] = []
        /// The gap up to the closed step.
        var closed: (gap: Double, count: Int, step: Int64?) = (0, 0, nil)
        var last: Int64 = -1
    }

    let halfLife: Double?
    var runs: [String: (offset: Int64, last: Int64)] = [:]
    var first: Int64 = -1
    var last: Int64 = -1
    private var lateness: Int64 = 0
    private var advances: [Int64] = []
    private var items: [String: Item] = [:]

    init(halfLife: Double?) {
        self.halfLife = halfLife
    }

    private var aheadLimit: Double {
        let pace = advances.isEmpty ? 1 : max(1, Double(advances.reduce(0, +)) / Double(advances.count))
        guard let halfLife else { return 1_000 * pace }
        return min(1_000 * pace, max(8 * halfLife, 16 * pace))
    }

    /// Whether the observation is counted.
    mutating func observe(_ requested: RequestedStep, _ ids: [String]) -> Bool {
        guard let clock = clock(requested) else { return false }
        if clock < last, last - clock <= 64 { lateness = max(lateness, last - clock) }
        if last >= 0, clock > last, Double(clock - last) <= aheadLimit.rounded(.down) { advances.append(clock - last) }
        first = first < 0 ? clock : min(first, clock)
        last = max(last, clock)
        for id in ids {
            var item = items[id, default: Item()]
            item.hits.append((clock, 1))
            if clock >= item.last - 64, clock > item.closed.step ?? -1, !item.steps.contains(clock) {
                item.steps.append(clock)
                item.steps.sort()
            }
            item.last = max(item.last, clock)
            items[id] = closed(item, through: item.last - 65)
        }
        return true
    }

    private mutating func clock(_ requested: RequestedStep) -> Int64? {
        var known = runs[requested.run]
        if known == nil, requested.run.isEmpty, runs.isEmpty { known = (0, last) }
        guard let step = requested.step else {
            let clock = max(last + 1, 1)
            let offset = known?.offset ?? clock - 1
            runs[requested.run] = (offset, clock - offset)
            return clock
        }
        guard last >= 0 else {
            runs[requested.run] = (0, step)
            return step
        }
        guard let known else {
            runs[requested.run] = (last + 1 - step, step)
            return last + 1
        }
        if step <= known.last {
            return known.last - step <= 64 || requested.isJump ? max(0, step + known.offset) : nil
        }
        let clock = max(last, step + known.offset)
        guard Double(clock - last) <= aheadLimit.rounded(.down) || requested.isJump else { return nil }
        runs[requested.run] = (clock - step, step)
        return clock
    }

    private func closed(_ item: Item, through limit: Int64) -> Item {
        var item = item
        while let step = item.steps.first, step <= limit {
            if let before = item.closed.step {
                item.closed.count += 1
                let weight = max(Self.alpha, 1 / Double(item.closed.count))
                item.closed.gap = (1 - weight) * item.closed.gap + weight * Double(step - before)
            }
            item.closed.step = step
            item.steps.removeFirst()
        }
        return item
    }

    mutating func setClock(_ step: Int64) {
        for (id, item) in items where item.last > step {
            var item = closed(item, through: step)
            item.hits = [(step, count(item))]
            item.steps = []
            if let before = item.closed.step { item.closed.step = min(before, step) }
            if item.closed.step != step { item.steps = [step] }
            item.last = step
            items[id] = item
        }
        for (name, run) in runs where run.last + run.offset > step { runs[name] = (run.offset, step - run.offset) }
        first = first < 0 ? step : min(first, step)
        last = step
    }

    private func count(_ item: Item) -> Double {
        item.hits.reduce(0) { sum, hit in
            sum + hit.count * (halfLife.map { exp2(Double(hit.step - last) / $0) } ?? 1)
        }
    }

    func estimate(_ id: String) -> (gap: Double?, count: Double, last: Int64?) {
        guard let item = items[id] else { return (nil, 0, nil) }
        let read = closed(item, through: last - lateness)
        let age = Double(max(0, last - lateness - item.last)) / 8
        let gap = read.closed.gap > 0 ? max(read.closed.gap, age) : nil
        return (gap, count(item), item.last)
    }
}
