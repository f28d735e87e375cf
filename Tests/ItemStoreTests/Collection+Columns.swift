import PackedStrings
import SamplingFrequency

@testable import ItemStore

/// What a collection has of ids, as columns that a test can compare.
extension Collection {
    struct EmbeddingColumn {
        /// Only those that exist, one after another.
        var values: [Float] = []
        var isPresent: [Bool] = []
    }

    func embeddings(of ids: PackedStrings, _ range: Range<Int>) -> EmbeddingColumn {
        var column = EmbeddingColumn()
        forEachEmbedding(of: ids, range) { _, vector in
            column.values += vector.map(Array.init) ?? []
            column.isPresent.append(vector != nil)
        }
        return column
    }

    func features(of ids: PackedStrings, _ range: Range<Int>) -> FeatureColumn {
        var column = FeatureColumn()
        forEachFeatures(of: ids, range) { _, json in column.append(json) }
        return column
    }

    func frequencies(of ids: PackedStrings, _ range: Range<Int>) -> [FrequencyEstimate] {
        var estimates: [FrequencyEstimate] = []
        forEachEstimate(of: ids, range) { _, estimate in estimates.append(estimate) }
        return estimates
    }
}

extension FrequencySnapshot {
    func estimates(_ range: Range<Int>) -> [FrequencyEstimate] { range.map(estimate) }
}
