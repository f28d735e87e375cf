import Foundation
import PackedStrings
import SamplingFrequency
import TestSupport
import VectorIndex

@testable import ItemStore

/// The expected content of the store, as plain dictionaries, with an independent implementation of the rules.
struct StoreModel {
    struct Item {
        var vector: [Float]?
        var features: [UInt8]?
        var count = 0.0
        /// The steps at which the id was seen, ascending, without those that came too late.
        var steps: [Int64] = []
        /// The gap that a trainer has set, if any, and the step up to which it holds.
        var set: (gap: Double, gapCount: UInt32, step: Int64) = (0, 0, -1)
        /// With a half-life, the hits that make up the count: their number, and their step.
        var hits: [Hits] = []

        var isSeen: Bool { self.set.step >= 0 || !steps.isEmpty }

        func with(statisticsOf other: Item) -> Item {
            var item = other
            (item.vector, item.features) = (vector, features)
            return item
        }

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
        var lateness: Int64 = 0
        var sequences: [String: Int64] = [:]
        /// The observed ids, the latest last; nil for an id that was deleted since.
        var observed: [[UInt8]?] = []
        /// With a sketch, the destination of observations, with their totals.
        var sketch: FrequencySketch?
        var sketchTotals: FrequencyTotals

        var embeddedCount: Int { items.values.count { $0.vector != nil } }

        mutating func note(_ step: Int64, mayBeLate: Bool) {
            if mayBeLate, lastStep > step, lastStep - step <= 64 { lateness = max(lateness, lastStep - step) }
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
            sketchTotals = FrequencyTotals(
                estimator: GapEstimator(
                    alpha: configuration.alpha,
                    decay: CountDecay(halfLife: configuration.halfLife)
                )
            )
        }

        /// Forgets the own statistics, and with them the ids of which nothing else is known.
        mutating func takeStatistics(of other: ModelCollection) {
            for (id, item) in items {
                items[id] = item.vector == nil && item.features == nil ? nil : item.with(statisticsOf: Item())
            }
            for (id, item) in other.items where item.isSeen {
                items[id] = (items[id] ?? Item()).with(statisticsOf: item)
            }
            (firstStep, lastStep, lateness) = (other.firstStep, other.lastStep, other.lateness)
            sequences = other.sequences
            observed = other.observed.suffix(other.configuration.recentCount)
            (sketch, sketchTotals) = (other.sketch, other.sketchTotals)
        }

        func estimate(_ id: [UInt8]) -> FrequencyEstimate {
            if let sketch { return sketchEstimate(id, sketch) }
            return SamplingFrequency.estimate(
                items[id].map(record) ?? .unseen,
                totals: FrequencyTotals(
                    firstStep: firstStep,
                    lastStep: lastStep,
                    count: total,
                    lateness: lateness,
                    estimator: GapEstimator(alpha: configuration.alpha)
                ),
                liveItems: embeddedCount
            )
        }

        /// The record of an item, with the gaps up to the last complete step.
        func record(_ item: Item) -> Statistics {
            var (gap, gapCount, last) = item.set
            for step in item.steps where step <= lastStep - lateness {
                if last >= 0 {
                    gapCount += 1
                    let weight = max(configuration.alpha, 1 / Double(gapCount))
                    gap = (1 - weight) * gap + weight * Double(step - last)
                }
                last = step
            }
            return Statistics(
                lastStep: max(item.set.step, item.steps.last ?? -1),
                gap: gap,
                count: item.count,
                gapCount: gapCount
            )
        }

        private func sketchEstimate(_ id: [UInt8], _ sketch: FrequencySketch) -> FrequencyEstimate {
            var totals = sketchTotals
            // Every observation is in one bucket of the first hash.
            var sum = ExactSum()
            for record in sketch.buckets[0..<sketch.layout.bucketCount] { sum.add(record, totals.decay) }
            totals.count = sum.total(in: totals.epoch)
            let record = id.withUnsafeBytes {
                sketch.record(of: sketch.layout.hash($0), through: totals.lastCompleteStep)
            }
            return SamplingFrequency.estimate(record, totals: totals, liveItems: embeddedCount)
        }

        func hashes(_ ids: PackedStrings) -> [UInt64] {
            StoreModel.strings(ids).map { id in id.withUnsafeBytes { sketch!.layout.hash($0) } }
        }

        mutating func sketchHit(at step: Int64, mayBeLate: Bool) -> Hit {
            let hit = sketchTotals.decay.hit(at: step)
            sketchTotals.note(hit, mayBeLate: mayBeLate)
            return hit
        }

        /// The count of an id after fading.
        func count(_ item: Item?) -> Double {
            guard let item else { return 0 }
            guard let halfLife = configuration.halfLife else { return item.count }
            return item.hits.reduce(0) { $0 + $1.count * exp2(Double($1.step - lastStep) / halfLife) }
        }

        var total: Double { items.values.reduce(0) { $0 + count($1) } }

        /// The ids of the bank of recent observations that can be drawn.
        var recent: [[UInt8]] {
            observed.suffix(configuration.recentCount).compactMap { $0 }.filter { items[$0]?.vector != nil }
        }
    }

    var collections: [String: ModelCollection] = [:]

    /// The outcome that the store should give for a write.
    enum Expected: Equatable {
        case done
        case deleted([Bool])
        /// With the statistics of the ids at that moment.
        case observed
        case failed(StoreError.Code)
    }

    mutating func apply(_ write: Write) -> Expected {
        switch write {
        case .create(let name, let configuration, let ifExists):
            if let known = collections[name] {
                return ifExists == .acceptEqual && known.configuration == configuration ? .done : .failed(.exists)
            }
            collections[name] = ModelCollection(configuration: configuration)
            return .done
        case .drop(let name):
            return collections.removeValue(forKey: name) == nil ? .failed(.noCollection) : .done
        case .createLike(let name, let like, let dimension, let metric, let ifExists):
            guard let configuration = collections[like]?.configuration else { return .failed(.noCollection) }
            return apply(
                .create(
                    name: name,
                    CollectionConfiguration(
                        dimension: dimension ?? configuration.dimension,
                        metric: metric ?? configuration.metric,
                        alpha: configuration.alpha,
                        halfLife: configuration.halfLife,
                        recentCount: configuration.recentCount,
                        sketch: configuration.sketch
                    ),
                    ifExists: ifExists
                )
            )
        case .swap(let first, let second, let statistics):
            guard let old = collections[first], var new = collections[second] else { return .failed(.noCollection) }
            if statistics == .stay {
                let (a, b) = (old.configuration, new.configuration)
                guard a.alpha == b.alpha, a.halfLife == b.halfLife, a.sketch == b.sketch else {
                    return .failed(.badRequest)
                }
                if first != second { new.takeStatistics(of: old) }
            }
            (collections[first], collections[second]) = (new, old)
            return .done
        case .setClock: preconditionFailure("the model has no clock to set")
        case .put(let name, _, _, _), .delete(let name, _), .setFeatures(let name, _, _),
            .mergeFeatures(let name, _, _), .observe(let name, _, _, _, _, _), .setFrequencies(let name, _, _, _, _):
            guard var collection = collections[name] else { return .failed(.noCollection) }
            defer { collections[name] = collection }
            let expected = Self.apply(write, to: &collection)
            if expected == .done, case .observe(_, _, _, _, returnsFrequencies: true, _) = write { return .observed }
            return expected
        case .replicate: preconditionFailure("the model has no journal")
        }
    }

    private static func apply(_ write: Write, to collection: inout ModelCollection) -> Expected {
        switch write {
        case .create, .createLike, .drop, .swap, .setClock, .replicate: preconditionFailure()
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
        case .mergeFeatures(_, let id, let patch):
            let present = collection.items[id]?.features
            collection.items[id, default: Item()].features = merged(present, patch)
        case .observe(_, let step, let sequence, let ids, _, _):
            if let sequence, sequence.number <= collection.sequences[sequence.producer] ?? 0 { return .done }
            let step = step.step ?? max(collection.lastStep, 0) + 1
            if let sequence { collection.sequences[sequence.producer] = sequence.number }
            collection.note(step, mayBeLate: true)
            if collection.sketch != nil {
                let hit = collection.sketchHit(at: step, mayBeLate: true)
                for hash in collection.hashes(ids) { collection.sketch!.observe(hash, hit) }
                return .done
            }
            for id in strings(ids) {
                hit(&collection.items[id, default: Item()], step)
                collection.items[id]!.hits.append(Item.Hits(step: step, count: 1))
                collection.observed.append(id)
            }
        case .setFrequencies(_, let step, let ids, let gaps, let counts):
            setFrequencies(&collection, step, ids, gaps, counts)
        }
        return .done
    }

    private static func setFrequencies(
        _ collection: inout ModelCollection,
        _ step: RequestedStep,
        _ ids: PackedStrings,
        _ gaps: [Double],
        _ counts: [Double]
    ) {
        let step = step.step ?? max(collection.lastStep, 0) + 1
        collection.note(step, mayBeLate: false)
        if collection.sketch != nil {
            let hit = collection.sketchHit(at: step, mayBeLate: false)
            for (index, hash) in collection.hashes(ids).enumerated() {
                let (gap, count) = (gaps[index], counts[index])
                collection.sketch!.set(hash, hit, gap: gap.isNaN ? nil : gap, count: count.isNaN ? nil : count)
            }
            return
        }
        for (index, id) in strings(ids).enumerated() {
            var item = collection.items[id, default: Item()]
            let last = max(item.set.step, item.steps.last ?? -1)
            if !gaps[index].isNaN || step > last {
                // All gaps so far are part of the gap, before it is set.
                var complete = collection
                (complete.lateness, complete.lastStep) = (0, .max)
                let record = complete.record(item)
                item.set = (record.gap, record.gapCount, max(last, step))
                item.steps = []
            }
            if !gaps[index].isNaN {
                item.set.gap = gaps[index]
                item.set.gapCount = max(item.set.gapCount, UInt32((1 / collection.configuration.alpha).rounded(.up)))
            }
            if !counts[index].isNaN {
                item.count = counts[index]
                item.hits = [Item.Hits(step: step, count: counts[index])]
            }
            collection.items[id] = item
        }
    }

    /// Merges flat objects without commas and colons in their strings.
    private static func merged(_ object: [UInt8]?, _ patch: [UInt8]) -> [UInt8] {
        func members(_ json: [UInt8]) -> [(key: String, value: String)] {
            String(decoding: json.dropFirst().dropLast(), as: UTF8.self).split(separator: ",").map { member in
                let parts = member.split(separator: ":")
                return (String(parts[0]), String(parts[1]))
            }
        }
        var merged = members(object ?? Array("{}".utf8))
        for (key, value) in members(patch) {
            if let index = merged.firstIndex(where: { $0.key == key }) {
                merged[index].value = value
            } else {
                merged.append((key, value))
            }
        }
        let present = merged.filter { $0.value != "null" }.map { "\($0.key):\($0.value)" }
        return Array("{\(present.joined(separator: ","))}".utf8)
    }

    /// A hit that is more than 64 steps late is only counted.
    private static func hit(_ item: inout Item, _ step: Int64) {
        item.count += 1
        let last = max(item.set.step, item.steps.last ?? -1)
        guard step > item.set.step, step >= last - 64, !item.steps.contains(step) else { return }
        item.steps.append(step)
        item.steps.sort()
    }

    static func strings(_ packed: PackedStrings) -> [[UInt8]] {
        (0..<packed.count).map { Array(packed[$0]) }
    }
}
