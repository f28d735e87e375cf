package import PackedStrings
package import VectorIndex

/// What a search looks for.
package struct TopKQuery: Sendable {
    package var vector: QueryVector
    /// The ranks to answer with, counted from 1 at the best: 1...k are the k best.
    package var ranks: ClosedRange<Int>
    /// Items that score less are left out, before ranks are counted.
    package var scoreMin: Double
    /// Ids that are left out, before ranks are counted. They need not exist.
    package var except: PackedStrings
    package var columns: TopKColumns
    /// When to give up; nil: never.
    package var deadline: ContinuousClock.Instant?

    package init(
        vector: QueryVector,
        ranks: ClosedRange<Int>,
        scoreMin: Double = -.infinity,
        except: PackedStrings = PackedStrings(),
        columns: TopKColumns = [],
        deadline: ContinuousClock.Instant? = nil
    ) {
        precondition(ranks.lowerBound > 0, "ranks begin at 1")
        self.vector = vector
        self.ranks = ranks
        self.scoreMin = scoreMin
        self.except = except
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

/// What an answer carries beside ids and scores.
package struct TopKColumns: OptionSet, Sendable {
    package let rawValue: Int

    package init(rawValue: Int) {
        self.rawValue = rawValue
    }

    package static let vector = TopKColumns(rawValue: 1)
    package static let logQ = TopKColumns(rawValue: 2)
    package static let features = TopKColumns(rawValue: 4)
}

/// The items of the ranks that were asked for, best first, ties by id. Columns that were not asked for are empty.
package struct TopKAnswer: Sendable {
    package var ids = PackedStrings()
    package var scores: [Double] = []
    /// count x dimension.
    package var vectors: [Float] = []
    package var logQ: [Double] = []
    package var features = Collection.FeatureColumn()
}

/// What became of a query: its answer, or the error `timeout`.
package typealias TopKOutcome = Result<TopKAnswer, StoreError>
