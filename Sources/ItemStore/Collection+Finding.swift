import PackedStrings
import VectorIndex

/// From ids to rows.
///
/// A collection is larger than any cache, so looking an id up is three misses in a row: the table's entry, the id's slot,
/// what is wanted of the row. One id after another would wait for each of them. A run of ids asks for all entries first,
/// then for all slots, and then finds what it wants in the cache: four times as fast for thousands of ids.
extension Collection {
    /// So many misses a core keeps under way at once.
    static let idsInRun = 16

    /// Calls `body` with each id and its hash. `warm` is given the places that the next ids will probably be found in, not
    /// locked, to ask for memory and do nothing else.
    @inline(__always)
    func forEachID(
        of ids: PackedStrings,
        _ range: Range<Int>,
        warm: (UnsafeMutablePointer<ItemChunk>, Int) -> Void = { _, _ in },
        _ body: (UnsafeRawBufferPointer, IdentifierTable.Hash) -> Void
    ) {
        ids.withAllBytes { bytes in
            withUnsafeTemporaryAllocation(of: IdentifierTable.Hash.self, capacity: Self.idsInRun) { hashes in
                for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.idsInRun) {
                    let run = 0..<min(Self.idsInRun, range.upperBound - start)
                    for index in run {
                        let hash = IdentifierTable.Hash(
                            UnsafeRawBufferPointer(rebasing: bytes[ids.range(start + index)])
                        )
                        hashes.initializeElement(at: index, to: hash)
                        identifiers.prefetch(hash)
                    }
                    for index in run {
                        if let row = identifiers.firstMatch(hashes[index], { $0 }) { warmIdentifier(of: row, warm) }
                    }
                    for index in run {
                        body(UnsafeRawBufferPointer(rebasing: bytes[ids.range(start + index)]), hashes[index])
                    }
                }
            }
        }
    }

    /// The rows of the ids, with the effects of rows reserved by writes that are not yet durable. Writer thread only.
    func rowsByWriter(of ids: PackedStrings) -> [UInt32?] {
        var rows: [UInt32?] = []
        rows.reserveCapacity(ids.count)
        forEachID(of: ids, 0..<ids.count, warm: warmForWriter) { id, hash in rows.append(rowByWriter(of: id, hash)) }
        return rows
    }

    /// What judging a write looks at.
    private func warmForWriter(_ chunk: UnsafeMutablePointer<ItemChunk>, _ index: Int) {
        prefetch(chunk.pointee.touched + index, byteCount: MemoryLayout<UInt32>.stride)
        prefetch(chunk.pointee.generations + index, byteCount: MemoryLayout<UInt32>.stride)
    }

    @inline(__always)
    func warmIdentifier(of row: UInt32, _ warm: (UnsafeMutablePointer<ItemChunk>, Int) -> Void) {
        let chunk = chunk(of: row)
        let index = Self.index(of: row)
        prefetch(chunk.pointee.identifiers + index, byteCount: MemoryLayout<IdentifierSlot>.stride)
        warm(chunk, index)
    }
}
