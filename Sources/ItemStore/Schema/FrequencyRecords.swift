import LMDB
import SamplingFrequency

/// The `frequency` table. Four kinds of chunks, each with the last group it contains:
///
///     rows 32c ..< 32c + 32, or buckets of a sketch:
///                              crc32c 4 | applied 8 | 0 4 | 32 x 32 bytes
///     totals:                  crc32c 4 | applied 8 | first step 8 | last step 8 | weight of a hit float64 8
///                              | observations in the bank, ever 8
///     writers 32w ..< 32w+32:  crc32c 4 | applied 8 | (number 8 | name length 1 | name) ...
///     recent 500r ..< 500r+500: crc32c 4 | applied 8 | (row 4 | generation 4) ...
///
/// A row's 32 bytes: last step Int64, gap float64, count float64, gap count UInt32, reserved 4. The sum of the counts is not
/// stored: it follows from them.
enum FrequencyRecords {
    static let runByteCount = 16 + DirtyRecords.rowsInFrequencyRun * recordByteCount
    static let totalsByteCount = 44
    private static let recordByteCount = 32

    /// Puts a record: checksum, `applied`, and what `body` writes. Returns its size.
    @discardableResult
    private static func put(
        _ byteCount: Int,
        for key: FrequencyKey,
        applied: UInt64,
        in table: Table<FrequencyKey>,
        _ transaction: borrowing WriteTransaction,
        _ body: (inout ByteWriter) -> Void
    ) throws -> Int {
        try transaction.put(reserving: byteCount, for: key, in: table) { value in
            var writer = ByteWriter(value)
            writer.integer(UInt32(0))
            writer.integer(applied)
            body(&writer)
            Checksum.seal(value, key: key)
        }
        return byteCount
    }

    static func writeRun(
        _ records: UnsafePointer<FrequencyRecord>,
        key: FrequencyKey,
        applied: UInt64,
        in table: Table<FrequencyKey>,
        _ transaction: borrowing WriteTransaction
    ) throws -> Int {
        try put(runByteCount, for: key, applied: applied, in: table, transaction) { writer in
            writer.integer(UInt32(0))
            for index in 0..<DirtyRecords.rowsInFrequencyRun {
                let record = records[index]
                writer.integer(record.lastStep)
                writer.double(record.gap)
                writer.double(record.count)
                writer.integer(record.gapCount)
                writer.integer(record.reserved)
            }
        }
    }

    /// Decodes a run into the 32 records at `target` and returns `applied`.
    static func readRun(
        _ value: UnsafeRawBufferPointer,
        key: FrequencyKey,
        into target: UnsafeMutablePointer<FrequencyRecord>
    ) throws(StoreError) -> UInt64 {
        var reader = ByteReader(try Checksum.verified(value, key: key, table: "frequency"))
        guard value.count == runByteCount, let applied = reader.integer(UInt64.self),
            reader.integer(UInt32.self) != nil
        else {
            throw Checksum.corrupt(key, "frequency", "got \(value.count) bytes, expected \(runByteCount)")
        }
        for index in 0..<DirtyRecords.rowsInFrequencyRun {
            // The length was checked, so no field is missing.
            target[index].lastStep = reader.integer()!
            target[index].gap = reader.double()!
            target[index].count = reader.double()!
            target[index].gapCount = reader.integer()!
            target[index].reserved = reader.integer()!
        }
        return applied
    }

    static func writeTotals(
        _ totals: FrequencyTotals,
        recentPosition: UInt64,
        collection: UInt32,
        applied: UInt64,
        in table: Table<FrequencyKey>,
        _ transaction: borrowing WriteTransaction
    ) throws {
        let key = FrequencyKey(collection: collection, chunk: FrequencyKey.totalsChunk)
        try put(totalsByteCount, for: key, applied: applied, in: table, transaction) { writer in
            writer.integer(totals.firstStep)
            writer.integer(totals.lastStep)
            writer.double(totals.hitWeight)
            writer.integer(recentPosition)
        }
    }

    static func readTotals(
        _ value: UnsafeRawBufferPointer,
        key: FrequencyKey,
        decay: CountDecay
    ) throws(StoreError) -> (applied: UInt64, totals: FrequencyTotals, recentPosition: UInt64) {
        var reader = ByteReader(try Checksum.verified(value, key: key, table: "frequency"))
        guard let applied = reader.integer(UInt64.self), let first = reader.integer(Int64.self),
            let last = reader.integer(Int64.self), let hitWeight = reader.double(),
            let recentPosition = reader.integer(UInt64.self)
        else { throw Checksum.corrupt(key, "frequency", "it is too short") }
        let totals = FrequencyTotals(firstStep: first, lastStep: last, hitWeight: hitWeight, decay: decay)
        return (applied, totals, recentPosition)
    }

    /// Writes a chunk of the bank of recent observations.
    static func writeRecent(
        chunk index: Int,
        of bank: RecentBank,
        collection: UInt32,
        applied: UInt64,
        in table: Table<FrequencyKey>,
        _ transaction: borrowing WriteTransaction
    ) throws -> Int {
        let key = FrequencyKey(collection: collection, chunk: FrequencyKey.firstRecentChunk + UInt32(index))
        let entries = bank.chunk(index)
        let size = 12 + entries.count * RecentBank.Entry.byteCount
        return try put(size, for: key, applied: applied, in: table, transaction) { writer in
            for entry in entries {
                writer.integer(entry.row)
                writer.integer(entry.generation)
            }
        }
    }

    static func readRecent(
        _ value: UnsafeRawBufferPointer,
        key: FrequencyKey
    ) throws(StoreError) -> (applied: UInt64, entries: [RecentBank.Entry]) {
        var reader = ByteReader(try Checksum.verified(value, key: key, table: "frequency"))
        guard let applied = reader.integer(UInt64.self) else {
            throw Checksum.corrupt(key, "frequency", "it is too short")
        }
        var entries: [RecentBank.Entry] = []
        while !reader.isAtEnd {
            guard let row = reader.integer(UInt32.self), let generation = reader.integer(UInt32.self) else {
                throw Checksum.corrupt(key, "frequency", "an observation is cut off")
            }
            entries.append(RecentBank.Entry(row: row, generation: generation))
        }
        return (applied, entries)
    }

    /// Writes the chunk of 32 writers that writer `index` is in.
    static func writeWriters(
        chunk index: Int,
        of sequences: WriterSequences,
        collection: UInt32,
        applied: UInt64,
        in table: Table<FrequencyKey>,
        _ transaction: borrowing WriteTransaction
    ) throws {
        let key = FrequencyKey(collection: collection, chunk: FrequencyKey.firstWriterChunk + UInt32(index))
        let writers = sequences.chunk(index)
        let size = 12 + writers.reduce(0) { $0 + 9 + $1.writer.utf8.count }
        try put(size, for: key, applied: applied, in: table, transaction) { writer in
            for entry in writers {
                writer.integer(entry.number)
                writer.integer(UInt8(entry.writer.utf8.count))
                for byte in entry.writer.utf8 { writer.integer(byte) }
            }
        }
    }

    static func readWriters(
        _ value: UnsafeRawBufferPointer,
        key: FrequencyKey
    ) throws(StoreError) -> [WriterSequence] {
        var reader = ByteReader(try Checksum.verified(value, key: key, table: "frequency"))
        guard reader.integer(UInt64.self) != nil else {
            throw Checksum.corrupt(key, "frequency", "it is too short")
        }
        var writers: [WriterSequence] = []
        while !reader.isAtEnd {
            guard let number = reader.integer(Int64.self), let length = reader.integer(UInt8.self),
                let name = reader.bytes(Int(length))
            else { throw Checksum.corrupt(key, "frequency", "a writer is cut off") }
            writers.append(WriterSequence(writer: String(decoding: name, as: UTF8.self), number: number))
        }
        return writers
    }
}
