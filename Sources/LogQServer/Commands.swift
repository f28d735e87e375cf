import ItemStore
import PackedStrings
import VectorIndex
import WireProtocol

/// The handlers of the verbs, by topic in `Commands+*.swift`. They turn a parsed request into a question to the store,
/// and its answer into columns; they hold no state and no algorithm.
enum Commands {
    /// Rows of about this much text are written before other connections get their turn.
    private static let sliceBytes = 1 << 18

    /// A slice of rows that print about `rowBytes` each.
    static func rowsPerSlice(rowBytes: Int) -> Int {
        max(16, min(2_048, sliceBytes / max(1, rowBytes)))
    }

    /// How long the answer to a write gets at most, `rowBytes` a row besides the id. Checked beforehand: when the write has
    /// been applied it is too late for an `ERR`.
    static func answerByteCount(
        _ ids: PackedStrings,
        rowBytes: Int,
        _ services: Services
    ) throws(WireError) -> Int {
        let byteCount = 16 + IDText.textByteCount(of: ids) + ids.count * rowBytes
        guard byteCount <= services.limits.replyBytesMax else {
            let got = "got ids whose reply may take \(byteCount) bytes"
            throw WireError(.limit, "\(got), expected at most \(services.limits.replyBytesMax): send fewer")
        }
        return byteCount
    }

    /// About how long a vector prints.
    static func vectorBytes(dimension: Int) -> Int { dimension * 12 }
}

// MARK: - Items

extension Commands {
    static func put(_ request: Request) -> Write {
        .put(
            collection: request.collection,
            id: Array(request.ids[0]),
            vector: request.vector ?? [],
            features: request.json
        )
    }

    static func get(_ request: Request, _ services: Services) throws(WireError) -> Lookup {
        let collection = try services.collection(named: request.collection)
        let dimension = collection.configuration.dimension
        let ids = request.ids
        return Lookup(rowCount: ids.count, rowsPerSlice: rowsPerSlice(rowBytes: vectorBytes(dimension: dimension))) {
            let column = collection.embeddings(of: ids, $0)
            return RowBlock(
                count: $0.count,
                [
                    Column(.ids(ids, from: $0.lowerBound)),
                    Column(.vectors(column.values, dimension: dimension, isPresent: column.isPresent)),
                ]
            )
        }
    }

    static func scan(_ request: Request, _ services: Services) throws(WireError) -> Page {
        let collection = try services.collection(named: request.collection)
        let after = request.integer(.after).map { UInt32($0) }
        let limit = request.integer(.limit).map { Int($0) } ?? Limits.scanRowsDefault
        let page = collection.scan(after: after, limit: limit)
        let columns = [Column(.integers(page.rows.map { Int64($0) })), Column(.ids(page.ids))]
        return Page(rows: RowBlock(count: page.rows.count, columns), work: page.rows.count + page.chunkCount)
    }
}

extension Commands {
    static func delete(_ request: Request, _ services: Services) throws(WireError) -> Change {
        let ids = request.ids
        let answerByteCount = try answerByteCount(ids, rowBytes: 3, services)
        var change = Change(.delete(collection: request.collection, ids: ids))
        change.answerByteCount = answerByteCount
        change.rows = { outcome in
            guard case .deleted(let flags) = outcome else { return nil }
            return Lookup(rowCount: ids.count, rowsPerSlice: rowsPerSlice(rowBytes: 64)) {
                let columns = [Column(.ids(ids, from: $0.lowerBound)), Column(.flags(Array(flags[$0])))]
                return RowBlock(count: $0.count, columns)
            }
        }
        return change
    }
}

// MARK: - Features

extension Commands {
    static func features(_ request: Request, _ services: Services) throws(WireError) -> Lookup {
        let collection = try services.collection(named: request.collection)
        let ids = request.ids
        let keys = request.strings(.fields).map(JSONKeys.init)
        // Selecting looks at every byte of an object.
        let rowBytes = keys == nil ? 512 : Limits.jsonBytesMax
        return Lookup(rowCount: ids.count, rowsPerSlice: rowsPerSlice(rowBytes: rowBytes)) {
            var column = collection.features(of: ids, $0)
            if let keys { column.json = select(keys, from: column) }
            return RowBlock(
                count: $0.count,
                [
                    Column(.ids(ids, from: $0.lowerBound)),
                    Column(.json(column.json, isPresent: column.isPresent)),
                ]
            )
        }
    }

    private static func select(_ keys: JSONKeys, from column: Collection.FeatureColumn) -> PackedStrings {
        var selected = PackedStrings()
        for index in 0..<column.json.count {
            if column.isPresent[index] {
                column.json.withString(index) { JSONText.select(keys, from: $0, into: &selected) }
            } else {
                selected.finishString()
            }
        }
        return selected
    }
}

// MARK: - Search

extension Commands {
    static func score(_ request: Request, _ services: Services) throws(WireError) -> Lookup {
        let collection = try services.collection(named: request.collection)
        let query = try queryVector(request.vector ?? [], for: collection)
        let ids = request.ids
        let rows = max(16, min(2_048, (1 << 20) / max(1, query.dimension)))
        return Lookup(rowCount: ids.count, rowsPerSlice: rows) {
            let scores = collection.scores(of: ids, $0, against: query)
            return RowBlock(
                count: $0.count,
                [Column(.ids(ids, from: $0.lowerBound)), Column(.numbers(scores.map { $0 ?? .nan }))]
            )
        }
    }

    static func topK(_ request: Request, _ services: Services) throws(WireError) -> Search {
        let ranks = try ranks(request, services.limits)
        let margin = try margin(request)
        let sample = try sample(request, services.limits)
        let collection = try services.collection(named: request.collection)
        var except = request.strings(.except) ?? PackedStrings()
        var vector = request.vector
        if let like = request.strings(.like) {
            vector = like.withString(0) { collection.vector(of: $0) }
            guard vector != nil else {
                let id = like.withString(0) { quoted($0) }
                throw WireError(.noItem, "got like=\(id), expected the id of an item with an embedding")
            }
            except.append(like[0])
        }
        let dimension = collection.configuration.dimension
        let chosen = request.choices(.with)
        // The first of `CommandTable.topKColumns` is the rank, which every answer has.
        let showsRanks = chosen & 1 != 0
        let columns = itemColumns(chosen >> 1)
        // At most, for it bounds what waits for a slow reader: a byte of an id may take three, a number seventeen.
        let rowBytes =
            Limits.idBytesMax * 3 + 64 + (showsRanks ? 20 : 0) + (columns.contains(.vector) ? dimension * 17 : 0)
            + (columns.contains(.features) ? Limits.jsonBytesMax : 0)
        let query = TopKQuery(
            vector: try queryVector(vector ?? [], for: collection),
            strength: request.number(.strength) ?? 0,
            ranks: ranks,
            scoreMin: request.number(.radius) ?? -.infinity,
            except: except,
            margin: margin,
            sample: sample,
            columns: columns
        )
        let timeout = request.integer(.timeoutMilliseconds).map { Int($0) }
        let rowCount = min(ranks.count, sample?.count ?? .max)
        return Search(
            collection: collection,
            query: query,
            timeoutMilliseconds: timeout ?? services.configuration.queryTimeoutMilliseconds,
            answerByteCount: min(min(rowCount, collection.itemCount) * rowBytes, services.limits.replyBytesMax)
        ) {
            .rows(rows(of: $0, showsRanks: showsRanks, columns, dimension: dimension))
        }
    }

    /// The window of ranks: from `range_min=`, at most k, not behind `range_max=`.
    private static func ranks(_ request: Request, _ limits: Limits) throws(WireError) -> ClosedRange<Int> {
        let first = request.integer(.rangeMin).map { Int($0) } ?? 1
        let max = request.integer(.rangeMax).map { Int($0) } ?? .max
        guard first <= max else {
            throw WireError(.badRequest, "got range_min=\(first) range_max=\(max), expected range_min up to range_max")
        }
        // Either may be as large as an integer gets: they are added up only where the sum is at most `max`.
        let last = max - first < request.k ? max : first - 1 + request.k
        guard last <= limits.kMax else {
            throw WireError(.limit, "got ranks \(first) to \(last), expected at most rank \(limits.kMax)")
        }
        return first...last
    }

    private static func margin(_ request: Request) throws(WireError) -> TopKMargin? {
        guard let width = request.number(.margin) else { return nil }
        guard let positives = request.strings(.except) else {
            throw WireError(.badRequest, "got margin= without except=, expected the ids to keep it from in except=")
        }
        return TopKMargin(positives: positives, width: width)
    }

    private static func sample(_ request: Request, _ limits: Limits) throws(WireError) -> TopKSample? {
        let strategy = request.choice(.strategy).map { CommandTable.strategies[$0] }
        let seed = request.integer(.seed)
        guard let count = request.integer(.sample) else {
            guard strategy == nil, seed == nil else {
                let got = strategy == nil ? "seed=" : "strategy="
                throw WireError(.badRequest, "got \(got) without sample=, expected how many to sample")
            }
            return nil
        }
        guard count <= UInt64(limits.kMax) else {
            throw WireError(.limit, "got sample=\(count), expected at most \(limits.kMax)")
        }
        guard strategy == "random" else {
            guard seed == nil else {
                throw WireError(.badRequest, "got seed= without strategy=random, expected both, or no seed=")
            }
            return TopKSample(count: Int(count))
        }
        return TopKSample(count: Int(count), strategy: .random(seed: seed))
    }

    /// From the bits of `with=`, the lowest of which is the first of `CommandTable.itemColumns`.
    static func itemColumns(_ chosen: UInt32) -> TopKColumns {
        var columns: TopKColumns = []
        for (bit, column) in [TopKColumns.vector, .logQ, .features].enumerated() where chosen & 1 << UInt32(bit) != 0 {
            columns.insert(column)
        }
        return columns
    }

    /// Those of `CommandTable.itemColumns` that are wanted.
    static func itemColumns(
        _ wanted: TopKColumns,
        vectors: [Float],
        dimension: Int,
        logQ: [Double],
        _ features: Collection.FeatureColumn
    ) -> [Column] {
        var columns: [Column] = []
        if wanted.contains(.vector) { columns.append(Column(.vectors(vectors, dimension: dimension))) }
        if wanted.contains(.logQ) { columns.append(Column(.numbers(logQ))) }
        if wanted.contains(.features) { columns.append(Column(.json(features.json, isPresent: features.isPresent))) }
        return columns
    }

    private static func rows(
        of answer: TopKAnswer,
        showsRanks: Bool,
        _ columns: TopKColumns,
        dimension: Int
    ) -> RowBlock {
        var block = RowBlock(count: answer.ids.count, [Column(.ids(answer.ids)), Column(.numbers(answer.scores))])
        if showsRanks { block.columns.append(Column(.integers(answer.ranks.map { Int64($0) }))) }
        block.columns += itemColumns(
            columns,
            vectors: answer.vectors,
            dimension: dimension,
            logQ: answer.logQ,
            answer.features
        )
        return block
    }

    private static func queryVector(
        _ vector: [Float],
        for collection: Collection
    ) throws(WireError) -> QueryVector {
        let dimension = collection.configuration.dimension
        guard vector.count == dimension else {
            throw WireError(.dimension, "got \(vector.count) numbers, expected \(dimension)")
        }
        if collection.configuration.metric == .cosine, vector.allSatisfy({ $0 == 0 }) {
            throw WireError(.badVector, "got a vector of zeros, expected one with a direction: the metric is cosine")
        }
        return QueryVector(vector, metric: collection.configuration.metric)
    }
}
