import PackedStrings
import VectorIndex

/// From ids to rows.
///
/// A collection is larger than any cache, so looking an id up is three misses in a row: the table's entry, the id's slot,
/// what is wanted of the row. One id after another would wait for each of them. So the table's entry is asked for two
/// steps ahead and the slot one step ahead, and what is looked at is in the cache by then: four times as fast for thousands
/// of ids.
extension Collection {
    /// A step: so many misses a core keeps under way at once.
    static let idsInStep = 16

    /// Calls `body` with each id and its hash. `warm` is given the places that the next ids will probably be found in, not
    /// locked, to ask for memory and do nothing else. The writer thread needs no locks.
    @inline(__always)
    func forEachID(
        of ids: PackedStrings,
        _ range: Range<Int>,
        byWriter isWriter: Bool = false,
        warm: (UnsafeMutablePointer<ItemChunk>, Int) -> Void = { _, _ in },
        _ body: (UnsafeRawBufferPointer, IdentifierTable.Hash) -> Void
    ) {
        let step = Self.idsInStep
        ids.withAllBytes { bytes in
            // The hashes of the ids under way, in a ring.
            withUnsafeTemporaryAllocation(of: IdentifierTable.Hash.self, capacity: 4 * step) { hashes in
                for index in range.lowerBound..<range.upperBound + 2 * step {
                    if index < range.upperBound {
                        let hash = IdentifierTable.Hash(UnsafeRawBufferPointer(rebasing: bytes[ids.range(index)]))
                        hashes.initializeElement(at: index % (4 * step), to: hash)
                        if isWriter { identifiers.prefetchByWriter(hash) } else { identifiers.prefetch(hash) }
                    }
                    let second = index - step
                    if range.contains(second) {
                        let hash = hashes[second % (4 * step)]
                        let row =
                            isWriter
                            ? identifiers.firstMatchByWriter(hash) { $0 } : identifiers.firstMatch(hash) { $0 }
                        if let row { warmIdentifier(of: row, warm) }
                    }
                    let third = index - 2 * step
                    if range.contains(third) {
                        body(UnsafeRawBufferPointer(rebasing: bytes[ids.range(third)]), hashes[third % (4 * step)])
                    }
                }
            }
        }
    }

    /// The rows of the ids, with the effects of rows reserved by writes that are not yet durable. Writer thread only.
    func rowsByWriter(of ids: PackedStrings) -> [UInt32?] {
        var rows: [UInt32?] = []
        rows.reserveCapacity(ids.count)
        forEachID(of: ids, 0..<ids.count, byWriter: true, warm: warmForWriter) { id, hash in
            rows.append(rowByWriter(of: id, hash))
        }
        return rows
    }

    /// What judging a write looks at.
    private func warmForWriter(_ chunk: UnsafeMutablePointer<ItemChunk>, _ index: Int) {
        prefetch(chunk.pointee.lives + index, byteCount: MemoryLayout<RowLife>.stride)
    }

    @inline(__always)
    func warmIdentifier(of row: UInt32, _ warm: (UnsafeMutablePointer<ItemChunk>, Int) -> Void) {
        let chunk = chunk(of: row)
        let index = Self.index(of: row)
        prefetch(chunk.pointee.identifiers + index, byteCount: MemoryLayout<IdentifierSlot>.stride)
        warm(chunk, index)
    }
}
