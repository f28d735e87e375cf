import LMDB
import SamplingFrequency

/// The totals of a collection, one record in the `frequency` table.
///
///     crc32c 4 | applied 8 | fields of `StoredTotals`
final class TotalsRecord: FrequencyTableKind {
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
        let size = 12 + StoredTotals.byteCount
        return try transaction.putRecord(size, applied: group, for: key, in: tables.frequency) { bytes in
            StoredTotals(collection).encode(into: &bytes)
        }
    }

    func load(_ value: UnsafeRawBufferPointer, key: FrequencyKey, into collection: Collection) throws(StoreError) {
        var (group, bytes) = try Checksum.opened(value, key: key, table: "frequency")
        guard let totals = StoredTotals(&bytes), bytes.isAtEnd else {
            let expected = 12 + StoredTotals.byteCount
            throw Checksum.corrupt(key, "frequency", "got \(value.count) bytes, expected \(expected)")
        }
        collection.updateSummary { $0.totals = totals.totals(collection.estimator) }
        collection.recent.restore(position: totals.recentPosition)
        applied.note(group, for: 0)
    }
}

/// What is stored of the totals of a collection. C, the sum of all counts, is not: recovery computes it from the
/// counts.
///
///     first step 8 | last step 8 | weight of a hit float64 8 | observations in the bank, ever 8
///     | lateness 8 | steps of the pace 8 | advances of the pace 8
///
/// In schema version 2 these fields end before the lateness.
struct StoredTotals {
    static let byteCount = 56

    let firstStep: Int64
    let lastStep: Int64
    let hitWeight: Double
    let recentPosition: UInt64
    let lateness: Int64
    let pace: FrequencyTotals.Pace
}

extension StoredTotals {
    init(_ collection: Collection) {
        let totals = collection.totals
        firstStep = totals.firstStep
        lastStep = totals.lastStep
        hitWeight = totals.hitWeight
        recentPosition = collection.recent.position
        lateness = totals.lateness
        pace = totals.pace
    }

    /// Nil if the bytes are too short.
    init?(_ bytes: inout ByteReader) {
        guard let firstStep = bytes.integer(Int64.self), let lastStep = bytes.integer(Int64.self),
            let hitWeight = bytes.double(), let recentPosition = bytes.integer(UInt64.self)
        else { return nil }
        self.firstStep = firstStep
        self.lastStep = lastStep
        self.hitWeight = hitWeight
        self.recentPosition = recentPosition
        if bytes.isAtEnd {
            lateness = 0
            pace = FrequencyTotals.Pace()
            return
        }
        guard let lateness = bytes.integer(Int64.self), let steps = bytes.integer(Int64.self),
            let count = bytes.integer(Int64.self)
        else { return nil }
        self.lateness = lateness
        pace = FrequencyTotals.Pace(steps: steps, count: count)
    }

    func encode(into bytes: inout ByteWriter) {
        bytes.integer(firstStep)
        bytes.integer(lastStep)
        bytes.double(hitWeight)
        bytes.integer(recentPosition)
        bytes.integer(lateness)
        bytes.integer(pace.steps)
        bytes.integer(pace.count)
    }

    /// The totals, with a C of 0.
    func totals(_ estimator: GapEstimator) -> FrequencyTotals {
        FrequencyTotals(
            firstStep: firstStep,
            lastStep: lastStep,
            hitWeight: hitWeight,
            lateness: lateness,
            pace: pace,
            estimator: estimator
        )
    }
}
