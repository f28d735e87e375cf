import SamplingFrequency

/// Encodes the operations of a group, in the layout that `Operation` defines.
struct OperationEncoder {
    /// Room for the group's header, then the operations so far.
    private(set) var bytes = [UInt8](repeating: 0, count: JournalGroup.headerByteCount)

    private static let keptCapacityMax = 32 << 20

    var isEmpty: Bool { bytes.count == JournalGroup.headerByteCount }
    var byteCount: Int { bytes.count }

    /// Keeps the memory, unless the group was unusually large.
    mutating func removeAll() {
        if bytes.capacity > Self.keptCapacityMax {
            self = OperationEncoder()
        } else {
            bytes.removeLast(bytes.count - JournalGroup.headerByteCount)
        }
    }

    mutating func withBytes<R>(_ body: (UnsafeMutableRawBufferPointer) throws -> R) rethrows -> R {
        try bytes.withUnsafeMutableBytes(body)
    }

    mutating func assign(collection: UInt32, row: UInt32, id: UnsafeRawBufferPointer) {
        begin(.assign, collection)
        integer(row)
        integer(UInt8(id.count))
        bytes.append(contentsOf: id)
    }

    mutating func free(collection: UInt32, row: UInt32) {
        begin(.free, collection)
        integer(row)
    }

    mutating func embedding(collection: UInt32, row: UInt32, vector: [Float]) {
        begin(.embedding, collection)
        integer(row)
        integer(UInt16(vector.count))
        vector.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }

    mutating func features(collection: UInt32, row: UInt32, json: [UInt8]) {
        begin(.features, collection)
        integer(row)
        integer(UInt16(json.count))
        bytes.append(contentsOf: json)
    }

    mutating func observe(collection: UInt32, _ hit: Hit, position: UInt64, _ entries: [RecentBank.Entry]) {
        begin(.observe, collection)
        self.hit(hit)
        integer(position)
        integer(UInt32(entries.count))
        entries.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }

    mutating func frequencies(
        collection: UInt32,
        _ hit: Hit,
        rows: [UInt32],
        gaps: [Double],
        counts: [Double]
    ) {
        begin(.frequencies, collection)
        self.hit(hit)
        integer(UInt32(rows.count))
        for index in rows.indices {
            integer(rows[index])
            integer(gaps[index].bitPattern)
            integer(counts[index].bitPattern)
        }
    }

    mutating func producer(collection: UInt32, _ entry: ProducerEntry, place: Int) {
        begin(.producer, collection)
        integer(UInt16(place))
        integer(entry.number)
        integer(entry.step)
        name(entry.name)
    }

    mutating func run(collection: UInt32, _ run: TrainerRun, place: Int) {
        begin(.run, collection)
        integer(UInt16(place))
        integer(run.offset)
        integer(run.lastStep)
        name(run.name)
    }

    mutating func clock(collection: UInt32, from old: Hit, to new: Hit) {
        begin(.clock, collection)
        hit(old)
        hit(new)
    }

    mutating func handover(collection: UInt32, _ totals: StoredTotals) {
        begin(.handover, collection)
        append(byteCount: StoredTotals.byteCount) { totals.encode(into: &$0) }
    }

    mutating func statistics(collection: UInt32, _ entries: [StatisticsEntry]) {
        begin(.statistics, collection)
        integer(UInt32(entries.count))
        append(byteCount: entries.count * StatisticsEntry.byteCount) { fields in
            for entry in entries {
                fields.integer(entry.row)
                entry.record.encode(into: &fields)
            }
        }
    }

    mutating func recent(collection: UInt32, position: UInt64, _ entries: [RecentBank.Entry]) {
        begin(.recent, collection)
        integer(position)
        integer(UInt32(entries.count))
        entries.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }

    mutating func sketchObservation(collection: UInt32, _ hit: Hit, hashes: [UInt64]) {
        begin(.sketchObservation, collection)
        self.hit(hit)
        integer(UInt32(hashes.count))
        for hash in hashes { integer(hash) }
    }

    mutating func sketchFrequencies(collection: UInt32, _ hit: Hit, _ entries: [SketchEntry]) {
        begin(.sketchFrequencies, collection)
        self.hit(hit)
        integer(UInt32(entries.count))
        for entry in entries {
            integer(entry.hash)
            integer((entry.gap ?? .nan).bitPattern)
            integer((entry.count ?? .nan).bitPattern)
            integer(entry.smallest.bitPattern)
            integer(entry.smallestStep)
        }
    }

    mutating func create(collection: UInt32, _ record: CatalogueRecord) {
        begin(.create, collection)
        integer(UInt16(record.byteCount))
        append(byteCount: record.byteCount) { record.encode(into: &$0) }
    }

    mutating func drop(collection: UInt32) {
        begin(.drop, collection)
    }

    /// Two collections exchange their names.
    mutating func swap(_ first: (number: UInt32, newName: String), _ second: (number: UInt32, newName: String)) {
        begin(.swap, first.number)
        name(first.newName)
        integer(second.number)
        name(second.newName)
    }

    mutating func source(_ position: SourcePosition) {
        begin(.source, 0)
        integer(position.sequence)
        name(position.source)
    }

    /// Appends operations that another store has encoded.
    mutating func append(_ operations: [UInt8]) {
        bytes.append(contentsOf: operations)
    }

    /// Appends this many bytes, which `body` writes.
    private mutating func append(byteCount: Int, _ body: (inout ByteWriter) -> Void) {
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: byteCount))
        bytes.withUnsafeMutableBytes { all in
            var fields = ByteWriter(UnsafeMutableRawBufferPointer(rebasing: all[start...]))
            body(&fields)
        }
    }

    private mutating func name(_ name: String) {
        integer(UInt8(name.utf8.count))
        bytes.append(contentsOf: name.utf8)
    }

    private mutating func hit(_ hit: Hit) {
        integer(hit.step)
        integer(Int64(hit.exponent))
        integer(hit.weight.bitPattern)
    }

    private mutating func begin(_ code: Operation.Code, _ collection: UInt32) {
        bytes.append(code.rawValue)
        integer(collection)
    }

    private mutating func integer<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
}
