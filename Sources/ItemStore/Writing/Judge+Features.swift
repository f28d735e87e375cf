import JSONObject

/// Judging writes of features.
extension Judge {
    func judgeFeatures(_ collection: Collection, _ id: [UInt8], _ json: [UInt8]) throws(StoreError) {
        let row = try row(of: id, withVector: false, json, in: collection)
        group.setFeatures(of: row, in: collection, json)
    }

    /// The journal gets the merged features, so replay merges nothing.
    func judgeMerge(_ collection: Collection, _ id: [UInt8], _ patch: [UInt8]) throws(StoreError) {
        let serial = group.serial
        var json = try merged(patch, into: id, in: collection)
        let row = try row(of: id, withVector: false, json, in: collection)
        if group.serial != serial {
            // The group was committed, to make room. If that failed, the features that were pending are gone. This
            // throws only if the id has features that are durable, so it has not got its row just now.
            json = try merged(patch, into: id, in: collection)
        }
        group.setFeatures(of: row, in: collection, json)
    }

    private func merged(
        _ patch: [UInt8],
        into id: [UInt8],
        in collection: Collection
    ) throws(StoreError) -> [UInt8] {
        let json = patch.withUnsafeBytes { patch in
            withJudgedFeatures(of: id, in: collection) { JSONText.merged($0, with: patch) }
        }
        guard json.count <= JSONLimits.bytesMax else {
            throw StoreError(
                .limit,
                "got features that would have \(json.count) bytes when merged, expected at most \(JSONLimits.bytesMax)"
            )
        }
        return json
    }

    /// Calls `body` with the features of the id after all earlier writes, pending ones too; nil if it has none.
    private func withJudgedFeatures<R>(
        of id: [UInt8],
        in collection: Collection,
        _ body: (UnsafeRawBufferPointer?) -> R
    ) -> R {
        let row = id.withUnsafeBytes { collection.ownersRow(of: $0, IdentifierTable.Hash($0)) }
        guard let row, !isBeingFreed(row, in: collection) else { return body(nil) }
        if let pending = group.pendingFeatures(of: row, in: collection) {
            return pending.withUnsafeBytes { body($0) }
        }
        let (chunk, index) = collection.place(of: row)
        return body(chunk.pointee.features[index]?.bytes)
    }
}
