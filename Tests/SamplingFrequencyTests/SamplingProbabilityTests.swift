import Foundation
/// Sampling probabilities and expected counts, compared with TensorFlow's samplers, and in edge cases.
/// `TensorFlow/golden-numbers.py` wrote TensorFlow's numbers.
import SamplingFrequency
import TestSupport
import Testing

@Suite struct SamplingProbabilityTests {
    /// The content of the script's output.
    struct Golden: Decodable {
        let tensorflow: String
        let draws: [Draw]

        struct Draw: Decodable {
            let sampler: String
            let range: Int?
            let counts: [Double]?
            let distortion: Double?
            let kind: Kind
            let draws: Int
            let tries: Int
            let true_classes: [Int]
            let sampled: [Int]
            let expected_true: [Double]
            let expected_sampled: [Double]
        }

        enum Kind: String, Decodable {
            case withReplacement = "with-replacement"
            case unique
            case uniqueWithoutRepetition = "unique-without-repetition"
        }
    }

    static func golden() throws -> Golden {
        let file = try #require(Bundle.module.url(forResource: "golden-numbers", withExtension: "json"))
        return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: file))
    }

    private func probability(of item: Int, in draw: Golden.Draw) throws -> Double {
        if draw.sampler == "uniform" { return uniformProbability(itemCount: try #require(draw.range)) }
        let (counts, power) = (try #require(draw.counts), try #require(draw.distortion))
        return Self.plan(counts, power: power).probability(ofCount: counts[item])
    }

    /// Draws by frequency from rows with these counts.
    private static func plan(_ counts: [Double], power: Double) -> DrawPlan {
        var table = WeightedRows()
        for (row, count) in counts.enumerated() { table.insert(UInt32(row), count: count) }
        return DrawPlan(table, excluding: [], power: power)
    }

    @Test func expectedCountsAreTensorFlows() throws {
        let golden = try Self.golden()
        var checkedCount: [Golden.Kind: Int] = [:]
        for draw in golden.draws {
            let reported = zip(draw.true_classes + draw.sampled, draw.expected_true + draw.expected_sampled)
            for (item, expected) in reported {
                let q = try probability(of: item, in: draw)
                let ours =
                    switch draw.kind {
                    case .unique: expectedCount(q: q, tries: draw.tries)
                    // TensorFlow's exception: a draw without a repetition is treated as one with replacement.
                    case .withReplacement, .uniqueWithoutRepetition: expectedCount(q: q, draws: draw.draws)
                    }
                // TensorFlow computes in float32, which has a little over 7 digits.
                #expect(abs(ours - expected) <= 5e-7 * expected, "\(draw.sampler) \(draw.kind) of \(item): \(ours)")
                checkedCount[draw.kind, default: 0] += 1
            }
        }
        #expect(checkedCount[.withReplacement, default: 0] > 200)
        #expect(checkedCount[.unique, default: 0] > 200)
        #expect(checkedCount[.uniqueWithoutRepetition, default: 0] > 0)
    }

    /// The golden numbers cover every sampler and distortion.
    @Test func goldenNumbersCoverTheSamplers() throws {
        let golden = try Self.golden()
        for unique in [false, true] {
            let draws = golden.draws.filter { ($0.kind != .withReplacement) == unique }
            #expect(draws.contains { $0.sampler == "uniform" })
            let distortions = draws.filter { $0.sampler == "fixed_unigram" }.compactMap(\.distortion)
            #expect(Set(distortions) == [0, 0.25, 0.5, 0.75, 1])
        }
    }

    /// For a given number of tries, the formula must be an inclusion probability: the share of rounds of `tries` draws
    /// in which the item occurs.
    @Test(arguments: [(0.3, 4), (0.01, 50), (0.001, 100)])
    func expectedCountOfTriesIsAnInclusionProbability(q: Double, tries: Int) {
        let seed = TestScale.seed(or: 71)
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let roundCount = 40_000
        var hitCount = 0
        for _ in 0..<roundCount {
            for _ in 0..<tries where generator.nextUnit() <= q {
                hitCount += 1
                break
            }
        }
        let expected = expectedCount(q: q, tries: tries)
        let deviation = (expected * (1 - expected) / Double(roundCount)).squareRoot()
        #expect(abs(Double(hitCount) / Double(roundCount) - expected) < 4 * deviation)
    }

    @Test func expectedCountsOfTinyAndCertainItems() {
        // 1 − (1 − q)^n would be 0 here.
        #expect(abs(expectedCount(q: 1e-20, tries: 1_000) / 1e-17 - 1) < 1e-12)
        #expect(expectedCount(q: 1, tries: 1) == 1)
        #expect(expectedCount(q: 1, tries: 100) == 1)
        #expect(expectedCount(q: 0.25, tries: 0) == 0)
        #expect(abs(expectedCount(q: 0.25, tries: 2) - 0.4375) < 1e-15)
        #expect(expectedCount(q: 1e-4, draws: 8_192) == 0.8192)
    }

    @Test func distortionFromUniformToCounts() {
        // The square root of 9 is three times that of 1.
        let halved = Self.plan([9, 1], power: 0.5)
        #expect(abs(halved.probability(ofCount: 9) - 0.75) < 1e-8)
        let plain = Self.plan([1e300, 3e300], power: 1)
        #expect(abs(plain.probability(ofCount: 1e300) - 0.25) < 1e-12)
        let level = Self.plan([1e-300, 7, 0], power: 0)
        #expect(level.probability(ofCount: 1e-300) == 0.5)
        // An item with a count of 0 is never drawn, even if all counted items have the same probability.
        for power in [0, 0.5, 1] { #expect(Self.plan([9, 0], power: power).countedRowCount == 1) }
    }

    @Test func mixtureIsAMixture() {
        // B = 3 draws by frequency, B′ = 1 uniform among 4: (3·0.5 + 1/4) / 4.
        #expect(mixedProbability(q: 0.5, byFrequency: 3, uniform: 1, itemCount: 4) == 0.4375)
        #expect(mixedProbability(q: 0.5, byFrequency: 1, uniform: 0, itemCount: 4) == 0.5)
        #expect(mixedProbability(q: 0.5, byFrequency: 0, uniform: 2, itemCount: 4) == 0.25)
        // The weights need not have a particular sum. It may even overflow.
        let huge = Double.greatestFiniteMagnitude
        #expect(mixedProbability(q: 0.5, byFrequency: huge, uniform: huge, itemCount: 4) == 0.375)
        // Over all items it sums to 1 whenever q does.
        let qs = [0.7, 0.2, 0.1, 0]
        let sum = qs.reduce(0) { $0 + mixedProbability(q: $1, byFrequency: 512, uniform: 77, itemCount: qs.count) }
        #expect(abs(sum - 1) < 1e-12)
    }
}
