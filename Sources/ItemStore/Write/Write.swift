package import PackedStrings
import SamplingFrequency

/// One change, as a client asks for it. Each is atomic and durable: all of it or none, and on disk before its outcome
/// is told. Syntax and wire limits were checked before; what depends on the state of the store is checked here.
package enum Write: Sendable {
    case create(name: String, CollectionConfiguration)
    case drop(name: String)
    /// Two collections exchange their names.
    case swap(String, String)
    /// Upserts an embedding. Without `features` the features of the item stay.
    case put(collection: String, id: [UInt8], vector: [Float], features: [UInt8]?)
    /// Embedding, features and statistics of each id go.
    case delete(collection: String, ids: PackedStrings)
    /// Replaces the features of an id; `json` is stored as it is.
    case setFeatures(collection: String, id: [UInt8], json: [UInt8])
    /// These ids were in the batch of this step; nil is the last step plus one. With `returnsFrequencies` the outcome tells
    /// what is known of them then.
    case observe(
        collection: String,
        step: Int64?,
        sequence: WriterSequence?,
        ids: PackedStrings,
        returnsFrequencies: Bool = false
    )
    /// A trainer's own estimates: the ids were last seen at `step`. NaN leaves a field as it is.
    case setFrequencies(collection: String, step: Int64?, ids: PackedStrings, gaps: [Double], counts: [Double])

    /// `create`, `drop` and `swap` have commits of their own.
    var isJournalled: Bool {
        switch self {
        case .create, .drop, .swap: false
        case .put, .delete, .setFeatures, .observe, .setFrequencies: true
        }
    }

    /// About how much memory the write holds while it waits.
    var byteCount: Int {
        let overhead = 96
        switch self {
        case .create, .drop, .swap: return overhead
        case .put(_, let id, let vector, let features):
            return overhead + id.count + vector.count * 4 + (features?.count ?? 0)
        case .delete(_, let ids): return overhead + ids.byteCount + ids.count * 4
        case .setFeatures(_, let id, let json): return overhead + id.count + json.count
        case .observe(_, _, _, let ids, let returnsFrequencies):
            let record = returnsFrequencies ? MemoryLayout<FrequencyRecord>.stride : 0
            return overhead + ids.byteCount + ids.count * (4 + record)
        case .setFrequencies(_, _, let ids, _, _): return overhead + ids.byteCount + ids.count * 20
        }
    }
}

/// The n-th write of a writer that numbers its own: a number that is not above the writer's last is a retry and is
/// acknowledged without being applied.
package struct WriterSequence: Sendable, Equatable {
    package let writer: String
    package let number: Int64

    package init(writer: String, number: Int64) {
        self.writer = writer
        self.number = number
    }
}

package enum WriteOutcome: Sendable, Equatable {
    case done
    /// For each id of a `delete`, whether there was anything of it.
    case deleted([Bool])
    /// For each id of an `observe` that asked, what was known when it had been applied, and nothing after it.
    case observed(FrequencySnapshot)
    case failed(StoreError)
}

/// Writes that were sent together. They are judged in order, they may end in different group commits, and their
/// outcomes come back together.
package final class WriteBatch: Sendable {
    let writes: [Write]
    let byteCount: Int
    /// Called once, on the writer thread, with an outcome for each write, in order. Must be quick and must not block.
    let completion: @Sendable ([WriteOutcome]) -> Void

    package init(_ writes: [Write], completion: @escaping @Sendable ([WriteOutcome]) -> Void) {
        self.writes = writes
        self.byteCount = writes.reduce(0) { $0 + $1.byteCount }
        self.completion = completion
    }
}
