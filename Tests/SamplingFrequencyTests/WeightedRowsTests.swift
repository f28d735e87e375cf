import Foundation
import TestSupport
import Testing

@testable import SamplingFrequency

/// The table of draws, compared with a plain dictionary of counts.
@Suite struct WeightedRowsTests {
    /// Rows with counts in the table, and the same rows in a dictionary.
    private struct Model {
        var table = WeightedRows()
        var counts: [UInt32: Double] = [:]

        mutating func set(_ row: UInt32, _ count: Double) {
            if let old = counts[row] {
                table.update(row, from: old, to: count)
            } else {
                table.insert(row, count: count)
            }
            counts[row] = count
        }

        mutating func remove(_ row: UInt32) {
            guard let count = counts.removeValue(forKey: row) else { return }
            table.remove(row, count: count)
        }

        func plan(excluding excluded: [UInt32] = [], power: Double) -> DrawPlan {
            DrawPlan(table, excluding: excluded.map { ($0, counts[$0] ?? 0) }, power: power)
        }
    }

    /// Counts of many orders of magnitude, whole and fractional, and zero.
    private static func randomCount(_ random: inout SeededGenerator) -> Double {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: 0
        case 1: Double(Int.random(in: 1...20, using: &random))
        case 2: exp2(Double.random(in: -900...900, using: &random))
        default: exp2(Double.random(in: 0...20, using: &random))
        }
    }

    private static func randomModel(_ random: inout SeededGenerator, rowCount: UInt32) -> Model {
        var model = Model()
        for _ in 0..<6_000 {
            let row = UInt32.random(in: 0..<rowCount, using: &random)
            if Int.random(in: 0..<4, using: &random) == 0 {
                model.remove(row)
            } else {
                model.set(row, randomCount(&random))
            }
        }
        return model
    }

    /// A class may have nearly 2^32 rows.
    @Test func sumsBeyondTheRangeOfASignedNumber() {
        var tree = FenwickTree(count: 4)
        let half = Int(Int32.max)
        for place in [0, 1] { tree.add(half, at: place) }
        tree.grow(to: 16)
        tree.add(1, at: 9)
        #expect(tree.countBefore(9) == 2 * half && tree.countBefore(16) == 2 * half + 1)
        #expect(tree.find(2 * half) == (place: 9, rest: 0))
        tree.add(-half, at: 0)
        #expect(tree.find(half) == (place: 9, rest: 0))
    }

    @Test func ranksAndRowsAreThoseOfASortedList() {
        var random = SeededGenerator()
        for rowCount: UInt32 in [1, 60, 1_024, 1_025, 5_000] {
            let model = Self.randomModel(&random, rowCount: rowCount)
            #expect(model.table.rowCount == model.counts.count)
            let classes = Dictionary(grouping: model.counts.keys) { RowClass.number(of: model.counts[$0]!) }
            #expect(Set(model.table.classesInOrder.map(\.number)) == Set(classes.keys))
            for (number, rows) in classes {
                let found = (0..<rows.count).map { model.table.row($0, ofClass: number) }
                #expect(found == rows.sorted())
                #expect(rows.sorted().map { model.table.rank(of: $0) } == Array(0..<rows.count))
            }
        }
    }

    @Test func rowsEndAfterTheLast() {
        var random = SeededGenerator()
        var model = Self.randomModel(&random, rowCount: 2_000)
        while let last = model.counts.keys.max() {
            #expect(model.table.rowBound == Int(last) + 1)
            for row in model.counts.keys.shuffled(using: &random).prefix(9) + [last] { model.remove(row) }
        }
        #expect(model.table.rowBound == 0)
    }

    /// Draws depend on the content of the table, not on its history.
    @Test func historyLeavesNoTrace() {
        var random = SeededGenerator()
        let model = Self.randomModel(&random, rowCount: 3_000)
        var fresh = WeightedRows()
        for row in model.counts.keys.shuffled(using: &random) { fresh.insert(row, count: model.counts[row]!) }
        let excluded = model.counts.keys.shuffled(using: &random).prefix(100).map { ($0, model.counts[$0]!) }
        for power in [0, 0.3, 1] {
            let plans = [model.table, fresh].map { DrawPlan($0, excluding: excluded, power: power) }
            var generators = [DrawGenerator(seed: 5), DrawGenerator(seed: 5)]
            for _ in 0..<500 {
                let rows = (0..<2).map { plans[$0].countedRow(&generators[$0]) { model.counts[$0]! } }
                #expect(rows[0] == rows[1])
                #expect(plans[0].uniformRow(&generators[0]) == plans[1].uniformRow(&generators[1]))
            }
            for count in [1, 3, 1e100] {
                #expect(plans[0].probability(ofCount: count) == plans[1].probability(ofCount: count))
            }
        }
    }

    @Test(arguments: [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1])
    func probabilitiesSumToOneForAnyExclusion(power: Double) {
        var random = SeededGenerator()
        for _ in 0..<5 {
            let model = Self.randomModel(&random, rowCount: 2_000)
            // In some cases exclude the rows that have nearly all of the probability.
            let byCount = model.counts.keys.sorted { model.counts[$0]! > model.counts[$1]! }
            let some = model.counts.keys.shuffled(using: &random)
            for excluded in [[], Array(some.prefix(300)), Array(byCount.prefix(400)), Array(byCount.dropLast())] {
                let plan = model.plan(excluding: excluded, power: power)
                let rest = model.counts.filter { !excluded.contains($0.key) }
                #expect(plan.rowCount == rest.count)
                #expect(plan.countedRowCount == rest.count { $0.value > 0 })
                guard plan.countedRowCount > 0 else { continue }
                let sum = rest.values.reduce(0) { $0 + plan.probability(ofCount: $1) }
                #expect(abs(sum - 1) < 1e-7, "\(excluded.count) excluded")
            }
        }
    }

    /// This holds even if the counts are far apart, because a small power brings them together.
    @Test func everyItemThatCanBeDrawnHasAProbability() {
        var model = Model()
        model.set(0, 0x1p53)
        model.set(1, .leastNormalMagnitude)
        let plan = model.plan(power: 0.001)
        let (large, small) = (plan.probability(ofCount: 0x1p53), plan.probability(ofCount: .leastNormalMagnitude))
        #expect(abs(small / large - exp2(-1.075)) < 1e-9 && abs(small + large - 1) < 1e-9)
    }

    /// Removing rows from a plan keeps the ratios of the other rows' probabilities.
    @Test(arguments: [0, 0.5, 1])
    func aPlanKnowsTheShareOfRemovedRows(power: Double) {
        var random = SeededGenerator()
        let model = Self.randomModel(&random, rowCount: 2_000)
        let rows = model.counts.keys.shuffled(using: &random)
        let plan = model.plan(excluding: Array(rows[0..<50]), power: power)
        let rest = plan.without(Set(rows[50..<200])) { model.counts[$0]! }
        #expect(rest.rowCount == rows.count - 200)
        #expect(abs(plan.uniformShare(of: rest) - Double(rest.rowCount) / Double(plan.rowCount)) < 1e-12)
        let left = rows[200...].reduce(0) { $0 + plan.probability(ofCount: model.counts[$1]!) }
        #expect(abs(plan.countedShare(of: rest) - left) < 1e-7)
        for row in rows[200...] {
            let count = model.counts[row]!
            let expected = plan.probability(ofCount: count)
            // A relative difference means nothing between subnormal numbers, which have few digits.
            let tolerance = max(1e-6 * expected, Double.leastNormalMagnitude)
            #expect(abs(rest.probability(ofCount: count) * left - expected) <= tolerance)
        }
    }

    @Test func failuresAreGeometric() {
        var random = DrawGenerator(seed: 8)
        for probability in [0.9, 0.5, 0.03] {
            let failures = (0..<100_000).map { _ in random.failures(beforeSuccessWith: probability) }
            let counts = (0..<6).map { count in failures.count { $0 == count } } + [failures.count { $0 >= 6 }]
            let weights = (0..<6).map { probability * pow(1 - probability, Double($0)) } + [pow(1 - probability, 6)]
            #expect(ChiSquare.excess(counts, weights: weights) < 1)
        }
        #expect(random.failures(beforeSuccessWith: 1) == 0)
        #expect(random.failures(beforeSuccessWith: 0) == 1 << 62)
        #expect(random.failures(beforeSuccessWith: 1e-300) > 1 << 50)
    }

    @Test(arguments: [0, 0.5, 0.75, 1])
    func drawsFollowTheProbabilities(power: Double) {
        var model = Model()
        for row in 0..<200 as Range<UInt32> { model.set(row * 37, Double(row * row / 7)) }
        let excluded: [UInt32] = [37 * 199, 37 * 50, 37 * 3, 11]
        let plan = model.plan(excluding: excluded, power: power)
        let rows = model.counts.keys.filter { model.counts[$0]! > 0 && !excluded.contains($0) }.sorted()
        let places = Dictionary(uniqueKeysWithValues: rows.enumerated().map { ($1, $0) })
        var hits = Array(repeating: 0, count: rows.count)
        var random = DrawGenerator(seed: 20_261)
        for _ in 0..<1_000_000 {
            hits[places[plan.countedRow(&random) { model.counts[$0]! }]!] += 1
        }
        let weights = rows.map { pow(model.counts[$0]!, power) }
        #expect(ChiSquare.excess(hits, weights: weights) < 1)
        // A slightly different power fails the test, so the test is sensitive enough.
        #expect(ChiSquare.excess(hits, weights: rows.map { pow(model.counts[$0]!, power + 0.03) }) > 1)
    }

    /// With adjacent rows, and with rows so far apart that drawing by rejection would take long.
    @Test(arguments: [1, 3, 37] as [UInt32])
    func uniformDrawsIgnoreCounts(distance: UInt32) {
        var model = Model()
        for row in 0..<3_000 as Range<UInt32> { model.set(row * distance, row % 3 == 0 ? 0 : Double(row)) }
        for row in stride(from: 0 as UInt32, to: 3_000, by: 7) { model.remove(row * distance) }
        let excluded = (0..<100 as Range<UInt32>).map { $0 * 11 * distance }
        let plan = model.plan(excluding: excluded, power: 0)
        let rows = model.counts.keys.filter { !excluded.contains($0) }.sorted()
        #expect(plan.rowCount == rows.count)
        let places = Dictionary(uniqueKeysWithValues: rows.enumerated().map { ($1, $0) })
        var hits = Array(repeating: 0, count: rows.count)
        var random = DrawGenerator(seed: 7)
        for _ in 0..<1_000_000 { hits[places[plan.uniformRow(&random)]!] += 1 }
        #expect(ChiSquare.excess(hits, weights: rows.map { _ in 1 }) < 1)
    }

    @Test(arguments: [1, 2, 3, 1_000])
    func newEpochsOnlyShift(epochs: Int) {
        var random = SeededGenerator()
        let model = Self.randomModel(&random, rowCount: 1_500)
        var table = model.table
        table.rescale(byEpochs: epochs)
        var fresh = WeightedRows()
        let converted = model.counts.mapValues { CountDecay.convert($0, from: 0, to: epochs) }
        for (row, count) in converted { fresh.insert(row, count: count) }
        for number in fresh.classesInOrder.map(\.number) {
            let (a, b) = [table, fresh].map { $0.classesInOrder.first { $0.number == number } }.pair
            #expect(a?.moments == b?.moments)
        }
        #expect(table.classesInOrder.map(\.number) == fresh.classesInOrder.map(\.number))
        for rowClass in fresh.classesInOrder {
            let ranks = 0..<rowClass.moments.count
            let rows = ranks.map { fresh.row($0, ofClass: rowClass.number) }
            #expect(ranks.map { table.row($0, ofClass: rowClass.number) } == rows)
            #expect(rows.map { table.rank(of: $0) } == Array(ranks))
        }
        // The table still works after the conversion.
        for (row, count) in converted { table.remove(row, count: count) }
        #expect(table.rowCount == 0 && table.classesInOrder.isEmpty)
    }
}

extension Array {
    fileprivate var pair: (Element, Element) { (self[0], self[1]) }
}
