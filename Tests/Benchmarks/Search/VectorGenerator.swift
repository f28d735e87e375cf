import Dispatch
import Foundation
import TestSupport

/// Makes the vectors of a data set. Every block of vectors has its own random numbers. So all cores can work, and the
/// result does not depend on their number.
struct VectorGenerator: Sendable {
    private static let seed: UInt64 = 20_260_701
    private static let blockSize = 1_024

    private let recipe: Recipe
    private let dimension: Int
    /// The middle of each topic in the latent space.
    private let middles: [[Float]]
    /// The cumulative shares of the topics.
    private let topicBounds: [Double]
    private let shift: [Float]
    private let itemTower: Tower
    private let queryTower: Tower

    init(_ recipe: Recipe, itemCount: Int, dimension: Int) {
        self.recipe = recipe
        self.dimension = dimension
        let latentDimension = Int(Double(dimension) * recipe.latentShare)
        let topicCount = min(recipe.topicCount, itemCount / 50)
        var random = SeededGenerator(seed: Self.seed)
        let deviation = (1 - recipe.varianceWithinTopics).squareRoot()
        middles = (0..<topicCount).map { _ in random.normals(latentDimension).map { $0 * deviation } }
        let sizes = (1...topicCount).map { pow(Double($0), -recipe.topicExponent) }
        let total = sizes.reduce(0, +)
        var sum = 0.0
        topicBounds = sizes.map {
            sum += $0 / total
            return sum
        }
        shift = random.normals(latentDimension).map { $0 * recipe.queryShift }
        itemTower = Tower(latentDimension: latentDimension, dimension: dimension, &random)
        queryTower = itemTower.changed(by: recipe.queryTowerDifference, &random)
    }

    /// The vectors of the items: `count` × dimension numbers.
    func items(count: Int) -> [Float] {
        vectors(count: count, stream: 1) { random in
            let latent = place(around: middles[someTopic(&random)], &random)
            var vector = withNoise(recipe.itemNoise, itemTower.map(latent), &random)
            vector.scale(toLength: recipe.normSigma == 0 ? 1 : exp(recipe.normSigma * Double(random.normal())))
            return vector
        }
    }

    /// The vectors of the queries: `count` × dimension numbers, each vector of length 1.
    func queries(count: Int) -> [Float] {
        vectors(count: count, stream: 2) { random in
            var middle = middles[someTopic(&random)]
            if recipe.areQueriesBetweenTopics {
                let (one, other) = (middles.randomElement(using: &random)!, middles.randomElement(using: &random)!)
                let share = Float(random.uniform())
                middle = zip(one, other).map { $0 * share + $1 * (1 - share) }
            }
            let latent = zip(place(around: middle, &random), shift).map { $0 + $1 }
            var vector = withNoise(recipe.queryNoise, queryTower.map(latent), &random)
            vector.scale(toLength: 1)
            return vector
        }
    }

    private func vectors(
        count: Int,
        stream: UInt64,
        _ vector: @Sendable (inout SeededGenerator) -> [Float]
    ) -> [Float] {
        [Float](unsafeUninitializedCapacity: count * dimension) { buffer, initializedCount in
            nonisolated(unsafe) let base = buffer.baseAddress!
            DispatchQueue.concurrentPerform(iterations: (count + Self.blockSize - 1) / Self.blockSize) { block in
                var random = SeededGenerator(seed: Self.seed ^ (stream << 32 | UInt64(block)))
                for row in block * Self.blockSize..<min((block + 1) * Self.blockSize, count) {
                    (base + row * dimension).update(from: vector(&random), count: dimension)
                }
            }
            initializedCount = count * dimension
        }
    }

    private func someTopic(_ random: inout SeededGenerator) -> Int {
        let share = random.uniform()
        var (low, high) = (0, topicBounds.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if topicBounds[middle] < share { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func place(around middle: [Float], _ random: inout SeededGenerator) -> [Float] {
        let deviation = recipe.varianceWithinTopics.squareRoot()
        return middle.map { $0 + random.normal() * deviation }
    }

    /// Adds noise whose length is relative to the vector's.
    private func withNoise(_ noise: Float, _ vector: [Float], _ random: inout SeededGenerator) -> [Float] {
        let deviation = noise * (vector.squaredLength / Float(vector.count)).squareRoot()
        return vector.map { $0 + random.normal() * deviation }
    }
}

/// Maps a place in the latent space to an embedding: linear, squashed into -1...1, linear.
private struct Tower {
    private static let hiddenBlockCount = 8

    /// For each latent dimension, a block of hidden units.
    private var first: [SIMD16<Float>]
    private let bias: [SIMD16<Float>]
    /// For each hidden unit, a block of outputs.
    private let second: [SIMD16<Float>]
    private let latentDimension: Int
    private let outputBlockCount: Int

    init(latentDimension: Int, dimension: Int, _ random: inout SeededGenerator) {
        precondition(dimension % 16 == 0, "got dimension \(dimension), expected a multiple of 16")
        self.latentDimension = latentDimension
        outputBlockCount = dimension / 16
        let hiddenCount = Self.hiddenBlockCount * 16
        first = random.normalBlocks(latentDimension * Self.hiddenBlockCount, 1 / Float(latentDimension).squareRoot())
        bias = random.normalBlocks(Self.hiddenBlockCount, 0.5)
        second = random.normalBlocks(hiddenCount * outputBlockCount, 1 / Float(hiddenCount).squareRoot())
    }

    /// A tower whose first layer differs by `difference`.
    func changed(by difference: Float, _ random: inout SeededGenerator) -> Tower {
        var tower = self
        let change = random.normalBlocks(first.count, difference / Float(latentDimension).squareRoot())
        tower.first = zip(first, change).map { $0 + $1 }
        return tower
    }

    func map(_ latent: [Float]) -> [Float] {
        var hidden = bias
        for (index, value) in latent.enumerated() {
            for block in 0..<Self.hiddenBlockCount {
                hidden[block] += first[index * Self.hiddenBlockCount + block] * value
            }
        }
        var outputs = [SIMD16<Float>](repeating: .zero, count: outputBlockCount)
        for (block, sums) in hidden.enumerated() {
            let bent = sums / (1 + sums * sums).squareRoot()
            for lane in 0..<16 {
                let row = (block * 16 + lane) * outputBlockCount
                for output in 0..<outputBlockCount { outputs[output] += second[row + output] * bent[lane] }
            }
        }
        return outputs.flatMap { block in block.indices.map { block[$0] } }
    }
}

extension SeededGenerator {
    /// In 0..<1.
    fileprivate mutating func uniform() -> Double {
        Double(next() >> 11) / Double(1 << 53)
    }

    /// Approximately normal: the sum of twelve uniform numbers, which rounds the same with every library.
    mutating func normal() -> Float {
        var sum: UInt64 = 0
        for _ in 0..<3 {
            let word = next()
            sum += (word & 0xFFFF) + (word >> 16 & 0xFFFF) + (word >> 32 & 0xFFFF) + (word >> 48)
        }
        return Float(sum) / 65_536 - 6
    }

    mutating func normals(_ count: Int) -> [Float] {
        (0..<count).map { _ in normal() }
    }

    fileprivate mutating func normalBlocks(_ count: Int, _ deviation: Float) -> [SIMD16<Float>] {
        (0..<count).map { _ in SIMD16(normals(16)) * deviation }
    }
}

extension [Float] {
    var squaredLength: Float { reduce(0) { $0 + $1 * $1 } }

    mutating func scale(toLength length: Double) {
        let factor = Float(length) / squaredLength.squareRoot()
        for index in indices { self[index] *= factor }
    }
}
