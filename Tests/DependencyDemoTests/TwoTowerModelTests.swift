// Compares the gradients with finite differences, and tests the effect of training.

import Testing

@testable import DependencyDemo

@Suite struct TwoTowerModelTests {
    /// Packages of one to three of eleven tokens, seven dependencies, 20 pairs. Many columns repeat a row's dependency
    /// by chance.
    private func makeModel(seed: UInt64, temperature: Float = 0.5) -> (TwoTowerModel, [Pair]) {
        var random = SeededRandom(seed: seed)
        let packageTokens = (0..<9).map { _ in
            (0..<Int.random(in: 1...3, using: &random)).map { _ in Int32.random(in: 0..<11, using: &random) }
        }
        let pairs = (0..<20).map { _ in
            Pair(package: .random(in: 0..<9, using: &random), dependency: .random(in: 0..<7, using: &random))
        }
        var settings = TwoTowerModel.Settings()
        settings.dimension = 5
        settings.temperature = temperature
        settings.initialDeviation = 1
        settings.batch = 32
        settings.extraColumnsMax = 8
        let model = TwoTowerModel(
            packageTokens: packageTokens,
            tokenCount: 11,
            dependencyCount: 7,
            settings: settings,
            seed: seed
        )
        return (model, pairs)
    }

    /// The loss in float64, straight from the formulas.
    private func loss(_ model: TwoTowerModel, _ pairs: [Pair], _ corrections: [Float], _ extra: [ExtraColumn]) -> Double
    {
        let queries = pairs.map { model.query($0.package).map(Double.init) }
        let items = pairs.map { model.item($0.dependency).map(Double.init) }
        var total = 0.0
        for (row, pair) in pairs.enumerated() {
            var sum = 0.0
            var own = 0.0
            for column in pairs.indices where column == row || pairs[column].dependency != pair.dependency {
                let dot = zip(queries[row], items[column]).reduce(0) { $0 + $1.0 * $1.1 }
                let logit = dot / Double(model.settings.temperature) - Double(corrections[column])
                sum += exponential(logit)
                if column == row { own = logit }
            }
            for column in extra where column.dependency != pair.dependency && (column.row ?? row) == row {
                let item = model.item(column.dependency)
                let dot = zip(queries[row], item).reduce(0) { $0 + $1.0 * Double($1.1) }
                sum += exponential(dot / Double(model.settings.temperature) - Double(column.correction))
            }
            total += logarithm(sum) - own
        }
        return total
    }

    @Test(arguments: [1, 2, 3] as [UInt64], [false, true])
    func gradientsAgreeWithFiniteDifferences(seed: UInt64, hasExtra: Bool) {
        print("seed \(seed)")
        let (model, pairs) = makeModel(seed: seed)
        var random = SeededRandom(seed: seed + 100)
        let corrections = pairs.map { _ in Float.random(in: -5...0, using: &random) }
        // Some columns for all rows, some for one row each, in any order.
        let rows: [Int?] = hasExtra ? [nil, 3, 3, nil, 0, 19, nil, 12] : []
        let extra = rows.map { row in
            ExtraColumn(
                dependency: .random(in: 0..<7, using: &random),
                correction: .random(in: -5...0, using: &random),
                row: row
            )
        }
        let reported = model.computeGradients(pairs, corrections: corrections, extra: extra)
        #expect(abs(reported - loss(model, pairs, corrections, extra)) < 1e-3)

        let delta: Float = 1e-2
        for table in [model.tokens, model.dependencies] {
            #expect(!table.touched.isEmpty)
            for row in table.touched {
                let gradient = table.gradient(row)
                for index in 0..<model.settings.dimension {
                    let value = table.values[Int(row)] + index
                    let old = value.pointee
                    value.pointee = old + delta
                    let above = loss(model, pairs, corrections, extra)
                    value.pointee = old - delta
                    let below = loss(model, pairs, corrections, extra)
                    value.pointee = old
                    let expected = (above - below) / Double(2 * delta)
                    #expect(abs(Double(gradient[index]) - expected) < 0.01 + 0.02 * abs(expected))
                }
            }
        }
    }

    @Test func learningLowersTheLoss() {
        let (model, pairs) = makeModel(seed: 4)
        let corrections = [Float](repeating: 0, count: pairs.count)
        let before = model.computeGradients(pairs, corrections: corrections)
        #expect(Set(model.applyGradients()) == Set(pairs.map(\.dependency)))
        var after = before
        for _ in 0..<50 {
            after = model.computeGradients(pairs, corrections: corrections)
            _ = model.applyGradients()
        }
        print("loss \(before), then \(after)")
        #expect(after < before * 0.8)
    }

    @Test func adagradHasOneAccumulatorForEachRow() {
        var settings = TwoTowerModel.Settings()
        settings.dimension = 2
        var random = SeededRandom(seed: 5)
        let table = EmbeddingTable(rows: 3, settings: settings, random: &random)
        table.values[1][0] = 1
        table.values[1][1] = 1
        let untouched = table.values.vector(0)
        table.add([3, 4], scale: 1, to: 1)
        table.add([3, 4], scale: 1, to: 1)
        // a = 0.1 + (36 + 64) / 2 = 50.1; the step is 0.05 / √50.1.
        #expect(table.applyGradients(rate: 0.05) == [1])
        #expect(abs(table.values[1][0] - (1 - 6 * 0.05 / 7.078_135)) < 1e-6)
        #expect(abs(table.values[1][1] - (1 - 8 * 0.05 / 7.078_135)) < 1e-6)
        #expect(table.values.vector(0) == untouched)
        #expect(table.gradient(1) == [0, 0])
        #expect(table.applyGradients(rate: 0.05) == [])
    }

    @Test func vectorsAreOfUnitLengthAndFollowTheSeed() {
        let (model, _) = makeModel(seed: 6)
        let (same, _) = makeModel(seed: 6)
        let (other, _) = makeModel(seed: 7)
        for vector in [model.query(3), model.item(2)] {
            #expect(abs(vector.reduce(0) { $0 + $1 * $1 } - 1) < 1e-5)
        }
        #expect(model.item(2) == same.item(2))
        #expect(model.item(2) != other.item(2))
        #expect(model.query(tokens: []) == [0, 0, 0, 0, 0])
    }

    @Test func aRepeatedDependencyIsNotANegative() {
        // Both columns have the same dependency. So there is nothing to distinguish: no loss, no gradient.
        let (model, _) = makeModel(seed: 8)
        let pairs = [Pair(package: 0, dependency: 1), Pair(package: 1, dependency: 1)]
        let loss = model.computeGradients(pairs, corrections: [0, 0])
        #expect(abs(loss) < 1e-6)
        #expect(model.dependencies.gradient(1).allSatisfy { abs($0) < 1e-6 })

        // The same holds for an extra column with this dependency, and for one that belongs to another row.
        let extra = [
            ExtraColumn(dependency: 1, correction: -3), ExtraColumn(dependency: 1, correction: -3, row: 0),
            ExtraColumn(dependency: 2, correction: -3, row: 5),
        ]
        #expect(abs(model.computeGradients(pairs, corrections: [0, 0], extra: extra)) < 1e-6)
        #expect(model.dependencies.gradient(2).allSatisfy { abs($0) < 1e-6 })
    }
}
