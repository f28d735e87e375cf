/// The rows that belong to no id. The one that was freed last is handed out first.
///
/// They form a list through the rows themselves: the stamp of a free row is the number of the next one. So deletions
/// take no memory, and what was full has room again for as many ids as were deleted.
struct FreeRows {
    fileprivate static let end = UInt32.max

    /// The row that is handed out next.
    fileprivate(set) var first: UInt32?
    fileprivate(set) var count = 0
}

/// Store thread only.
extension Collection {
    func pushFreeRow(_ row: UInt32) {
        reuse(of: row).pointee.stamp = owner.freeRows.first ?? FreeRows.end
        owner.freeRows.first = row
        owner.freeRows.count += 1
    }

    func popFreeRow() -> UInt32? {
        guard let row = owner.freeRows.first else { return nil }
        owner.freeRows.first = freeRow(after: row)
        owner.freeRows.count -= 1
        return row
    }

    /// Takes a row out of the list, wherever it is. The cost grows with the number of rows that were freed after it.
    func takeFreeRow(_ row: UInt32) {
        guard owner.freeRows.first != row else {
            _ = popFreeRow()
            return
        }
        var next = owner.freeRows.first
        while let previous = next {
            next = freeRow(after: previous)
            guard next == row else { continue }
            reuse(of: previous).pointee.stamp = reuse(of: row).pointee.stamp
            owner.freeRows.count -= 1
            return
        }
    }

    private func freeRow(after row: UInt32) -> UInt32? {
        let next = reuse(of: row).pointee.stamp
        return next == FreeRows.end ? nil : next
    }
}
