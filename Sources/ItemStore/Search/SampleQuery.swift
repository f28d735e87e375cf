package import PackedStrings

/// Which negatives to draw, and how.
package struct SampleQuery: Sendable {
    /// What makes an item likely.
    package enum Distribution: Sendable, Equatable {
        /// Every item with an embedding alike: q = 1/M.
        case uniform
        /// Items with an embedding and a count: q ∝ count^power. `power`: 0 to 1.
        case frequency(power: Double)
        /// A draw is by frequency with probability B/(B + B′), else uniform: q = (B·q_frequency + B′/M)/(B + B′).
        case mixed(power: Double, inBatch: Double, uniform: Double)
        /// From the bank of recent observations: q = occurrences / entries, of items with an embedding.
        case recent

        var name: String {
            switch self {
            case .uniform: "uniform"
            case .frequency: "frequency"
            case .mixed: "mixed"
            case .recent: "recent"
            }
        }
    }

    package var distribution: Distribution
    /// How many draws; with `isUnique` how many different items.
    package var count: Int
    /// No item twice. Tries at most 100 times `count`, then there are fewer rows.
    package var isUnique: Bool
    /// Ids that can't be drawn. They need not exist.
    package var except: PackedStrings
    /// The same seed and the same rows, counts and bank give the same draw; nil: a seed of the system's.
    package var seed: UInt64?
    package var columns: TopKColumns

    package init(
        _ distribution: Distribution,
        count: Int,
        isUnique: Bool = false,
        except: PackedStrings = PackedStrings(),
        seed: UInt64? = nil,
        columns: TopKColumns = []
    ) {
        self.distribution = distribution
        self.count = count
        self.isUnique = isUnique
        self.except = except
        self.seed = seed
        self.columns = columns
    }
}

/// What was drawn, in the order of the draws.
package struct SampleAnswer: Sendable {
    package var ids = PackedStrings()
    /// The probability of the id in one draw, over all that could be drawn.
    package var q: [Double] = []
    /// The expected number of times the id is among what was drawn.
    package var expected: [Double] = []
    /// Embeddings one after another; empty unless asked for.
    package var vectors: [Float] = []
    /// ln(count / C), what `LOGQ` answers; empty unless asked for.
    package var logQ: [Double] = []
    package var features = Collection.FeatureColumn()

    package init() {}
}
