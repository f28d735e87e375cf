package import PackedStrings

/// Some rows of a reply as values, stored by column. A row has one value of each column.
///
/// It is for rows that exist as values before the reply is written. The rows of a lookup are written straight from the
/// store, with `RowEncoding.writeRow`.
package struct RowBlock: Sendable {
    package var count: Int
    package var columns: [Column]
    /// How RESP shapes the rows. In lines they are always rows.
    package var shape = Shape.rows

    package enum Shape: Sendable {
        /// An array with an element for each row.
        case rows
        /// A map from the texts of the first column to those of the second.
        case map
        /// One text of lines `name:value`.
        case properties
        /// This value, and no rows. Only for verbs that lines do not have.
        case value(ReplyValue)
    }

    package init(count: Int, _ columns: [Column]) {
        self.count = count
        self.columns = columns
    }

    /// The reply to a request that succeeded and has no rows.
    package static let empty = RowBlock(count: 0, [])

    /// A reply that has a value in place of rows. Only for verbs that lines do not have.
    package init(value: ReplyValue) {
        self.init(count: 0, [])
        shape = .value(value)
    }

    /// One row as a block of its own.
    package func row(_ index: Int) -> RowBlock {
        RowBlock(count: 1, columns.map { Column($0.values.row(index), label: $0.label) })
    }
}

/// A value of RESP that is no table. In RESP2 a map is an array of names and values.
package indirect enum ReplyValue: Sendable {
    /// A word of the protocol, such as `PONG`.
    case status(StaticString)
    case text(String)
    case bytes([UInt8])
    case integer(Int64)
    case list([ReplyValue])
    case map([(name: String, value: ReplyValue)])
    case null
}

/// One value for each row, all of one kind. A column with a label is written `label=value`.
package struct Column: Sendable {
    package var label: StaticString?
    package var values: Values

    package init(_ values: Values, label: StaticString? = nil) {
        self.values = values
        self.label = label
    }

    package enum Values: Sendable {
        case ids(PackedStrings)
        /// The vectors, one after another, of the rows that have one. `isPresent` is nil if all rows have one.
        case vectors([Float], dimension: Int, isPresent: [Bool]? = nil)
        /// NaN is written `-`.
        case numbers([Double])
        /// A negative integer is written `-`.
        case integers([Int64])
        /// JSON. It extends to the end of the row, so it must be the last column. `isPresent` is nil if all rows have
        /// an object.
        case json(PackedStrings, isPresent: [Bool]? = nil)
        /// One word, or in the last column any text up to the end of the row.
        case texts([String])
    }
}

extension Column.Values {
    /// The value of one row.
    fileprivate func row(_ index: Int) -> Column.Values {
        switch self {
        case .ids(let ids): return .ids(PackedStrings([ids[index]]))
        case .vectors(let values, let dimension, let isPresent):
            let place = isPresent.map { $0[..<index].count { $0 } } ?? index
            let isMissing = isPresent.map { !$0[index] } ?? false
            let vector = isMissing ? [] : Array(values[place * dimension..<(place + 1) * dimension])
            return .vectors(vector, dimension: dimension, isPresent: isPresent.map { [$0[index]] })
        case .numbers(let numbers): return .numbers([numbers[index]])
        case .integers(let integers): return .integers([integers[index]])
        case .json(let objects, let isPresent):
            return .json(PackedStrings([objects[index]]), isPresent: isPresent.map { [$0[index]] })
        case .texts(let texts): return .texts([texts[index]])
        }
    }
}
