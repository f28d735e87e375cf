import SamplingFrequency
import SystemSupport

/// The buckets of a collection with a sketch as estimator (see `SketchLayout`). They are in one memory mapping that
/// never moves or grows, with 40 bytes for each bucket.
///
/// Pages of memory in which no bucket was used cost nothing, because a bucket of zeros counts as never touched. For
/// this, a bucket stores its last step plus one.
///
/// One read-write lock guards all buckets. Readers and the store's thread hold it for up to 64 ids at a time, so its
/// cost for each id is very small. The m buckets of an id are always read under one lock, so its record is from one
/// moment.
final class SketchBuckets: @unchecked Sendable {
    /// The most ids for which the lock is held at a time.
    private static let idsInTurn = 64

    let layout: SketchLayout
    private let estimator: GapEstimator
    private var decay: CountDecay { estimator.decay }
    private let lock = ReadWriteLock()
    private let buckets: UnsafeMutablePointer<Statistics>
    private let mappedByteCount: Int

    /// The pages that differ from the tables. Store thread only, like the next field.
    let dirtyPages = RecordSet()
    /// The serial of the last group with an operation that changes the sketch (`GroupCommit.serial`).
    var pendingGroupSerial: UInt32 = 0

    /// Throws `full` if the system has no address space for the buckets.
    init(_ layout: SketchLayout, _ estimator: GapEstimator) throws(StoreError) {
        self.layout = layout
        self.estimator = estimator
        mappedByteCount = Self.bucketByteCount(layout)
        guard let memory = tryMapAnonymousMemory(byteCount: mappedByteCount) else {
            throw StoreError(.full, "the system has no \(mappedByteCount) bytes of memory for the buckets")
        }
        buckets = memory.bindMemory(
            to: Statistics.self,
            capacity: mappedByteCount / MemoryLayout<Statistics>.stride
        )
    }

    deinit {
        lock.destroy()
        let status = munmap(buckets, mappedByteCount)
        precondition(status == 0, "munmap of a sketch: errno \(errno)")
    }

    private static func bucketByteCount(_ layout: SketchLayout) -> Int {
        layout.pageCount * SketchLayout.bucketsInPage * MemoryLayout<Statistics>.stride
    }

    /// The memory of a sketch in bytes: all buckets, used or not, and one bit for each page of them.
    static func byteCount(_ layout: SketchLayout) -> Int {
        bucketByteCount(layout) + (layout.pageCount + 63) / 64 * 8
    }

    // MARK: - Buckets

    @inline(__always)
    private func load(_ bucket: Int) -> Statistics {
        var record = buckets[bucket]
        record.lastStep &-= 1
        return record
    }

    @inline(__always)
    private func store(_ record: Statistics, _ bucket: Int) {
        var record = record
        record.lastStep &+= 1
        buckets[bucket] = record
    }

    static func page(of bucket: Int) -> Int { bucket / SketchLayout.bucketsInPage }

    // MARK: - Reading, from any thread

    /// The combined record of the id with this hash. Its gap has the hits up to a step.
    func record(of hash: UInt64, through step: Int64) -> Statistics {
        lock.withReadLock { unlockedRecord(of: hash, through: step) }
    }

    func records(of hashes: [UInt64], through step: Int64) -> [Statistics] {
        var records: [Statistics] = []
        records.reserveCapacity(hashes.count)
        for first in stride(from: 0, to: hashes.count, by: Self.idsInTurn) {
            lock.withReadLock {
                for hash in hashes[first..<min(first + Self.idsInTurn, hashes.count)] {
                    records.append(unlockedRecord(of: hash, through: step))
                }
            }
        }
        return records
    }

    private func unlockedRecord(of hash: UInt64, through step: Int64) -> Statistics {
        var record = closed(layout.bucket(of: hash, 0), through: step)
        for index in 1..<layout.hashCount {
            record.narrow(by: closed(layout.bucket(of: hash, index), through: step), decay)
        }
        return record
    }

    @inline(__always)
    private func closed(_ bucket: Int, through step: Int64) -> Statistics {
        var record = load(bucket)
        estimator.close(&record, through: step)
        return record
    }

    // MARK: - Changes, by the store's thread alone

    /// Calls `body` with the number of each bucket of the id with this hash.
    @inline(__always)
    func forEachBucket(of hash: UInt64, _ body: (Int) -> Void) {
        for index in 0..<layout.hashCount { body(layout.bucket(of: hash, index)) }
    }

    /// The present value of a bucket, read without the lock. Store thread only.
    func bucket(_ bucket: Int) -> Statistics { load(bucket) }

    /// The combined record of the id with this hash. A bucket for which `changed` returns a value counts with that
    /// value.
    func record(of hash: UInt64, _ changed: (Int) -> Statistics?) -> Statistics {
        var record: Statistics?
        forEachBucket(of: hash) { bucket in
            let own = changed(bucket) ?? load(bucket)
            if record == nil { record = own } else { record!.narrow(by: own, decay) }
        }
        return record ?? .unseen
    }

    @inline(__always)
    private func change(_ bucket: Int, _ body: (inout Statistics) -> Void) {
        var record = load(bucket)
        body(&record)
        store(record, bucket)
        dirtyPages.insert(Self.page(of: bucket))
    }

    /// Changes the buckets of many ids, except in pages for which `isDue` returns false. `body` gets the index of an id
    /// and one of its buckets. `sum` stays the sum of the counts in the first hash's buckets, because every observation
    /// is in one of them.
    @inline(__always)
    func change(
        idCount: Int,
        sum: inout ExactSum,
        isDue: (_ page: Int) -> Bool,
        hash: (Int) -> UInt64,
        _ body: (Int, inout Statistics) -> Void
    ) {
        for first in stride(from: 0, to: idCount, by: Self.idsInTurn) {
            lock.withWriteLock {
                for id in first..<min(first + Self.idsInTurn, idCount) {
                    let hash = hash(id)
                    for index in 0..<layout.hashCount {
                        let bucket = layout.bucket(of: hash, index)
                        guard isDue(Self.page(of: bucket)) else { continue }
                        change(bucket) { record in
                            if index == 0 { sum.subtract(record, decay) }
                            body(id, &record)
                            if index == 0 { sum.add(record, decay) }
                        }
                    }
                }
            }
        }
    }

    /// Calls `body` with every bucket that was used, except in pages for which `isDue` returns false. `sum` is kept as
    /// above.
    func changeAll(
        sum: inout ExactSum,
        isDue: (_ page: Int) -> Bool,
        _ body: (inout Statistics) -> Void
    ) {
        for page in 0..<layout.pageCount where isDue(page) {
            let first = page * SketchLayout.bucketsInPage
            lock.withWriteLock {
                for bucket in first..<first + SketchLayout.bucketsInPage {
                    let old = load(bucket)
                    var new = old
                    body(&new)
                    guard new != old else { continue }
                    if bucket < layout.bucketCount {
                        sum.subtract(old, decay)
                        sum.add(new, decay)
                    }
                    store(new, bucket)
                    dirtyPages.insert(page)
                }
            }
        }
    }

    /// Sets buckets, except in pages for which `isDue` returns false. `sum` is kept as above.
    func set(
        _ entries: RowEntries<StatisticsEntry>,
        sum: inout ExactSum,
        isDue: (_ page: Int) -> Bool
    ) {
        lock.withWriteLock {
            for entry in entries {
                let bucket = Int(entry.row)
                guard isDue(Self.page(of: bucket)) else { continue }
                change(bucket) { record in
                    if bucket < layout.bucketCount { sum.subtract(record, decay) }
                    record = entry.record
                    if bucket < layout.bucketCount { sum.add(record, decay) }
                }
            }
        }
    }

    /// The number of buckets that were used. Store thread only, like the next property.
    var usedBucketCount: Int { usedBuckets.reduce(0) { count, _ in count + 1 } }

    /// The buckets that were used, in order.
    var usedBuckets: some Sequence<StatisticsEntry> {
        (0..<layout.totalBucketCount).lazy.map { StatisticsEntry(row: UInt32($0), self.load($0)) }
            .filter { $0.record != .unseen }
    }

    // MARK: - Storing

    /// Calls `body` with a copy of the buckets of a page.
    func withPage<R>(_ page: Int, _ body: (UnsafeMutablePointer<Statistics>) throws -> R) rethrows -> R {
        try withUnsafeTemporaryAllocation(of: Statistics.self, capacity: SketchLayout.bucketsInPage) { records in
            let first = page * SketchLayout.bucketsInPage
            for index in records.indices { records.initializeElement(at: index, to: load(first + index)) }
            return try body(records.baseAddress!)
        }
    }

    /// Restores a stored page.
    func restore(_ page: Int, _ records: UnsafePointer<Statistics>) {
        let first = page * SketchLayout.bucketsInPage
        for index in 0..<SketchLayout.bucketsInPage { store(records[index], first + index) }
    }

    /// The sum of the counts of the first hash's buckets in these pages.
    func countSum(ofPages pages: RecordSet) -> ExactSum {
        var sum = ExactSum()
        var next = 0
        while let page = pages.first(from: next), page * SketchLayout.bucketsInPage < layout.bucketCount {
            let first = page * SketchLayout.bucketsInPage
            for bucket in first..<min(first + SketchLayout.bucketsInPage, layout.bucketCount) {
                sum.add(load(bucket), decay)
            }
            next = page + 1
        }
        return sum
    }
}
