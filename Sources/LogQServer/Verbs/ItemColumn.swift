import ItemStore
import PackedStrings
import WireProtocol

/// A column that `TOPK` and `SAMPLE` add to their rows on request (`with=`).
///
/// This file has the one definition of these columns: words, order in a row, data from the engine, longest text, and
/// values.
enum ItemColumn: String, CaseIterable, Sendable {
    case rank
    case vector
    case logQ = "logq"
    case features

    /// The data that the engine must return for this column. It always returns ranks.
    var engineColumns: ItemColumns {
        switch self {
        case .rank: []
        case .vector: .vector
        case .logQ: .logQ
        case .features: .features
        }
    }

    /// The most bytes of text that the column adds to a row. 0 for log q, which is in the constants of the verbs.
    func textBytesMax(in collection: Collection) -> Int {
        switch self {
        case .rank: 20
        case .vector: collection.configuration.dimension * 17
        case .logQ: 0
        case .features: collection.longestFeatures
        }
    }
}

/// The columns of one request, in the order of a row.
struct SelectedColumns: Sendable {
    private let columns: [ItemColumn]
    private let dimension: Int
    /// The most bytes of text that the columns add to a row.
    let textBytesMax: Int

    /// `columns` must have the order of `ItemColumn.allCases`.
    init(_ columns: [ItemColumn], of collection: Collection) {
        self.columns = columns
        dimension = collection.configuration.dimension
        textBytesMax = columns.reduce(0) { $0 + $1.textBytesMax(in: collection) }
    }

    func contains(_ column: ItemColumn) -> Bool { columns.contains(column) }

    var engineColumns: ItemColumns {
        columns.reduce(into: []) { $0.formUnion($1.engineColumns) }
    }

    /// One row for each item: its id, the numbers of the verb, and the selected columns.
    func rows(of items: some ItemAnswer, numbers: [Double]...) -> RowBlock {
        var block = RowBlock(count: items.ids.count, [Column(.ids(items.ids))])
        block.columns += numbers.map { Column(.numbers($0)) }
        block.columns += columns.map { Column(values($0, of: items)) }
        return block
    }

    private func values(_ column: ItemColumn, of items: some ItemAnswer) -> Column.Values {
        switch column {
        case .rank: .integers(items.ranks.map { Int64($0) })
        case .vector: .vectors(items.vectors, dimension: dimension)
        case .logQ: .numbers(items.logQ)
        case .features: .json(items.features.json, isPresent: items.features.isPresent)
        }
    }
}

/// The values that the answers of `TOPK` and `SAMPLE` have in common.
protocol ItemAnswer {
    var ids: PackedStrings { get }
    var ranks: [Int] { get }
    var vectors: [Float] { get }
    var logQ: [Double] { get }
    var features: Collection.FeatureColumn { get }
}

extension TopKAnswer: ItemAnswer {}

extension SampleAnswer: ItemAnswer {
    /// Empty, because draws have no ranks. `SAMPLE` does not offer the column.
    var ranks: [Int] { [] }
}
