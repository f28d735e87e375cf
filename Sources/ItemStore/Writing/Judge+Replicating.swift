import JSONObject
import SamplingFrequency
import VectorIndex

/// Operations of another store. Two stores that apply the same operations have the same state, because nothing else
/// changes a store: neither time, nor threads, nor how writes were grouped.
extension Judge {
    /// Commits a group of another store as a group of this one, together with the source position. Throws `badRequest`
    /// if the operations do not continue the state of this store, `limit` or `full` if it has no room for them, and
    /// then nothing has changed.
    func judgeReplicated(_ operations: [UInt8], _ source: SourcePosition?) throws(StoreError) {
        try group.commitPending()
        if let source { try checkSource(source) }
        var check = ReplicationCheck(judge: self)
        try operations.withTypedBytes { bytes throws(StoreError) in
            var reader = OperationReader(bytes)
            while let (number, operation) = try reader.next() { try check.add(operation, of: number) }
        }
        try check.checkMemory()
        if let (number, configuration) = check.created { try records.prepare(configuration, number: number) }
        for (collection, row, id) in check.assigned {
            id.withUnsafeBytes { collection.reserve(assigned: row, for: $0) }
        }
        try group.commitAlone { encoder in
            encoder.append(operations)
            if let source { encoder.source(source) }
        }
        for collection in check.touched { collection.forgetJudged() }
    }

    private func checkSource(_ source: SourcePosition) throws(StoreError) {
        guard (1...255).contains(source.source.utf8.count) else {
            throw StoreError(.badRequest, "got a source name of \(source.source.utf8.count) bytes, expected 1 to 255")
        }
        if let last = records.sources.sequence(of: source.source), source.sequence <= last {
            throw ReplicationCheck.refuse("got \(source.sequence) of '\(source.source)', \(last) is applied")
        }
    }
}

/// Checks the operations of a group one after another, each against the state that those before it leave. Whatever
/// passes can be applied, now and in recovery.
private struct ReplicationCheck {
    /// A real gap comes from one group that failed in the other store.
    private static let rowGapMax = 1 << 20

    private let judge: Judge
    private(set) var created: (number: UInt32, CollectionConfiguration)?
    private(set) var touched: [Collection] = []
    private(set) var assigned: [(collection: Collection, row: UInt32, id: [UInt8])] = []

    /// The rows that the group has changed so far: whether they belong to an id.
    private var isRowInUse: [CollectionRow: Bool] = [:]
    private var assignedIDs: Set<AssignedID> = []
    /// The position of the bank, by collection.
    private var positions: [UInt32: UInt64] = [:]
    /// The producers and the runs, by collection, as the group leaves them.
    private var producers: [UInt32: NamedList<ProducerEntry>] = [:]
    private var runs: [UInt32: NamedList<TrainerRun>] = [:]
    /// The memory in bytes that the group needs besides chunks.
    private var growthByteCount = 0
    private var operationCount = 0
    private var changesCatalogue = false

    private struct AssignedID: Hashable {
        let collection: UInt32
        let id: [UInt8]
    }

    init(judge: Judge) {
        self.judge = judge
    }

    static func refuse(_ why: String) -> StoreError {
        StoreError(.badRequest, "got operations that do not continue this store: \(why)")
    }

    mutating func add(_ operation: Operation, of number: UInt32) throws(StoreError) {
        switch operation {
        case .source(let position):
            guard !position.source.isEmpty else { throw Self.refuse("a source has no name") }
            return
        case .create(let record):
            try addCatalogueChange()
            return try addCreation(number, record)
        case .drop, .clock:
            try addCatalogueChange()
        case .swap:
            // A handover of statistics may come before it.
            guard !changesCatalogue else { throw Self.refuse("a change of the catalogue is a group of its own") }
            changesCatalogue = true
        default:
            guard !changesCatalogue else { throw Self.refuse("a change of the catalogue is a group of its own") }
            operationCount += 1
        }
        guard let collection = judge.catalogue[number: number] else {
            throw Self.refuse("there is no collection \(number)")
        }
        if touched.last !== collection { touched.append(collection) }
        try add(operation, in: collection)
    }

    private mutating func addCatalogueChange() throws(StoreError) {
        guard operationCount == 0, !changesCatalogue else {
            throw Self.refuse("a change of the catalogue is a group of its own")
        }
        changesCatalogue = true
    }

    private mutating func addCreation(_ number: UInt32, _ record: CatalogueRecord) throws(StoreError) {
        guard number >= judge.records.nextCollectionNumber, number < .max else {
            throw Self.refuse("the number \(number) is used up")
        }
        guard (1...64).contains(record.name.utf8.count) else {
            throw Self.refuse("the name of a collection has \(record.name.utf8.count) bytes")
        }
        try judge.checkName(record.name)
        try judge.checkCreation(of: record.configuration)
        created = (number, record.configuration)
    }

    private mutating func add(_ operation: Operation, in collection: Collection) throws(StoreError) {
        switch operation {
        case .assign(let row, let id):
            try addAssignment(row, id, in: collection)
        case .free(let row):
            try requireRow(row, in: collection)
            isRowInUse[CollectionRow(collection: collection.number, row: row)] = false
        case .embedding(let row, let vector):
            try requireRow(row, in: collection)
            try check(vector, in: collection)
        case .features(let row, let json):
            try requireRow(row, in: collection)
            guard (1...JSONLimits.bytesMax).contains(json.count) else {
                throw Self.refuse("features have \(json.count) bytes")
            }
            let known = collection.isInUse(row) ? row : nil
            growthByteCount += max(0, collection.featureGrowth(of: known, jsonByteCount: json.count))
        case .observe(let hit, _, let position, let entries):
            try check(hit, in: collection, isSketch: false)
            try addObservation(position, entries, in: collection)
        case .frequencies(let hit, let entries):
            try check(hit, in: collection, isSketch: false)
            for entry in entries {
                try requireRow(entry.row, in: collection)
                try check(gap: entry.gap, count: entry.count)
            }
        case .sketchObservation(let hit, _, _):
            try check(hit, in: collection, isSketch: true)
        case .sketchFrequencies(let hit, let entries):
            try check(hit, in: collection, isSketch: true)
            for index in 0..<entries.count / SketchEntry.byteCount { try check(SketchEntry(entries, index)) }
        case .producer(let entry, let place):
            try addProducer(entry, at: place, in: collection)
        case .run(let run, let place):
            try addRun(run, at: place, in: collection)
        case .clock(let old, let new):
            try check(old, in: collection, isSketch: collection.sketch != nil)
            try check(new, in: collection, isSketch: collection.sketch != nil)
            guard old.step == collection.totals.lastStep else {
                throw Self.refuse("the clock is at step \(collection.totals.lastStep)")
            }
        case .handover(let totals):
            try addHandover(totals, in: collection)
        case .statistics(let entries):
            for entry in entries { try check(entry, in: collection) }
        case .recent(let position, let entries):
            let end = position.addingReportingOverflow(UInt64(entries.count))
            guard end.partialValue == positions[collection.number], !end.overflow else {
                throw Self.refuse("recent observations end at \(end.partialValue)")
            }
            for entry in entries where entry != .none { try requireRow(entry.row, in: collection) }
        case .swap(let name, let number, let otherName):
            guard let other = judge.catalogue[number: number],
                judge.catalogue[name] === other, judge.catalogue[otherName] === collection
            else { throw Self.refuse("\(collection.number) and \(number) do not have these names") }
        case .drop, .create, .source:
            break
        }
    }

    // MARK: - Rows

    private func isInUse(_ row: UInt32, in collection: Collection) -> Bool {
        isRowInUse[CollectionRow(collection: collection.number, row: row)] ?? collection.isInUse(row)
    }

    private func requireRow(_ row: UInt32, in collection: Collection) throws(StoreError) {
        guard isInUse(row, in: collection) else { throw Self.refuse("row \(row) has no id") }
    }

    /// A row that this very group has freed can't be assigned, because it is free only after the commit.
    private mutating func addAssignment(
        _ row: UInt32,
        _ id: UnsafeRawBufferPointer,
        in collection: Collection
    ) throws(StoreError) {
        let key = CollectionRow(collection: collection.number, row: row)
        guard row < Collection.rowCountMax, isRowInUse[key] == nil, !collection.isInUse(row) else {
            throw Self.refuse("row \(row) has an id")
        }
        guard Int(row) <= Int(collection.owner.rowCount) + assigned.count + Self.rowGapMax else {
            throw Self.refuse("row \(row) is far beyond the \(collection.owner.rowCount) rows")
        }
        let bytes = Array(id)
        guard collection.ownersRow(of: id, IdentifierTable.Hash(id)) == nil,
            assignedIDs.insert(AssignedID(collection: collection.number, id: bytes)).inserted
        else { throw Self.refuse("the id of row \(row) has another row") }
        isRowInUse[key] = true
        growthByteCount += IdentifierSlot.outlinedByteCount(id.count)
        assigned.append((collection, row, bytes))
    }

    /// As for a write of a client: past the limit nothing grows.
    func checkMemory() throws(StoreError) {
        var highest: [ObjectIdentifier: (collection: Collection, row: UInt32)] = [:]
        for (collection, row, _) in assigned {
            let known = highest[ObjectIdentifier(collection)]?.row ?? 0
            highest[ObjectIdentifier(collection)] = (collection, max(known, row))
        }
        let needed = highest.values.reduce(growthByteCount) { sum, entry in
            let chunkCount = Int(entry.row) / ItemChunk.rowCount + 1 - entry.collection.chunks.count
            return sum + max(0, chunkCount) * ItemChunk.byteCount(dimension: entry.collection.configuration.dimension)
                + entry.collection.drawTableGrowth(with: entry.row)
        }
        if needed > 0 { try judge.checkMemory(needed, for: "operations that need") }
    }

    // MARK: - Values

    private func check(_ vector: UnsafeRawBufferPointer, in collection: Collection) throws(StoreError) {
        let dimension = collection.configuration.dimension
        guard vector.count == dimension * MemoryLayout<Float>.size else {
            throw Self.refuse("a vector has \(vector.count) bytes")
        }
        var isZero = true
        for index in 0..<dimension {
            let value = vector.loadUnaligned(fromByteOffset: index * MemoryLayout<Float>.size, as: Float.self)
            guard value.isFinite else { throw Self.refuse("a vector has \(value)") }
            if value != 0 { isZero = false }
        }
        guard !isZero || collection.configuration.metric != .cosine else { throw Self.refuse("a vector is zero") }
    }

    /// The exponent is exact on every machine; the weight may differ in its last digits.
    private func check(_ hit: Hit, in collection: Collection, isSketch: Bool) throws(StoreError) {
        guard (collection.sketch != nil) == isSketch else { throw Self.refuse("the estimator is another one") }
        let own = collection.decay.hit(at: hit.step)
        guard hit.exponent == own.exponent, (hit.weight - own.weight).magnitude <= 0x1p-40 * own.weight else {
            throw Self.refuse("a hit at step \(hit.step) weighs \(hit.weight)·2^\(hit.exponent)")
        }
    }

    private func check(gap: Double?, count: Double?) throws(StoreError) {
        guard gap.map({ $0 > 0 && $0.isFinite }) ?? true, count.map({ $0 >= 0 && $0.isFinite }) ?? true else {
            throw Self.refuse("a frequency has the gap \(gap ?? .nan) and the count \(count ?? .nan)")
        }
    }

    private func check(_ entry: SketchEntry) throws(StoreError) {
        try check(gap: entry.gap, count: entry.count)
        guard entry.smallest >= 0, entry.smallest.isFinite, entry.smallestStep >= -1 else {
            throw Self.refuse("a bucket has the count \(entry.smallest) at step \(entry.smallestStep)")
        }
    }

    private mutating func addHandover(_ totals: StoredTotals, in collection: Collection) throws(StoreError) {
        guard totals.firstStep >= -1, totals.lastStep >= totals.firstStep, totals.lateness >= 0,
            totals.lateness <= Statistics.openStepsMax, totals.pace.steps >= 0, totals.pace.count >= 0,
            totals.hitWeight > 0, totals.hitWeight.isFinite
        else { throw Self.refuse("the totals of a handover are impossible") }
        positions[collection.number] = totals.recentPosition
        producers[collection.number] = NamedList()
        runs[collection.number] = NamedList()
    }

    private func check(_ entry: StatisticsEntry, in collection: Collection) throws(StoreError) {
        if let sketch = collection.sketch {
            guard Int(entry.row) < sketch.layout.totalBucketCount else {
                throw Self.refuse("there is no bucket \(entry.row)")
            }
        } else {
            try requireRow(entry.row, in: collection)
        }
        try check(gap: nil, count: entry.record.count)
        guard entry.record.lastStep >= -1, entry.record.gap >= 0, entry.record.gap.isFinite else {
            throw Self.refuse("statistics have the gap \(entry.record.gap) at step \(entry.record.lastStep)")
        }
    }

    private mutating func addObservation(
        _ position: UInt64,
        _ entries: RowEntries<RecentBank.Entry>,
        in collection: Collection
    ) throws(StoreError) {
        let expected = positions[collection.number] ?? collection.recent.position
        guard position == expected else { throw Self.refuse("got position \(position), expected \(expected)") }
        positions[collection.number] = position + UInt64(entries.count)
        for entry in entries { try requireRow(entry.row, in: collection) }
    }

    private mutating func addProducer(
        _ entry: ProducerEntry,
        at place: Int?,
        in collection: Collection
    ) throws(StoreError) {
        guard (1...ProducerEntry.nameBytesMax).contains(entry.name.utf8.count) else {
            throw Self.refuse("a producer has \(entry.name.utf8.count) bytes")
        }
        var sequences = producers[collection.number] ?? collection.producers.list
        let place = place ?? sequences.place(of: entry.name) ?? sequences.count
        guard place <= sequences.count else { throw Self.refuse("there is no producer \(place)") }
        guard place < judge.limits.producersMax else {
            throw StoreError(.limit, "got producer '\(entry.name)', at most \(judge.limits.producersMax) fit")
        }
        if place == sequences.count { growthByteCount += ProducerEntry.byteCount(of: entry.name) }
        sequences.set(entry, at: place)
        producers[collection.number] = sequences
    }

    private mutating func addRun(_ run: TrainerRun, at place: Int, in collection: Collection) throws(StoreError) {
        var runs = runs[collection.number] ?? collection.runs.list
        guard place <= runs.count, place < collection.runs.countMax,
            run.name.utf8.count <= TrainerRun.nameBytesMax
        else {
            throw Self.refuse("there is no run \(place)")
        }
        runs.set(run, at: place)
        self.runs[collection.number] = runs
    }
}

extension Collection {
    /// Whether a row belongs to an id. Store thread only.
    fileprivate func isInUse(_ row: UInt32) -> Bool {
        guard row < owner.rowCount else { return false }
        let (chunk, index) = place(of: row)
        return chunk.pointee.flags[index].contains(.isUsed)
    }

    /// Reserves the row that another store has given the id. Rows below it that no id ever had become free.
    fileprivate func reserve(assigned row: UInt32, for id: UnsafeRawBufferPointer) {
        if row < owner.rowCount {
            // Both stores hand out the row that was freed last, so it is nearly always the first one.
            takeFreeRow(row)
        } else {
            let between = owner.rowCount..<row
            makeRoom(for: row)
            for row in between.reversed() { pushFreeRow(row) }
        }
        reserve(row, for: id, IdentifierTable.Hash(id))
    }
}

extension [UInt8] {
    /// `withUnsafeBytes` that says which errors it throws.
    func withTypedBytes<E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> Void) throws(E) {
        var failure: E?
        withUnsafeBytes { bytes in
            do throws(E) { try body(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}
