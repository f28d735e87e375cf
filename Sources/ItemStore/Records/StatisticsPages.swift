import LMDB
import SamplingFrequency

/// The statistics of rows, in the `frequency` table. A record is a page of 32 rows; record n begins with row 32·n.
///
///     crc32c 4 | applied 8 | 0 4 | 32 x 40 bytes (`StatisticsPage`)
final class StatisticsPages: FrequencyTableKind {
    let dirty = RecordSet()
    var applied = AppliedGroups()
    let keys = FrequencyKey.pages

    @inline(__always)
    static func page(of row: UInt32) -> Int {
        Int(row) / StatisticsPage.recordCount
    }

    func recordCount(of collection: Collection) -> Int {
        collection.chunks.count * ItemChunk.rowCount / StatisticsPage.recordCount
    }

    func write(
        _ record: Int,
        of collection: Collection,
        applied group: UInt64,
        to tables: Tables,
        _ transaction: borrowing WriteTransaction
    ) throws -> Int {
        let (chunk, index) = collection.place(of: UInt32(record * StatisticsPage.recordCount))
        let key = key(of: record, in: collection)
        return try StatisticsPage.write(
            chunk.pointee.statistics + index,
            for: key,
            applied: group,
            in: tables.frequency,
            transaction
        )
    }

    func load(_ value: UnsafeRawBufferPointer, key: FrequencyKey, into collection: Collection) throws(StoreError) {
        let record = record(of: key)
        let firstRow = UInt32(record * StatisticsPage.recordCount)
        collection.makeRoom(for: firstRow)
        let (chunk, index) = collection.place(of: firstRow)
        applied.note(try StatisticsPage.read(value, key: key, into: chunk.pointee.statistics + index), for: record)
    }
}

/// The bytes of a page of statistics, for rows and for the buckets of a sketch.
///
/// Each entry has 40 bytes: last step Int64, gap float64, count float64, gap count UInt32, closed distance UInt32, open
/// steps UInt64. In schema version 2 it had 32 bytes: there were no open steps, and the closed distance was always 0.
enum StatisticsPage {
    static let recordCount = SketchLayout.bucketsInPage
    private static let byteCount = 16 + recordCount * Statistics.encodedByteCount
    private static let oldByteCount = 16 + recordCount * Statistics.oldEncodedByteCount

    static func write(
        _ records: UnsafePointer<Statistics>,
        for key: FrequencyKey,
        applied group: UInt64,
        in table: Table<FrequencyKey>,
        _ transaction: borrowing WriteTransaction
    ) throws -> Int {
        try transaction.putRecord(byteCount, applied: group, for: key, in: table) { bytes in
            bytes.integer(UInt32(0))
            for index in 0..<recordCount { records[index].encode(into: &bytes) }
        }
    }

    /// Decodes a page into `recordCount` entries at `target`, and returns its last group (`applied`). Throws `corrupt`.
    static func read(
        _ value: UnsafeRawBufferPointer,
        key: FrequencyKey,
        into target: UnsafeMutablePointer<Statistics>
    ) throws(StoreError) -> UInt64 {
        var (group, bytes) = try Checksum.opened(value, key: key, table: "frequency")
        guard value.count == byteCount || value.count == oldByteCount, bytes.integer(UInt32.self) != nil else {
            throw Checksum.corrupt(key, "frequency", "got \(value.count) bytes, expected \(byteCount)")
        }
        for index in 0..<recordCount {
            // The length was checked, so no field is missing.
            target[index] = Statistics(&bytes, isOld: value.count == oldByteCount)!
        }
        return group
    }
}

extension Statistics {
    static let encodedByteCount = 40
    static let oldEncodedByteCount = 32

    func encode(into bytes: inout ByteWriter) {
        bytes.integer(lastStep)
        bytes.double(gap)
        bytes.double(count)
        bytes.integer(gapCount)
        bytes.integer(closedDistance)
        bytes.integer(openSteps)
    }

    /// `isOld`: in the bytes of schema version 2. Nil if they are too short.
    @inline(__always)
    init?(_ bytes: inout ByteReader, isOld: Bool = false) {
        guard let lastStep = bytes.integer(Int64.self), let gap = bytes.double(), let count = bytes.double(),
            let gapCount = bytes.integer(UInt32.self), let closedDistance = bytes.integer(UInt32.self),
            let openSteps = isOld ? 0 : bytes.integer(UInt64.self)
        else { return nil }
        self.init(
            lastStep: lastStep,
            gap: gap,
            count: count,
            gapCount: gapCount,
            closedDistance: closedDistance,
            openSteps: openSteps
        )
    }
}
