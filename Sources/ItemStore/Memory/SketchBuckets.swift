import SamplingFrequency

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The buckets of a collection whose estimator is a sketch (`FrequencySketch` says what they mean), in one mapping that
/// never moves or grows: 32 bytes a bucket, as many as the layout says.
///
/// Pages that no id has fallen into yet cost nothing, for zeroed memory is a bucket that was never touched: the last step
/// stands in it plus one.
///
/// One read-write lock guards them all. Readers and the writer thread take it for some dozens of ids at a time, so it
/// costs next to nothing an id, and what is read of an id is of one moment, although it has m buckets.
final class SketchBuckets: @unchecked Sendable {
    /// Between two looks at the lock.
    private static let idsInTurn = 64

    let layout: SketchLayout
    private let decay: CountDecay
    private let lock = ReadWriteLock()
    private let buckets: UnsafeMutablePointer<FrequencyRecord>
    private let mappedByteCount: Int

    /// Runs that differ from the tables. Writer thread only, as what follows.
    var dirtyRuns = ChunkBitmap()
    /// The group under way in which something of the sketch is about to change.
    var pendingGroupSerial: UInt32 = 0

    /// Fails if the system has no address space for it.
    init(_ layout: SketchLayout, _ decay: CountDecay) throws(StoreError) {
        self.layout = layout
        self.decay = decay
        mappedByteCount = Self.bucketByteCount(layout)
        guard let memory = tryMapAnonymousMemory(byteCount: mappedByteCount) else {
            throw StoreError(.full, "the system has no \(mappedByteCount) bytes of memory for the buckets")
        }
        buckets = memory.bindMemory(
            to: FrequencyRecord.self,
            capacity: mappedByteCount / MemoryLayout<FrequencyRecord>.stride
        )
    }

    deinit {
        lock.destroy()
        let status = munmap(buckets, mappedByteCount)
        precondition(status == 0, "munmap of a sketch: errno \(errno)")
    }

    private static func bucketByteCount(_ layout: SketchLayout) -> Int {
        layout.runCount * SketchLayout.bucketsInRun * MemoryLayout<FrequencyRecord>.stride
    }

    /// What a sketch takes, whether or not anything fell into it: its buckets, and a bit a run.
    static func byteCount(_ layout: SketchLayout) -> Int {
        bucketByteCount(layout) + (layout.runCount + 63) / 64 * 8
    }

    // MARK: - Buckets

    @inline(__always)
    private func load(_ bucket: Int) -> FrequencyRecord {
        var record = buckets[bucket]
        record.lastStep &-= 1
        return record
    }

    @inline(__always)
    private func store(_ record: FrequencyRecord, _ bucket: Int) {
        var record = record
        record.lastStep &+= 1
        buckets[bucket] = record
    }

    static func run(of bucket: Int) -> Int { bucket / SketchLayout.bucketsInRun }

    // MARK: - Reading, from any thread

    /// What is known of the id with this hash.
    func record(of hash: UInt64) -> FrequencyRecord {
        lock.withReadLock { unlockedRecord(of: hash) }
    }

    func records(of hashes: [UInt64]) -> [FrequencyRecord] {
        var records: [FrequencyRecord] = []
        records.reserveCapacity(hashes.count)
        for first in stride(from: 0, to: hashes.count, by: Self.idsInTurn) {
            lock.withReadLock {
                for hash in hashes[first..<min(first + Self.idsInTurn, hashes.count)] {
                    records.append(unlockedRecord(of: hash))
                }
            }
        }
        return records
    }

    private func unlockedRecord(of hash: UInt64) -> FrequencyRecord {
        var record = load(layout.bucket(of: hash, 0))
        for index in 1..<layout.hashCount { record.narrow(by: load(layout.bucket(of: hash, index)), decay) }
        return record
    }

    // MARK: - Changes, by the writer thread alone

    /// Calls `body` with each bucket of the id with this hash, outside the lock: for recovery.
    @inline(__always)
    func forEachBucket(of hash: UInt64, _ body: (Int) -> Void) {
        for index in 0..<layout.hashCount { body(layout.bucket(of: hash, index)) }
    }

    /// As it is; the writer thread need not lock.
    func bucket(_ bucket: Int) -> FrequencyRecord { load(bucket) }

    /// What would be known of the id with this hash if some of the buckets were already what they are about to become.
    func record(of hash: UInt64, _ changed: (Int) -> FrequencyRecord?) -> FrequencyRecord {
        var record: FrequencyRecord?
        forEachBucket(of: hash) { bucket in
            let own = changed(bucket) ?? load(bucket)
            if record == nil { record = own } else { record!.narrow(by: own, decay) }
        }
        return record ?? .unseen
    }

    /// Changes a bucket and marks its run, outside the lock: for recovery.
    @inline(__always)
    func change(_ bucket: Int, _ body: (inout FrequencyRecord) -> Void) {
        var record = load(bucket)
        body(&record)
        store(record, bucket)
        dirtyRuns.insert(Self.run(of: bucket))
    }

    /// Changes the buckets of many ids. `body` is told the number of the id and gets one bucket after another. The counts
    /// of the first hash's buckets are kept summed up in `sum`: every observation is in one of them.
    @inline(__always)
    func change(
        idCount: Int,
        sum: inout ExactSum,
        hash: (Int) -> UInt64,
        _ body: (Int, inout FrequencyRecord) -> Void
    ) {
        for first in stride(from: 0, to: idCount, by: Self.idsInTurn) {
            lock.withWriteLock {
                for id in first..<min(first + Self.idsInTurn, idCount) {
                    let hash = hash(id)
                    for index in 0..<layout.hashCount {
                        change(layout.bucket(of: hash, index)) { record in
                            if index == 0 { sum.subtract(record, decay) }
                            body(id, &record)
                            if index == 0 { sum.add(record, decay) }
                        }
                    }
                }
            }
        }
    }

    // MARK: - Storing

    /// Calls `body` with the records of a run as they are stored.
    func withRun<R>(_ run: Int, _ body: (UnsafeMutablePointer<FrequencyRecord>) throws -> R) rethrows -> R {
        try withUnsafeTemporaryAllocation(of: FrequencyRecord.self, capacity: SketchLayout.bucketsInRun) { records in
            let first = run * SketchLayout.bucketsInRun
            for index in records.indices { records.initializeElement(at: index, to: load(first + index)) }
            return try body(records.baseAddress!)
        }
    }

    /// Puts a stored run back in place.
    func restore(_ run: Int, _ records: UnsafePointer<FrequencyRecord>) {
        let first = run * SketchLayout.bucketsInRun
        for index in 0..<SketchLayout.bucketsInRun { store(records[index], first + index) }
    }

    /// The counts of the first hash's buckets in these runs.
    func countSum(ofRuns runs: ChunkBitmap) -> ExactSum {
        var sum = ExactSum()
        var next = 0
        while let run = runs.first(from: next), run * SketchLayout.bucketsInRun < layout.bucketCount {
            let first = run * SketchLayout.bucketsInRun
            for bucket in first..<min(first + SketchLayout.bucketsInRun, layout.bucketCount) {
                sum.add(load(bucket), decay)
            }
            next = run + 1
        }
        return sum
    }
}
