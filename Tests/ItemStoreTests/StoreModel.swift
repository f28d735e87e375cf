import Foundation
import PackedStrings
import SamplingFrequency
import VectorIndex

@testable import ItemStore

/// What the store should hold, as plain dictionaries and the rules written out once more.
struct StoreModel {
    struct Item: Equatable {
        var vector: [Float]?
        var features: [UInt8]?
        var record = FrequencyRecord.unseen
        /// What the count is made of, for a collection with a half-life: how much, as of which step.
        var hits: [Hits] = []

        struct Hits: Equatable {
            let step: Int64
            let count: Double
        }
    }

    struct ModelCollection {
        var configuration: CollectionConfiguration
        var items: [[UInt8]: Item] = [:]
        var firstStep: Int64 = -1
        var lastStep: Int64 = -1
        var sequences: [String: Int64] = [:]
        /// The ids that were observed, the last ones at the end; nil: deleted since.
        var observed: [[UInt8]?] = []
        /// Where observations go instead, with their totals, if the estimator is a sketch.
        var sketch: FrequencySketch?
        var sketchTotals = FrequencyTotals()

        var embeddedCount: Int { items.values.count { $0.vector != nil } }

        mutating func note(_ step: Int64) {
            firstStep = firstStep < 0 ? step : min(firstStep, step)
            lastStep = max(lastStep, step)
        }

        init(configuration: CollectionConfiguration) {
            self.configuration = configuration
            sketch = configuration.sketch.map {
                FrequencySketch(
                    layout: $0,
                    alpha: configuration.alpha,
                    decay: CountDecay(halfLife: configuration.halfLife)
                )
            }
            sketchTotals = FrequencyTotals(decay: CountDecay(halfLife: configuration.halfLife))
        }

        func estimate(_ id: [UInt8]) -> FrequencyEstimate {
            if let sketch { return sketchEstimate(id, sketch) }
            return SamplingFrequency.estimate(
                items[id]?.record ?? .unseen,
                totals: FrequencyTotals(firstStep: firstStep, lastStep: lastStep, count: total),
                liveItems: embeddedCount
            )
        }

        private func sketchEstimate(_ id: [UInt8], _ sketch: FrequencySketch) -> FrequencyEstimate {
            var totals = sketchTotals
            // Every observation is in one bucket of the first hash.
            var sum = ExactSum()
            for record in sketch.buckets[0..<sketch.layout.bucketCount] { sum.add(record, totals.decay) }
            totals.count = sum.total(in: totals.epoch)
            let record = id.withUnsafeBytes { sketch.record(of: sketch.layout.hash($0)) }
            return SamplingFrequency.estimate(record, totals: totals, liveItems: embeddedCount)
        }

        func hashes(_ ids: PackedStrings) -> [UInt64] {
            StoreModel.strings(ids).map { id in id.withUnsafeBytes { sketch!.layout.hash($0) } }
        }

        mutating func sketchHit(at step: Int64) -> Hit {
            let hit = sketchTotals.decay.hit(at: step)
            sketchTotals.note(hit)
            return hit
        }

        /// What is left of an id's hits, and of all.
        func count(_ item: Item?) -> Double {
            guard let item else { return 0 }
            guard let halfLife = configuration.halfLife else { return item.record.count }
            return item.hits.reduce(0) { $0 + $1.count * exp2(Double($1.step - lastStep) / halfLife) }
        }

        var total: Double { items.values.reduce(0) { $0 + count($1) } }

        /// The ids of the bank of recent observations that can be drawn.
        var recent: [[UInt8]] {
            observed.suffix(configuration.recentCount).compactMap { $0 }.filter { items[$0]?.vector != nil }
        }
    }

    var collections: [String: ModelCollection] = [:]

    /// Applies the write and says what the store should answer: nil for done, or the code of its error.
    enum Expected: Equatable {
        case done
        case deleted([Bool])
        /// With what is known of the ids then.
        case observed
        case failed(StoreError.Code)
    }

    mutating func apply(_ write: Write) -> Expected {
        switch write {
        case .create(let name, let configuration):
            if collections[name] != nil { return .failed(.exists) }
            collections[name] = ModelCollection(configuration: configuration)
            return .done
        case .drop(let name):
            return collections.removeValue(forKey: name) == nil ? .failed(.noCollection) : .done
        case .swap(let first, let second):
            guard let old = collections[first], let new = collections[second] else { return .failed(.noCollection) }
            (collections[first], collections[second]) = (new, old)
            return .done
        case .put(let name, _, _, _), .delete(let name, _), .setFeatures(let name, _, _),
            .observe(let name, _, _, _, _), .setFrequencies(let name, _, _, _, _):
            guard var collection = collections[name] else { return .failed(.noCollection) }
            defer { collections[name] = collection }
            let expected = Self.apply(write, to: &collection)
            if expected == .done, case .observe(_, _, _, _, returnsFrequencies: true) = write { return .observed }
            return expected
        }
    }

    private static func apply(_ write: Write, to collection: inout ModelCollection) -> Expected {
        switch write {
        case .create, .drop, .swap: preconditionFailure()
        case .put(_, let id, let vector, let features):
            if vector.count != collection.configuration.dimension { return .failed(.dimension) }
            if collection.configuration.metric == .cosine, vector.allSatisfy({ $0 == 0 }) { return .failed(.badVector) }
            collection.items[id, default: Item()].vector = vector
            if let features { collection.items[id]!.features = features }
        case .delete(_, let ids):
            return .deleted(
                strings(ids).map { id in
                    for index in collection.observed.indices where collection.observed[index] == id {
                        collection.observed[index] = nil
                    }
                    return collection.items.removeValue(forKey: id) != nil
                }
            )
        case .setFeatures(_, let id, let json):
            collection.items[id, default: Item()].features = json
        case .observe(_, let step, let sequence, let ids, _):
            if let sequence, let last = collection.sequences[sequence.writer], sequence.number <= last { return .done }
            let step = step ?? max(collection.lastStep, 0) + 1
            if let sequence { collection.sequences[sequence.writer] = sequence.number }
            collection.note(step)
            if collection.sketch != nil {
                let hit = collection.sketchHit(at: step)
                for hash in collection.hashes(ids) { collection.sketch!.observe(hash, hit) }
                return .done
            }
            for id in strings(ids) {
                hit(&collection.items[id, default: Item()].record, step, collection.configuration.alpha)
                collection.items[id]!.hits.append(Item.Hits(step: step, count: 1))
                collection.observed.append(id)
            }
        case .setFrequencies(_, let step, let ids, let gaps, let counts):
            let step = step ?? max(collection.lastStep, 0) + 1
            collection.note(step)
            if collection.sketch != nil {
                let hit = collection.sketchHit(at: step)
                for (index, hash) in collection.hashes(ids).enumerated() {
                    let (gap, count) = (gaps[index], counts[index])
                    collection.sketch!.set(hash, hit, gap: gap.isNaN ? nil : gap, count: count.isNaN ? nil : count)
                }
                return .done
            }
            for (index, id) in strings(ids).enumerated() {
                var record = collection.items[id, default: Item()].record
                record.lastStep = max(record.lastStep, step)
                if !gaps[index].isNaN {
                    record.gap = gaps[index]
                    record.gapCount = max(record.gapCount, UInt32((1 / collection.configuration.alpha).rounded(.up)))
                }
                if !counts[index].isNaN {
                    record.count = counts[index]
                    collection.items[id, default: Item()].hits = [Item.Hits(step: step, count: counts[index])]
                }
                collection.items[id, default: Item()].record = record
            }
        }
        return .done
    }

    private static func hit(_ record: inout FrequencyRecord, _ step: Int64, _ alpha: Double) {
        record.count += 1
        if record.lastStep < 0 {
            record.lastStep = step
        } else if step > record.lastStep {
            record.gapCount += 1
            let weight = max(alpha, 1 / Double(record.gapCount))
            record.gap = (1 - weight) * record.gap + weight * Double(step - record.lastStep)
            record.lastStep = step
        }
    }

    static func strings(_ packed: PackedStrings) -> [[UInt8]] {
        (0..<packed.count).map { Array(packed[$0]) }
    }
}
