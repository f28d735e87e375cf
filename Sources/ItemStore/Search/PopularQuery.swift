package import PackedStrings

/// A POPULAR request: a page of the ids with a row, in the order of their counts.
package struct PopularQuery: Sendable {
    /// A place in the order of ids: the highest count first, ties by id, bytewise.
    package struct Place: Sendable, Equatable {
        package let id: [UInt8]
        /// The count of the id, as of `step`.
        package let count: Double
        /// Nil if the collection had no step yet.
        package let step: Int64?

        package init(id: [UInt8], count: Double, step: Int64?) {
            self.id = id
            self.count = count
            self.step = step
        }

        /// Whether an id with this count, as of the same step, comes after this place.
        func precedes(_ id: UnsafeRawBufferPointer, count: Double) -> Bool {
            count < self.count || (count == self.count && self.id.lexicographicallyPrecedes(id))
        }
    }

    /// The most ids of the page.
    package var count: Int
    /// The last row of the page before; nil for the first page.
    package var after: Place?
    /// When the query ends with the error `timeout`; nil means never.
    package var deadline: ContinuousClock.Instant?

    package init(count: Int, after: Place? = nil, deadline: ContinuousClock.Instant? = nil) {
        precondition(count > 0, "got a page of \(count) ids, expected 1 or more")
        self.count = count
        self.after = after
        self.deadline = deadline
    }

    /// The most bytes that the selection of this query takes.
    package func selectionByteCount(in collection: Collection) -> Int {
        min(count, collection.idCount) * 300
    }
}

/// A page of ids: the highest count first, ties by id, bytewise. Only the last page has fewer ids than requested.
package struct PopularAnswer: Sendable {
    package var ids = PackedStrings()
    /// The counts of the ids as of `step`, each as in `FrequencyEstimate`.
    package var counts: [Double] = []
    /// The last step of the collection when the first page was made; nil if there was none.
    package var step: Int64?
}
