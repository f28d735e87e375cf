import LMDB
import SamplingFrequency

/// The totals of a collection, one record in the `frequency` table.
///
///     crc32c 4 | applied 8 | first step 8 | last step 8 | weight of a hit float64 8 | observations in the bank, ever 8
///     | lateness 8 | steps of the pace 8 | advances of the pace 8
///
/// A record of schema version 2 ends before the lateness.
/// C, the sum of all counts, is not stored. Recovery computes it from the counts.
final class TotalsRecord: FrequencyTableKind {
    private static let byteCount = 68

    let dirty = RecordSet()
    var applied = AppliedGroups()
    let keys = FrequencyKey.totals

    func recordCount(of collection: Collection) -> Int { 1 }

    func write(
        _ record: Int,
        of collection: Collection,
        applied group: UInt64,
        to tables: Tables,
        _ transaction: borrowing WriteTransaction
    ) throws -> Int {
        let key = key(of: record, in: collection)
        let totals = collection.totals
        return try transaction.putRecord(Self.byteCount, applied: group, for: key, in: tables.frequency) { bytes in
            bytes.integer(totals.firstStep)
            bytes.integer(totals.lastStep)
            bytes.double(totals.hitWeight)
            bytes.integer(collection.recent.position)
            bytes.integer(totals.lateness)
            bytes.integer(totals.pace.steps)
            bytes.integer(totals.pace.count)
        }
    }

    func load(_ value: UnsafeRawBufferPointer, key: FrequencyKey, into collection: Collection) throws(StoreError) {
        var (group, bytes) = try Checksum.opened(value, key: key, table: "frequency")
        guard let first = bytes.integer(Int64.self),
            let last = bytes.integer(Int64.self), let hitWeight = bytes.double(),
            let recentPosition = bytes.integer(UInt64.self)
        else { throw Checksum.corrupt(key, "frequency", "it is too short") }
        let (lateness, steps, count) = (bytes.integer(Int64.self), bytes.integer(Int64.self), bytes.integer(Int64.self))
        guard bytes.isAtEnd, (lateness == nil) == (count == nil) else {
            throw Checksum.corrupt(key, "frequency", "got \(value.count) bytes, expected \(Self.byteCount)")
        }
        collection.updateSummary {
            $0.totals = FrequencyTotals(
                firstStep: first,
                lastStep: last,
                hitWeight: hitWeight,
                lateness: lateness ?? 0,
                pace: FrequencyTotals.Pace(steps: steps ?? 0, count: count ?? 0),
                estimator: collection.estimator
            )
        }
        collection.recent.restore(position: recentPosition)
        applied.note(group, for: 0)
    }
}
