import PackedStrings
import SamplingFrequency

/// Collections with a sketch as estimator. An id gets a row only when it has an embedding or features. The observations
/// of all ids, with a row or without, are in the buckets.
///
/// So the statistics in the chunks are unused, and there is no bank of recent observations. Every count in the
/// population is 0, so draws from such a collection are uniform.
extension Collection {
    /// The statistics of a row's id. Use only the count, because open gaps are left out. Call under the chunk's lock;
    /// this takes the sketch's lock.
    @inline(__always)
    func record(_ chunk: ItemChunk, _ index: Int) -> Statistics {
        guard let sketch else { return chunk.statistics[index] }
        let hash = sketch.layout.hash(IdentifierSlot.bytes(chunk.identifiers + index))
        return sketch.record(of: hash, through: -1)
    }

    /// The statistics of ids, whether or not they have a row.
    func sketchRecords(
        of ids: PackedStrings,
        _ range: Range<Int>,
        in sketch: SketchBuckets,
        _ totals: FrequencyTotals
    ) -> [Statistics] {
        sketch.records(of: ids.hashes(range, sketch.layout), through: totals.lastCompleteStep)
    }

    // MARK: - Changes, by the store's thread alone

    func applySketchObservation(
        _ hit: Hit,
        _ lateness: Operation.Lateness,
        _ hashes: UnsafeRawBufferPointer,
        _ group: UInt64
    ) throws(StoreError) {
        let idCount = hashes.count / Operation.hashByteCount
        let mayBeLate = lateness == .dividesGaps
        try changeSketch(
            hit,
            mayBeLate: mayBeLate,
            group,
            idCount,
            hash: { SketchEntry.hash(hashes, $0) },
            { _, record in
                estimator.observe(&record, hit)
                if !mayBeLate { estimator.close(&record, through: .max) }
            }
        )
    }

    func applySketchFrequencies(
        _ hit: Hit,
        _ entries: UnsafeRawBufferPointer,
        _ group: UInt64
    ) throws(StoreError) {
        let idCount = entries.count / SketchEntry.byteCount
        try changeSketch(
            hit,
            mayBeLate: false,
            group,
            idCount,
            hash: { SketchEntry(entries, $0).hash },
            { id, record in estimator.set(&record, hit, SketchEntry(entries, id)) }
        )
    }

    /// Changes the buckets of ids. The buckets of an id are in several pages, which may contain different groups during
    /// recovery. That does no harm, because the change of a bucket depends only on the bucket and the operation.
    @inline(__always)
    private func changeSketch(
        _ hit: Hit,
        mayBeLate: Bool,
        _ group: UInt64,
        _ idCount: Int,
        hash: (Int) -> UInt64,
        _ body: (Int, inout Statistics) -> Void
    ) throws(StoreError) {
        guard let sketch, let sketchPages else { throw .corruptOperation(group: group, "there is no sketch") }
        let isServing = isServing
        count(hit, mayBeLate: mayBeLate, group) { _ in
            sketch.change(
                idCount: idCount,
                sum: &owner.countSum,
                isDue: { page in isServing || sketchPages.isDue(group, for: page) },
                hash: hash,
                body
            )
        }
    }
}

/// One entry of a `sketchFrequencies` operation.
struct SketchEntry {
    static let byteCount = 40

    let hash: UInt64
    /// Nil: unchanged.
    let gap: Double?
    let count: Double?
    /// The smallest count of the id's buckets before the operation, and the last step of that record. Replay can't
    /// compute them, because some of the buckets may be newer than the operation.
    let smallest: Double
    let smallestStep: Int64

    init(_ entries: UnsafeRawBufferPointer, _ index: Int) {
        func word(_ place: Int) -> UInt64 {
            let offset = index * Self.byteCount + place * MemoryLayout<UInt64>.size
            return UInt64(littleEndian: entries.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        self.init(
            hash: word(0),
            gap: Double(bitPattern: word(1)),
            count: Double(bitPattern: word(2)),
            smallest: Double(bitPattern: word(3)),
            smallestStep: Int64(bitPattern: word(4))
        )
    }

    /// A gap or count of NaN becomes nil.
    init(hash: UInt64, gap: Double, count: Double, smallest: Double, smallestStep: Int64) {
        self.hash = hash
        self.gap = gap.isNaN ? nil : gap
        self.count = count.isNaN ? nil : count
        self.smallest = smallest
        self.smallestStep = smallestStep
    }

    /// Hash `index` of a `sketchObservation` operation.
    static func hash(_ hashes: UnsafeRawBufferPointer, _ index: Int) -> UInt64 {
        let offset = index * Operation.hashByteCount
        return UInt64(littleEndian: hashes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}

extension GapEstimator {
    /// Applies an entry to one bucket, by `setInBucket`.
    func set(_ bucket: inout Statistics, _ hit: Hit, _ entry: SketchEntry) {
        let smallest = Statistics(lastStep: entry.smallestStep, gap: 0, count: entry.smallest, gapCount: 0)
        setInBucket(&bucket, hit, gap: entry.gap, count: entry.count, before: smallest)
    }
}

extension PackedStrings {
    /// The hashes by which a sketch knows the ids.
    func hashes(_ range: Range<Int>, _ layout: SketchLayout) -> [UInt64] {
        withAllBytes { bytes in
            range.map { layout.hash(UnsafeRawBufferPointer(rebasing: bytes[self.range($0)])) }
        }
    }
}
