package import PackedStrings

/// A SAMPLE request: draws negatives.
package struct SampleQuery: Sendable {
    /// The distribution from which items are drawn. q is the probability of an item in one draw.
    package enum Distribution: Sendable, Equatable {
        /// All items with an embedding are equally likely: q = 1/M.
        case uniform
        /// Items with an embedding and a count: q ∝ count^power, with a power from 0 to 1.
        case frequency(power: Double)
        /// By frequency with probability B/(B + B′), otherwise uniform: q = (B·q_frequency + B′/M)/(B + B′). B is
        /// `inBatch`, B′ is `uniform`.
        case mixed(power: Double, inBatch: Double, uniform: Double)
        /// From the bank of recent observations. Only observations of items with an embedding count: q = occurrences /
        /// such observations.
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
    /// The number of draws. With `isUnique`, the number of different items.
    package var count: Int
    /// Whether all drawn items must be different. If 100 × `count` tries are not enough, the answer has fewer rows.
    package var isUnique: Bool
    /// Ids that must not be drawn. They need not exist.
    package var except: PackedStrings
    /// The same seed, rows, counts and bank give the same draws. Nil: the system chooses a seed.
    package var seed: UInt64?
    package var columns: ItemColumns
    /// The most bytes of features in the answer. A draw with more of them fails with `limit`.
    package var featureBytesMax: Int

    package init(
        _ distribution: Distribution,
        count: Int,
        isUnique: Bool = false,
        except: PackedStrings = PackedStrings(),
        seed: UInt64? = nil,
        columns: ItemColumns = [],
        featureBytesMax: Int = 1 << 30
    ) {
        self.distribution = distribution
        self.count = count
        self.isUnique = isUnique
        self.except = except
        self.seed = seed
        self.columns = columns
        self.featureBytesMax = featureBytesMax
    }
}

/// The drawn items, in the order of the draws.
package struct SampleAnswer: Sendable {
    package var ids = PackedStrings()
    /// The probability that one draw hits the id.
    package var q: [Double] = []
    /// The expected number of times that the request draws the id.
    package var expected: [Double] = []
    /// The embeddings, one after another; empty unless requested.
    package var vectors: [Float] = []
    /// ln q as `LOGQ` answers it, with q from the id's count; empty unless requested.
    package var logQ: [Double] = []
    package var features = Collection.FeatureColumn()

    package init() {}
}
