import PackedStrings
import TestSupport
import Testing

@testable import ItemStore

/// Pages of items among many ids without an embedding.
@Suite struct ScanTests {
    @Test func pagesHaveEveryItemOnce() throws {
        let fixture = try StoreFixture()
        let ids = (0..<6_000).map { Array("id-\($0)".utf8) }
        try fixture.apply([
            .create(name: "c", CollectionConfiguration(dimension: 1)),
            .observe(collection: "c", step: 1, sequence: nil, ids: PackedStrings(ids)),
        ])
        // Rows are assigned in the order of the ids, so the third and the fifth chunk have no item.
        let items = [0, 1, 500, 1_023, 1_024, 2_047, 3_072, 3_073, 4_095, 5_999]
        try fixture.apply(items.map { .put(collection: "c", id: ids[$0], vector: [1], features: nil) })
        let collection = try #require(fixture.store.collection(named: "c"))
        for limit in 1...11 {
            var found: [Int] = []
            var last: UInt32?
            while true {
                let page = collection.scan(after: last, limit: limit)
                #expect(StoreModel.strings(page.ids) == page.rows.map { ids[Int($0)] })
                found += page.rows.map(Int.init)
                guard page.rows.count == limit else { break }
                last = page.rows.last
            }
            #expect(found == items, "\(limit) a page")
        }
        #expect(collection.scan(after: nil, limit: 100).chunkCount == 6)
        #expect(collection.scan(after: 4_095, limit: 1).chunkCount == 2)
        #expect(collection.scan(after: 5_999, limit: 1).rows.isEmpty)
        #expect(collection.scan(after: .max, limit: 1).chunkCount == 0)
    }
}
