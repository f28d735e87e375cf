package import PackedStrings
package import VectorIndex

/// What a search looks for.
package struct TopKQuery: Sendable {
    package var vector: QueryVector
    /// λ: λ·ln q is taken off each score, q as `LOGQ` answers it. All that is said of scores below is about what is left.
    package var strength: Double
    /// The ranks to answer with, counted from 1 at the best: 1...k are the k best.
    package var ranks: ClosedRange<Int>
    /// Items that score less are left out, before ranks are counted.
    package var scoreMin: Double
    /// Ids that are left out, before ranks are counted. They need not exist.
    package var except: PackedStrings
    /// Which items of these ranks are too near to be taken; nil: none.
    package var margin: TopKMargin?
    /// How many of the items that are left are answered, and which; nil: all.
    package var sample: TopKSample?
    package var columns: TopKColumns
    /// When to give up; nil: never.
    package var deadline: ContinuousClock.Instant?

    package init(
        vector: QueryVector,
        strength: Double = 0,
        ranks: ClosedRange<Int>,
        scoreMin: Double = -.infinity,
        except: PackedStrings = PackedStrings(),
        margin: TopKMargin? = nil,
        sample: TopKSample? = nil,
        columns: TopKColumns = [],
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
        self.deadline = deadline
    }

    /// The `k` best items.
    package init(vector: QueryVector, k: Int, except: PackedStrings = PackedStrings(), columns: TopKColumns = []) {
        self.init(vector: vector, ranks: 1...max(1, k), except: except, columns: columns)
    }

    /// What a search keeps at most while it runs, in bytes: all ranks up to the last one, not just those of the answer.
    package func selectionByteCount(in collection: Collection) -> Int {
        var byteCount = 300
        if columns.contains(.vector) { byteCount += collection.configuration.dimension * MemoryLayout<Float>.size }
        // Features fit a page, or the store would not have taken them.
        if columns.contains(.features) { byteCount += 4_096 }
        return min(ranks.upperBound, collection.itemCount) * byteCount
    }
}

/// A distance to keep from items that are known to be right: what scores above the lowest of them, less `width`, may be
/// right too, only nobody has said so. Such items count when ranks are counted, and are dropped then.
package struct TopKMargin: Sendable {
    /// One of them at least must have an embedding. They are not left out unless `except` names them.
    package var positives: PackedStrings
    package var width: Double

    package init(positives: PackedStrings, width: Double) {
        precondition(width >= 0, "got a margin of \(width), expected 0 or more")
        self.positives = positives
        self.width = width
    }
}

/// Some of the items that were found.
package struct TopKSample: Sendable {
    package enum Strategy: Sendable, Equatable {
        /// The best.
        case top
        /// Each as likely as the next, none twice. The same seed and the same items give the same sample; nil: a seed of
        /// the system's.
        case random(seed: UInt64?)
    }

    /// There are fewer where fewer were found.
    package var count: Int
    package var strategy: Strategy

    package init(count: Int, strategy: Strategy = .top) {
        precondition(count > 0, "got a sample of \(count), expected 1 or more")
        self.count = count
        self.strategy = strategy
    }
}

/// What an answer carries beside ids, scores and ranks.
package struct TopKColumns: OptionSet, Sendable {
    package let rawValue: Int

    package init(rawValue: Int) {
        self.rawValue = rawValue
    }

    package static let vector = TopKColumns(rawValue: 1)
    package static let logQ = TopKColumns(rawValue: 2)
    package static let features = TopKColumns(rawValue: 4)
}

/// The items of the ranks that were asked for, or what margin and sample left of them, best first, ties by id. Columns
/// that were not asked for are empty.
package struct TopKAnswer: Sendable {
    package var ids = PackedStrings()
    package var scores: [Double] = []
    /// Counted from 1.
    package var ranks: [Int] = []
    /// count x dimension.
    package var vectors: [Float] = []
    package var logQ: [Double] = []
    package var features = Collection.FeatureColumn()
}

/// What became of a query: its answer, or the error `timeout`, or `noItem` where none of the positives of its margin has
/// an embedding.
package typealias TopKOutcome = Result<TopKAnswer, StoreError>
