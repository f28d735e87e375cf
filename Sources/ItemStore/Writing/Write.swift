package import PackedStrings
import SamplingFrequency
package import VectorIndex

/// A change that a client requests. It is atomic and durable: it happens wholly or not at all, and is on disk before
/// its outcome is reported. The caller has checked syntax and wire limits. The store checks everything that depends on
/// its state.
package enum Write: Sendable {
    case create(name: String, CollectionConfiguration, ifExists: IfExists = .refuse)
    /// Creates a collection with the configuration of the collection `like`. Nil keeps its dimension or metric.
    case createLike(name: String, like: String, dimension: Int?, metric: Metric?, ifExists: IfExists = .refuse)
    case drop(name: String)
    /// Two collections exchange their names.
    case swap(String, String, SwappedStatistics = .move)
    /// Sets the embedding of an id, which may be new. Without `features`, the features of the item stay.
    case put(collection: String, id: [UInt8], vector: [Float], features: [UInt8]?)
    /// Removes each id with its embedding, features and statistics. (The buckets of a sketch do not change.)
    case delete(collection: String, ids: PackedStrings)
    /// Sets the features of an id, which may be new. `json` is stored unchanged.
    case setFeatures(collection: String, id: [UInt8], json: [UInt8])
    /// Merges an object into the features of an id, which may be new (`JSONText.merged`). The features that earlier
    /// writes set, durable or not, are what it is merged into. Fails with `limit` if the result is too long.
    case mergeFeatures(collection: String, id: [UInt8], patch: [UInt8])
    /// These ids were in the batch of this step. With `returnsFrequencies`, the outcome has their statistics right
    /// after this write. With `skipsWhenFull`, new ids are left out if there is no room for them all, and the outcome
    /// is otherwise `counted`.
    case observe(
        collection: String,
        step: RequestedStep,
        sequence: ProducerSequence?,
        ids: PackedStrings,
        returnsFrequencies: Bool = false,
        skipsWhenFull: Bool = false
    )
    /// Sets a trainer's own estimates: the ids were last seen at this step. NaN leaves a gap or count unchanged.
    case setFrequencies(
        collection: String,
        step: RequestedStep,
        ids: PackedStrings,
        gaps: [Double],
        counts: [Double]
    )
    /// Sets the last step of the collection, to undo a mistake. Counts and closed gaps stay. An id that was seen later
    /// counts as seen at this step.
    case setClock(collection: String, step: Int64)
    /// Applies the operations of a group of another store, in the bytes of its journal, and sets the position in the
    /// log of that store. All of it is one group of this store.
    case replicate(operations: [UInt8], source: SourcePosition?)

    /// What `create` does if there is a collection of that name.
    package enum IfExists: Sendable {
        case refuse
        /// Leaves it as it is if it has the same configuration, and refuses the write otherwise.
        case acceptEqual
        /// The same, for a sketch with any seed.
        case acceptEqualWithAnySeed
    }

    /// What a `swap` does with statistics, runs and producers.
    package enum SwappedStatistics: String, CaseIterable, Sendable {
        /// Each collection keeps its own.
        case move
        /// The first name keeps them: the collection that gets this name takes over those of the other, which keeps
        /// them too.
        case stay
    }

    /// Whether the write is committed while it is judged, in a group of its own.
    var hasOwnGroup: Bool {
        switch self {
        case .create, .createLike, .drop, .swap, .setClock, .replicate: true
        case .put, .delete, .setFeatures, .mergeFeatures, .observe, .setFrequencies: false
        }
    }

    /// About how many bytes of memory the write holds while it waits.
    var byteCount: Int {
        let overhead = 96
        switch self {
        case .create, .createLike, .drop, .swap, .setClock: return overhead
        case .put(_, let id, let vector, let features):
            return overhead + id.count + vector.count * 4 + (features?.count ?? 0)
        case .delete(_, let ids): return overhead + ids.byteCount + ids.count * 4
        case .setFeatures(_, let id, let json), .mergeFeatures(_, let id, let json):
            return overhead + id.count + json.count
        case .observe(_, _, _, let ids, let returnsFrequencies, _):
            let record = returnsFrequencies ? MemoryLayout<Statistics>.stride : 0
            return overhead + ids.byteCount + ids.count * (4 + record)
        case .setFrequencies(_, _, let ids, _, _): return overhead + ids.byteCount + ids.count * 20
        case .replicate(let operations, _): return overhead + operations.count
        }
    }
}

/// A step as a trainer sends it.
package struct RequestedStep: Sendable, Equatable, ExpressibleByNilLiteral, ExpressibleByIntegerLiteral {
    /// Nil: the step after the last one of the collection.
    package let step: Int64?
    /// Empty: the run of the writes that name none.
    package let run: String
    /// Whether the step is meant, however late or far ahead it is.
    package let isJump: Bool

    package init(_ step: Int64?, run: String = "", isJump: Bool = false) {
        self.step = step
        self.run = run
        self.isJump = isJump
    }

    package init(nilLiteral: ()) { self.init(nil) }

    package init(integerLiteral step: Int64) { self.init(step) }
}

/// The number of a write of a producer that numbers its writes. If the number is not above the producer's last one in
/// the same run, the write is a retry: it is acknowledged, but not applied again.
package struct ProducerSequence: Sendable, Equatable {
    package let producer: String
    package let number: Int64

    package init(producer: String, number: Int64) {
        self.producer = producer
        self.number = number
    }
}

package enum WriteOutcome: Sendable, Equatable {
    case done
    /// For each id of a `delete`: whether it existed.
    case deleted([Bool])
    /// For each id of an `observe` with `returnsFrequencies`: its statistics right after this write and before any
    /// later one.
    case observed(FrequencySnapshot)
    /// The ids of an `observe` with `skipsWhenFull` that were not counted, because they found no room.
    case counted(except: PackedStrings)
    case failed(StoreError)
}

/// Writes that are submitted together. They are judged in order, but may be in different groups. Their outcomes are
/// reported together.
package final class WriteBatch: Sendable {
    let writes: [Write]
    let byteCount: Int
    /// Called once, on the store's thread, with an outcome for each write, in order. It must be quick and must not
    /// block.
    let completion: @Sendable ([WriteOutcome]) -> Void

    package init(_ writes: [Write], completion: @escaping @Sendable ([WriteOutcome]) -> Void) {
        self.writes = writes
        self.byteCount = writes.reduce(0) { $0 + $1.byteCount }
        self.completion = completion
    }
}
