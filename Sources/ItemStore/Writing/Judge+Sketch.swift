import PackedStrings
import SamplingFrequency

/// Judging statistics in collections with a sketch as estimator. Operations have the hashes of the ids, which get no
/// row.
extension Judge {
    func encodeSketchObservation(_ hit: Hit, _ ids: PackedStrings, _ sketch: SketchBuckets, in collection: Collection) {
        let hashes = ids.hashes(0..<ids.count, sketch.layout)
        group.encoder.sketchObservation(collection: collection.number, hit, hashes: hashes)
        sketch.pendingGroupSerial = group.serial
    }

    /// Commits the group if it changes the sketch. The operation that sets counts depends on the present counts of the
    /// buckets, so no change of them may be pending.
    func commitBeforeSketchFrequencies(_ sketch: SketchBuckets) throws(StoreError) {
        guard sketch.pendingGroupSerial == group.serial, !group.isEmpty else { return }
        try group.commitPending()
    }

    func encodeSketchFrequencies(
        _ hit: Hit,
        _ ids: PackedStrings,
        _ gaps: [Double],
        _ counts: [Double],
        _ sketch: SketchBuckets,
        in collection: Collection
    ) {
        /// The buckets as earlier ids of the same write change them.
        var changed: [Int: Statistics] = [:]
        let hashes = ids.hashes(0..<ids.count, sketch.layout)
        let entries = hashes.indices.map { index in
            let before = sketch.record(of: hashes[index]) { changed[$0] }
            let entry = SketchEntry(
                hash: hashes[index],
                gap: gaps[index],
                count: counts[index],
                smallest: before.count,
                smallestStep: before.lastStep
            )
            sketch.forEachBucket(of: hashes[index]) { bucket in
                collection.estimator.set(&changed[bucket, default: sketch.bucket(bucket)], hit, entry)
            }
            return entry
        }
        group.encoder.sketchFrequencies(collection: collection.number, hit, entries)
        sketch.pendingGroupSerial = group.serial
    }
}
