package import PackedStrings
package import VectorIndex

/// A TOPK request.
package struct TopKQuery: Sendable {
    package var vector: QueryVector
    /// λ: λ·ln q is subtracted from each score, with q as `LOGQ` answers it. All other fields refer to scores after
    /// this correction.
    package var strength: Double
    /// The ranks in the answer. The best item has rank 1, so 1...k are the k best.
    package var ranks: ClosedRange<Int>
    /// Items with a lower score get no rank.
    package var scoreMin: Double
    /// Ids that get no rank. They need not exist.
    package var except: PackedStrings
    /// Drops items of these ranks with a score too near to the positives; nil drops none.
    package var margin: TopKMargin?
    /// Chooses among the remaining items; nil answers all.
    package var sample: TopKSample?
    package var columns: ItemColumns
    /// The most bytes of features in the answer. A search with more of them fails with `limit`.
    package var featureBytesMax: Int
    /// When the search ends with the error `timeout`; nil means never.
    package var deadline: ContinuousClock.Instant?

    package init(
        vector: QueryVector,
        strength: Double = 0,
        ranks: ClosedRange<Int>,
        scoreMin: Double = -.infinity,
        except: PackedStrings = PackedStrings(),
        margin: TopKMargin? = nil,
        sample: TopKSample? = nil,
        columns: ItemColumns = [],
        featureBytesMax: Int = 1 << 30,
        deadline: ContinuousClock.Instant? = nil
    ) {
        precondition(ranks.lowerBound > 0, "ranks begin at 1")
        precondition(strength.magnitude <= 1_000, "got a strength of \(strength), expected -1,000 to 1,000")
        self.vector = vector
        self.strength = strength
        self.ranks = ranks
        self.scoreMin = scoreMin
        self.except = except
        self.margin = margin
        self.sample = sample
        self.columns = columns
        self.featureBytesMax = featureBytesMax
        self.deadline = deadline
    }

    /// The `k` best items.
    package init(vector: QueryVector, k: Int, except: PackedStrings = PackedStrings(), columns: ItemColumns = []) {
        self.init(vector: vector, ranks: 1...max(1, k), except: except, columns: columns)
    }

    /// The most bytes that the selection of this query takes. It has all ranks up to the last one, not only those of
    /// the answer.
    package func selectionByteCount(in collection: Collection) -> Int {
        let summary = collection.summary
        var byteCount = 300
        if columns.contains(.vector) { byteCount += collection.configuration.dimension * MemoryLayout<Float>.size }
        if columns.contains(.features) { byteCount += summary.longestFeatures }
        return min(ranks.upperBound, summary.itemCount) * byteCount
    }
}

/// A distance in score from the *positives*, items that are known to be right. An item that scores above (lowest score
/// of a positive) − `width` may be right too, although it has no label. Such items are dropped from the answer, but
/// keep their ranks.
package struct TopKMargin: Sendable {
    /// At least one must have an embedding. Positives also get ranks, unless they are in `except`.
    package var positives: PackedStrings
    package var width: Double

    package init(positives: PackedStrings, width: Double) {
        precondition(width >= 0, "got a margin of \(width), expected 0 or more")
        self.positives = positives
        self.width = width
    }
}

/// A choice among the items that a search found.
package struct TopKSample: Sendable {
    package enum Strategy: Sendable, Equatable {
        /// The best.
        case top
        /// A random sample without repetition; all items are equally likely. The same seed and items give the same
        /// sample. Nil: the system chooses a seed.
        case random(seed: UInt64?)
    }

    /// The size of the sample. The answer has fewer items if fewer were found.
    package var count: Int
    package var strategy: Strategy

    package init(count: Int, strategy: Strategy = .top) {
        precondition(count > 0, "got a sample of \(count), expected 1 or more")
        self.count = count
        self.strategy = strategy
    }
}

/// The columns of an answer besides ids, scores and ranks.
package struct ItemColumns: OptionSet, Sendable {
    package let rawValue: Int

    package init(rawValue: Int) {
        self.rawValue = rawValue
    }

    package static let vector = ItemColumns(rawValue: 1)
    package static let logQ = ItemColumns(rawValue: 2)
    package static let features = ItemColumns(rawValue: 4)
}

/// The items of the requested ranks that remain after margin and sample: best first, ties by id. A column that was not
/// requested is empty.
package struct TopKAnswer: Sendable {
    package var ids = PackedStrings()
    package var scores: [Double] = []
    /// Counted from 1.
    package var ranks: [Int] = []
    /// count × dimension.
    package var vectors: [Float] = []
    package var logQ: [Double] = []
    package var features = Collection.FeatureColumn()
}

/// The outcome of a query. The errors are `timeout`, and `noItem` if no positive of its margin has an embedding.
package typealias TopKOutcome = Result<TopKAnswer, StoreError>
