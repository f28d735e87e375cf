// Scores by metric, compared with the formulas.

import CVectorKernels
import TestSupport
import Testing

@testable import VectorIndex

@Suite struct QueryVectorTests {
    @Test(arguments: Metric.allCases)
    func scoresFollowTheFormulas(metric: Metric) {
        let seed: UInt64 = 11
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        for dimension in [1, 3, 16, 48, 64, 100] {
            let count = 150  // more than two blocks of the cosine
            let stride = dimension + 2
            let query = (0..<dimension).map { _ in Float.random(in: -1...1, using: &random) }
            let rows = (0..<count * stride).map { _ in Float.random(in: -1...1, using: &random) }
            let vector = QueryVector(query, metric: metric)
            var scores = [Double](repeating: .nan, count: count)
            rows.withUnsafeBufferPointer {
                vector.scores(rows: $0.baseAddress!, count: count, stride: stride, into: &scores)
            }
            for row in 0..<count {
                let pairs = (0..<dimension).map { (Double(query[$0]), Double(rows[row * stride + $0])) }
                let dot = pairs.reduce(0) { $0 + $1.0 * $1.1 }
                let norms = pairs.reduce(0) { $0 + $1.0 * $1.0 }.squareRoot()
                let expected =
                    switch metric {
                    case .dot: dot
                    case .cosine: dot / (norms * pairs.reduce(0) { $0 + $1.1 * $1.1 }.squareRoot())
                    case .l2: -pairs.reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
                    }
                #expect(abs(scores[row] - expected) < 1e-12)
                rows.withUnsafeBufferPointer {
                    #expect(vector.score($0.baseAddress! + row * stride) == scores[row])
                }
            }
        }
    }

    @Test(arguments: Metric.allCases)
    func everyKernelGivesTheSameBits(metric: Metric) throws {
        var random = SeededGenerator(seed: 12)
        for dimension in 1...80 {
            let query = (0..<dimension).map { _ in Float.random(in: -1...1, using: &random) }
            let row = (0..<dimension).map { _ in Float.random(in: -1...1, using: &random) }
            let expected = QueryVector(query, metric: metric, kernels: vector_kernels_named("scalar")!)
            for name in vectorKernelNames {
                let got = QueryVector(query, metric: metric, kernels: try #require(vector_kernels_named(name)))
                #expect(got.norm.bitPattern == expected.norm.bitPattern)
                #expect(got.score(row).bitPattern == expected.score(row).bitPattern)
            }
        }
    }

    /// PROTOCOL.md states this bound. Vectors that are nearly parallel show it. Sums of equal numbers are the worst,
    /// because they all round in one direction.
    @Test func aCosinePassesOneByRoundingOnly() {
        var random = SeededGenerator(seed: 13)
        var largest = 0.0
        for dimension in [1, 2, 3, 7, 16, 64, 100, 768, 4_096, 32_768] {
            for round in 0..<max(10, 20_000 / dimension) {
                let first = Float.random(in: 0.1...1, using: &random)
                let query = (0..<dimension).map { _ in
                    round % 2 == 0 ? first : Float.random(in: -1...1, using: &random)
                }
                for factor: Float in [1, 3, 0.7, -1, -0.1] {
                    let score = QueryVector(query, metric: .cosine).score(query.map { $0 * factor })
                    largest = max(largest, score.magnitude)
                }
            }
        }
        #expect(largest > 1, "no cosine has passed 1, so this test shows nothing")
        #expect(largest < 1 + 1e-12)
    }

    @Test func numbersAtTheEndsOfTheRange() {
        let huge = [Float](repeating: .greatestFiniteMagnitude, count: 4_096)
        let tiny = [Float](repeating: .leastNonzeroMagnitude, count: 4_096)
        for metric in Metric.allCases {
            for query in [huge, tiny] {
                for row in [huge, tiny] {
                    #expect(QueryVector(query, metric: metric).score(row).isFinite)
                }
            }
        }
        // Squares of the smallest float32 are far above the smallest float64.
        #expect(abs(QueryVector(tiny, metric: .cosine).score(tiny) - 1) < 1e-15)
        #expect(abs(QueryVector(huge, metric: .cosine).score(huge) - 1) < 1e-15)
        #expect(QueryVector(tiny, metric: .l2).score(tiny) == 0)
        #expect(QueryVector([0, 0], metric: .cosine).score([1, 2]) == 0)
        #expect(QueryVector([3, 4], metric: .cosine).norm == 5)
        #expect(QueryVector.kernelName == String(cString: vector_kernels_name()))
    }
}
