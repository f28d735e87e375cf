package import PackedStrings

/// An answer as values, not as text: how it is spelled is the business of the writer.
package enum Reply: Sendable {
    case rows(RowBlock)
    case failure(WireError)

    /// `OK 0`
    package static let done = Reply.rows(RowBlock(count: 0, []))
}

/// Some rows of a reply, by columns: a row takes one value of each.
///
/// Columns, because that is how the store answers thousands of ids, and because a list of small values then costs one
/// allocation instead of one a row.
package struct RowBlock: Sendable {
    package var count: Int
    package var columns: [Column]

    package init(count: Int, _ columns: [Column]) {
        self.count = count
        self.columns = columns
    }
}

/// One value a row, all of a kind; with a label they are written `label=value`.
package struct Column: Sendable {
    package var label: StaticString?
    package var values: Values

    package init(_ values: Values, label: StaticString? = nil) {
        self.values = values
        self.label = label
    }

    package enum Values: Sendable {
        /// Ids, beginning with the one at `from`.
        case ids(PackedStrings, from: Int = 0)
        /// The vectors of those rows that have one, one after another. Nil: all have.
        case vectors([Float], dimension: Int, isPresent: [Bool]? = nil)
        /// NaN stands for a number that is not there.
        case numbers([Double])
        /// Negative stands for an integer that is not there.
        case integers([Int64])
        case flags([Bool])
        /// Places in a list of words.
        case choices([UInt8], among: [StaticString])
        /// JSON, beginning with the one at `from`. It runs to the end of the line: the last column. Nil: all rows have.
        case json(PackedStrings, isPresent: [Bool]? = nil)
        /// A text to the end of the line, or one word.
        case texts([String])
    }
}
