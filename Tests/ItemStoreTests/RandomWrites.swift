import Foundation
import PackedStrings
import SamplingFrequency
import TestSupport
import VectorIndex

@testable import ItemStore

/// Random writes of every kind to a few collections, some of which fail. The same seed gives the same writes.
struct RandomWrites {
    static let ids: [[UInt8]] = (0..<60).map { number in
        number % 7 == 0 ? [UInt8](repeating: UInt8(number + 1), count: number + 20) : Array("id-\(number)".utf8)
    }

    private var random: SeededGenerator
    private let names: [String]

    init(seed: UInt64, names: [String]) {
        random = SeededGenerator(seed: seed)
        self.names = names
    }

    /// The next write to the collection `name`, which has this configuration now, or does not exist.
    mutating func next(for name: String, _ configuration: CollectionConfiguration?) -> Write {
        let configuration = configuration ?? defaultConfiguration(name)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<3: return .create(name: name, defaultConfiguration(name))
        case 3:
            return Int.random(in: 0..<8, using: &random) == 0 ? .drop(name: name) : .create(name: name, configuration)
        case 4:
            let other = names.randomElement(using: &random)!
            switch Int.random(in: 0..<4, using: &random) {
            case 0: return .createLike(name: name, like: other, dimension: 2, metric: nil)
            case 1: return .swap(name, other)
            default: return .swap(name, other, .stay)
            }
        case 5..<45:
            let isWrong = Int.random(in: 0..<30, using: &random) == 0
            let vector = (0..<configuration.dimension + (isWrong ? 1 : 0)).map { _ in
                Float.random(in: -1...1, using: &random)
            }
            let isZero = Int.random(in: 0..<40, using: &random) == 0
            return .put(
                collection: name,
                id: randomID(),
                vector: isZero ? vector.map { _ in 0 } : vector,
                features: Bool.random(using: &random) ? randomJSON() : nil
            )
        case 45..<60: return .delete(collection: name, ids: randomIDs(1...3))
        case 60..<65: return .setFeatures(collection: name, id: randomID(), json: randomJSON())
        case 65..<70: return .mergeFeatures(collection: name, id: randomID(), patch: randomPatch())
        case 70..<90:
            let sequence = ProducerSequence(
                producer: "worker-\(Int.random(in: 0..<40, using: &random))",
                number: Int64.random(in: 1...50, using: &random)
            )
            return .observe(
                collection: name,
                step: randomStep(),
                sequence: Bool.random(using: &random) ? sequence : nil,
                ids: randomIDs(1...20),
                returnsFrequencies: Bool.random(using: &random)
            )
        default:
            let ids = randomIDs(1...10)
            return .setFrequencies(
                collection: name,
                step: randomStep(),
                ids: ids,
                gaps: (0..<ids.count).map { _ in
                    Bool.random(using: &random) ? .nan : Double.random(in: 0.5...1_000, using: &random)
                },
                counts: (0..<ids.count).map { _ in
                    Bool.random(using: &random) ? .nan : Double(Int.random(in: 0...1_000, using: &random))
                }
            )
        }
    }

    private func defaultConfiguration(_ name: String) -> CollectionConfiguration {
        switch name {
        case "wide": CollectionConfiguration(dimension: 2_100, metric: .l2, alpha: 0.05)
        case "cosine": CollectionConfiguration(dimension: 3, metric: .cosine, alpha: 0.3)
        // Steps reach 3,000, which is several epochs.
        case "drift": CollectionConfiguration(dimension: 2, halfLife: 2, recentCount: 0)
        // With this few buckets, 60 ids collide all the time.
        case "sketch", "sketch-twin":
            CollectionConfiguration(
                dimension: 2,
                alpha: 0.1,
                sketch: SketchLayout(bucketCount: 50, hashCount: 3, seed: 11)
            )
        case "drift-sketch":
            CollectionConfiguration(
                dimension: 2,
                halfLife: 2,
                sketch: SketchLayout(bucketCount: 5_000, hashCount: 2, seed: 12)
            )
        case "capped": CollectionConfiguration(dimension: 2, idCountMax: 40)
        // Statistics can be handed over between this one and the default, although the other parameters differ.
        case "twin": CollectionConfiguration(dimension: 3, metric: .l2, recentCount: 300)
        default: CollectionConfiguration(dimension: 4, recentCount: 700)
        }
    }

    private mutating func randomID() -> [UInt8] {
        Self.ids.randomElement(using: &random)!
    }

    private mutating func randomIDs(_ count: ClosedRange<Int>) -> PackedStrings {
        PackedStrings((0..<Int.random(in: count, using: &random)).map { _ in randomID() })
    }

    private mutating func randomJSON() -> [UInt8] {
        let number = Int.random(in: 0..<1_000_000, using: &random)
        // Some are in several records.
        let isLong = Int.random(in: 0..<20, using: &random) == 0
        let text = String(repeating: "x", count: Int.random(in: 0..<(isLong ? 20_000 : 300), using: &random))
        return Array(#"{"n":\#(number),"s":"\#(text)"}"#.utf8)
    }

    private mutating func randomPatch() -> [UInt8] {
        let members = ["n", "s", "t", "u"].map { key in
            Bool.random(using: &random) ? "\"\(key)\":null" : "\"\(key)\":\(Int.random(in: 0..<100, using: &random))"
        }
        let some = members.shuffled(using: &random).prefix(Int.random(in: 0...3, using: &random))
        return Array("{\(some.joined(separator: ","))}".utf8)
    }

    /// Far apart, so that many are very late or far ahead.
    private mutating func randomStep() -> RequestedStep {
        RequestedStep(Bool.random(using: &random) ? nil : Int64.random(in: 0..<3_000, using: &random), isJump: true)
    }
}
