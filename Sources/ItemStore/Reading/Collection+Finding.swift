import PackedStrings
import SystemSupport

/// Finding the rows of ids.
///
/// A collection is larger than any cache, so the lookup of an id has three cache misses, one after another: the table's
/// entry, the id, and the row's data. Looking up ids one by one would wait for each miss. So the entry is prefetched
/// two batches ahead, and the id and the row's data one batch ahead. For thousands of ids this is four times as fast.
/// A few ids are not worth it.
extension Collection {
    /// The size of such a batch: about the number of cache misses that a core can wait for at once.
    static let lookahead = 16

    /// Calls `body` with each id and its hash. `prefetchRow` gets the probable rows of the next ids. They are not
    /// locked, so it must only prefetch. `isOwner`: the caller is the store's thread, which needs no locks.
    @inline(__always)
    func forEachID(
        of ids: PackedStrings,
        _ range: Range<Int>,
        byOwner isOwner: Bool = false,
        prefetchRow: (UnsafeMutablePointer<ItemChunk>, Int) -> Void = { _, _ in },
        _ body: (UnsafeRawBufferPointer, IdentifierTable.Hash) -> Void
    ) {
        let batch = Self.lookahead
        ids.withAllBytes { bytes in
            guard range.count > Self.lookahead / 4 else {
                for index in range {
                    let id = UnsafeRawBufferPointer(rebasing: bytes[ids.range(index)])
                    body(id, IdentifierTable.Hash(id))
                }
                return
            }
            // A ring buffer with the hashes of the ids in progress.
            withUnsafeTemporaryAllocation(of: IdentifierTable.Hash.self, capacity: 4 * batch) { hashes in
                for index in range.lowerBound..<range.upperBound + 2 * batch {
                    if index < range.upperBound {
                        let hash = IdentifierTable.Hash(UnsafeRawBufferPointer(rebasing: bytes[ids.range(index)]))
                        hashes.initializeElement(at: index % (4 * batch), to: hash)
                        if isOwner { identifiers.ownersPrefetch(hash) } else { identifiers.prefetch(hash) }
                    }
                    let second = index - batch
                    if range.contains(second) {
                        let hash = hashes[second % (4 * batch)]
                        let row =
                            isOwner
                            ? identifiers.ownersFirstMatch(hash) { $0 } : identifiers.firstMatch(hash) { $0 }
                        if let row { prefetchIdentifier(of: row, prefetchRow) }
                    }
                    let third = index - 2 * batch
                    if range.contains(third) {
                        body(UnsafeRawBufferPointer(rebasing: bytes[ids.range(third)]), hashes[third % (4 * batch)])
                    }
                }
            }
        }
    }

    /// The rows of the ids, nil for an id that has none. Includes rows that were reserved for writes that are not
    /// durable yet. Store thread only.
    func ownersRows(of ids: PackedStrings) -> [UInt32?] {
        var rows: [UInt32?] = []
        rows.reserveCapacity(ids.count)
        forEachID(of: ids, 0..<ids.count, byOwner: true, prefetchRow: prefetchReuse) { id, hash in
            rows.append(ownersRow(of: id, hash))
        }
        return rows
    }

    /// The ids that have no row, although they could have one: with a sketch there are none.
    func withoutRow(_ ids: PackedStrings) -> PackedStrings {
        guard sketch == nil else { return PackedStrings() }
        let rows = ownersRows(of: ids)
        return PackedStrings(rows.indices.filter { rows[$0] == nil }.map { Array(ids[$0]) })
    }

    /// Prefetches the data of a row that judging a write needs.
    func prefetchReuse(_ chunk: UnsafeMutablePointer<ItemChunk>, _ index: Int) {
        prefetch(chunk.pointee.reuses + index, byteCount: MemoryLayout<RowReuse>.stride)
    }

    @inline(__always)
    func prefetchIdentifier(of row: UInt32, _ prefetchRow: (UnsafeMutablePointer<ItemChunk>, Int) -> Void) {
        let chunk = chunk(of: row)
        let index = Self.index(of: row)
        prefetch(chunk.pointee.identifiers + index, byteCount: MemoryLayout<IdentifierSlot>.stride)
        prefetchRow(chunk, index)
    }
}
