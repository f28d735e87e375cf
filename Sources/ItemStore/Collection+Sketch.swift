import PackedStrings
import SamplingFrequency

/// A collection whose estimator is a sketch. Its ids get a row only when they have something of their own, an embedding or
/// features; what was observed of them is in the buckets, for ids with a row and without. So nothing of the statistics in
/// the chunks is used, there is no bank of recent observations, and every count in the draw table is 0: all that can be
/// drawn of such a collection is uniform.
extension Collection {
    /// What is known of the id of a row. Under the lock of the chunk; the sketch's comes after it.
    @inline(__always)
    func record(_ chunk: ItemChunk, _ index: Int) -> FrequencyRecord {
        guard let sketch else { return chunk.statistics[index] }
        return sketch.record(of: sketch.layout.hash(IdentifierSlot.bytes(chunk.identifiers + index)))
    }

    /// What is known of ids, whether or not they have a row.
    func sketchRecords(of ids: PackedStrings, _ range: Range<Int>, in sketch: SketchBuckets) -> [FrequencyRecord] {
        sketch.records(of: ids.hashes(range, sketch.layout))
    }

    // MARK: - Changes, by the writer thread alone

    func applySketchObservation(_ hit: Hit, _ hashes: UnsafeRawBufferPointer) {
        guard let sketch else { preconditionFailure("got hashes for a collection without a sketch") }
        count(hit) { _ in
            sketch.change(
                idCount: hashes.count / Operation.hashByteCount,
                sum: &writer.countSum,
                hash: { SketchEntry.hash(hashes, $0) },
                { _, record in estimator.observe(&record, hit) }
            )
        }
    }

    func applySketchFrequencies(_ hit: Hit, _ entries: UnsafeRawBufferPointer) {
        guard let sketch else { preconditionFailure("got hashes for a collection without a sketch") }
        count(hit) { _ in
            sketch.change(
                idCount: entries.count / SketchEntry.byteCount,
                sum: &writer.countSum,
                hash: { SketchEntry(entries, $0).hash },
                { estimator.set(&$1, hit, SketchEntry(entries, $0)) }
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
    /// The smallest count of the id's buckets before, as of which step. Replay can't know it: some of the buckets may be
    /// newer than the operation.
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

    /// NaN is nil.
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
    /// As `setInBucket`.
    func set(_ bucket: inout FrequencyRecord, _ hit: Hit, _ entry: SketchEntry) {
        let smallest = FrequencyRecord(lastStep: entry.smallestStep, gap: 0, count: entry.smallest, gapCount: 0)
        setInBucket(&bucket, hit, gap: entry.gap, count: entry.count, before: smallest)
    }
}

extension PackedStrings {
    /// What the ids are to a sketch.
    func hashes(_ range: Range<Int>, _ layout: SketchLayout) -> [UInt64] {
        withAllBytes { bytes in
            range.map { layout.hash(UnsafeRawBufferPointer(rebasing: bytes[self.range($0)])) }
        }
    }
}
