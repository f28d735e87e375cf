import SamplingFrequency

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The sketch of a collection while it is recovered. An id's buckets lie in several runs, each of which contains other
/// groups; what an operation does to a bucket depends on that bucket and the operation alone, so each is replayed for
/// itself.
final class LoadingSketch {
    private let sketch: SketchBuckets
    private let estimator: GapEstimator
    /// The last group that each run contains. A mapping, for most runs may never have been touched.
    private let runApplied: UnsafeMutablePointer<UInt64>
    private var usedRuns = ChunkBitmap()

    init(_ sketch: SketchBuckets, _ estimator: GapEstimator) {
        self.sketch = sketch
        self.estimator = estimator
        let runCount = sketch.layout.runCount
        runApplied = mapAnonymousMemory(byteCount: runCount * MemoryLayout<UInt64>.stride)
            .bindMemory(to: UInt64.self, capacity: runCount)
    }

    deinit {
        munmap(runApplied, sketch.layout.runCount * MemoryLayout<UInt64>.stride)
    }

    func load(_ value: UnsafeRawBufferPointer, key: FrequencyKey) throws(StoreError) {
        let run = Int(key.chunk)
        guard run < sketch.layout.runCount else {
            throw Checksum.corrupt(key, "frequency", "the sketch has \(sketch.layout.runCount) runs of buckets")
        }
        let records = UnsafeMutablePointer<FrequencyRecord>.allocate(capacity: SketchLayout.bucketsInRun)
        defer { records.deallocate() }
        records.initialize(repeating: .unseen, count: SketchLayout.bucketsInRun)
        runApplied[run] = try FrequencyRecords.readRun(value, key: key, into: records)
        sketch.restore(run, records)
        usedRuns.insert(run)
    }

    func replayObservation(_ hit: Hit, _ hashes: UnsafeRawBufferPointer, _ group: UInt64) {
        for index in 0..<hashes.count / Operation.hashByteCount {
            replay(SketchEntry.hash(hashes, index), group) { estimator.observe(&$0, hit) }
        }
    }

    func replayFrequencies(_ hit: Hit, _ entries: UnsafeRawBufferPointer, _ group: UInt64) {
        for index in 0..<entries.count / SketchEntry.byteCount {
            let entry = SketchEntry(entries, index)
            replay(entry.hash, group) { estimator.set(&$0, hit, entry) }
        }
    }

    private func replay(_ hash: UInt64, _ group: UInt64, _ body: (inout FrequencyRecord) -> Void) {
        sketch.forEachBucket(of: hash) { bucket in
            let run = SketchBuckets.run(of: bucket)
            guard runApplied[run] < group else { return }
            sketch.change(bucket, body)
            usedRuns.insert(run)
        }
    }

    /// The counts of all observations.
    func countSum() -> ExactSum {
        sketch.countSum(ofRuns: usedRuns)
    }
}
