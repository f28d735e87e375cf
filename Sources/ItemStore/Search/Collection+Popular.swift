import PackedStrings
import SamplingFrequency
import Synchronization
import SystemSupport
import VectorIndex

/// Listing ids by their counts.
///
/// There is no index of counts, because every observation would have to change it. So a page is one pass over all rows,
/// with a heap of the best. The pages of a list are ordered by counts as of one step, that of the first page. Without
/// that, all counts would fade between two pages, and the last row of one page would be no place in the next.
extension Collection {
    /// Rows are read under one lock for about this many rows, so that the store's thread never waits long.
    private static let rowsPerLock = 256

    /// A page of the ids that have a row, with or without an embedding, in the order of their counts.
    ///
    /// An id that is not written between the first page and the last is on exactly one page. Throws `timeout` after the
    /// deadline. It reads the statistics of all rows, 40 bytes each, even for a page with few ids.
    package func popular(_ query: PopularQuery) throws(StoreError) -> PopularAnswer {
        while true {
            let freed = freedRowCount.load(ordering: .acquiring)
            let answer = try popularInOnePass(query)
            // An id that is deleted and put again may get another row. If the pass saw both rows, the id has taken the
            // place of another one.
            if freedRowCount.load(ordering: .acquiring) == freed || !answer.hasRepeatedID { return answer }
        }
    }

    private func popularInOnePass(_ query: PopularQuery) throws(StoreError) -> PopularAnswer {
        var totals = totals
        if let after = query.after { totals = totals.moved(to: after.step ?? -1) }
        var best = TopKSelection(k: query.count)
        for number in 0..<chunks.count {
            if let deadline = query.deadline, deadline < .now {
                throw StoreError(.timeout, "the list was not done in time, nothing is answered")
            }
            let chunk = chunks[number].pointee
            for first in stride(from: 0, to: ItemChunk.rowCount, by: Self.rowsPerLock) {
                chunk.lock.withReadLock {
                    for index in first..<first + Self.rowsPerLock where chunk.isOfKnownID(index) {
                        let count = totals.hitCount(of: record(chunk, index))
                        guard count >= best.threshold else { continue }
                        let id = IdentifierSlot.bytes(chunk.identifiers + index)
                        if let after = query.after, !after.precedes(id, count: count) { continue }
                        _ = best.insert(score: count, id: id)
                    }
                }
            }
        }
        return PopularAnswer(best, step: totals.lastStep < 0 ? nil : totals.lastStep)
    }
}

extension ItemChunk {
    /// Whether the row has an embedding, features or statistics. A reserved row has none of them. Call under the lock.
    @inline(__always)
    fileprivate func isOfKnownID(_ index: Int) -> Bool {
        flags[index].contains(.hasVector)
            || flags[index].contains(.isUsed) && (statistics[index].lastStep >= 0 || features[index] != nil)
    }
}

extension PopularAnswer {
    fileprivate init(_ best: TopKSelection, step: Int64?) {
        self.step = step
        ids.reserveCapacity(strings: best.count, bytes: best.count * 16)
        counts.reserveCapacity(best.count)
        for (count, place) in best.sorted() {
            best.withID(at: place) { ids.append($0) }
            counts.append(count)
        }
    }

    fileprivate var hasRepeatedID: Bool {
        var seen: Set<[UInt8]> = []
        return (0..<ids.count).contains { !seen.insert(Array(ids[$0])).inserted }
    }
}
