import PackedStrings
import SamplingFrequency

/// Judging observations for a collection whose estimator is a sketch: ids become hashes, and get no row.
extension WritePath {
    func encodeSketchObservation(_ hit: Hit, _ ids: PackedStrings, _ sketch: SketchBuckets, in collection: Collection) {
        let hashes = ids.hashes(0..<ids.count, sketch.layout)
        encoder.sketchObservation(collection: collection.number, hit, hashes: hashes)
        sketch.pendingGroupSerial = groupSerial
    }

    /// A count that is set changes buckets by its difference to what they hold, so nothing of them may be pending, and each
    /// id is judged after those before it in the line.
    func settleForSketchFrequencies(_ sketch: SketchBuckets) throws(StoreError) {
        guard sketch.pendingGroupSerial == groupSerial, !encoder.isEmpty else { return }
        settle()
        try checkWritable()
    }

    func encodeSketchFrequencies(
        _ hit: Hit,
        _ ids: PackedStrings,
        _ gaps: [Double],
        _ counts: [Double],
        _ sketch: SketchBuckets,
        in collection: Collection
    ) {
        /// The buckets that differ from the present ones by what stands earlier in the line.
        var changed: [Int: FrequencyRecord] = [:]
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
        encoder.sketchFrequencies(collection: collection.number, hit, entries)
        sketch.pendingGroupSerial = groupSerial
    }
}
