import LMDB
import SamplingFrequency

/// The buckets of a sketch, in the `frequency` table. A record is a page of 32 buckets; record n begins with bucket
/// 32·n. The bytes and the keys are those of `StatisticsPages`, because a collection has only one of the two kinds.
final class SketchPages: FrequencyTableKind {
    let buckets: SketchBuckets
    var applied = AppliedGroups()
    let keys = FrequencyKey.pages
    /// The pages that were loaded from the table. `countSum` adds those that replay has changed.
    private let loaded = RecordSet()

    init(_ buckets: SketchBuckets) {
        self.buckets = buckets
    }

    var dirty: RecordSet { buckets.dirtyPages }

    func recordCount(of collection: Collection) -> Int { buckets.layout.pageCount }

    func write(
        _ record: Int,
        of collection: Collection,
        applied group: UInt64,
        to tables: Tables,
        _ transaction: borrowing WriteTransaction
    ) throws -> Int {
        let key = key(of: record, in: collection)
        return try buckets.withPage(record) { records in
            try StatisticsPage.write(records, for: key, applied: group, in: tables.frequency, transaction)
        }
    }

    func load(_ value: UnsafeRawBufferPointer, key: FrequencyKey, into collection: Collection) throws(StoreError) {
        let record = record(of: key)
        guard record < buckets.layout.pageCount else {
            throw Checksum.corrupt(key, "frequency", "the sketch has \(buckets.layout.pageCount) pages of buckets")
        }
        let records = UnsafeMutablePointer<Statistics>.allocate(capacity: StatisticsPage.recordCount)
        defer { records.deallocate() }
        records.initialize(repeating: .unseen, count: StatisticsPage.recordCount)
        applied.note(try StatisticsPage.read(value, key: key, into: records), for: record)
        buckets.restore(record, records)
        loaded.insert(record)
    }

    /// The sum of all counts, from the pages that were loaded or changed. Call after replay.
    func countSum() -> ExactSum {
        var next = 0
        while let page = dirty.first(from: next) {
            loaded.insert(page)
            next = page + 1
        }
        return buckets.countSum(ofPages: loaded)
    }
}
