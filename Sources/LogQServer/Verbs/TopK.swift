import ItemStore
import PackedStrings
import VectorIndex
import WireProtocol

/// `TOPK` finds the items with the highest scores.
enum TopK {
    enum Strategy: String, CaseIterable, Sendable {
        case top, random
    }

    static let k = VerbArgument.count("k") { $0.kMax }
    static let strength = DefaultedOptionKey<Double>("strength", .strength, default: 0) {
        "score x·log q less, so that what is sampled often ranks lower; default \($0)"
    }
    static let rankMin = DefaultedOptionKey<Int>("range_min", .integer(1...Int.max), "a", default: 1) {
        "the rank to begin with, counted from 1 at the best, default \($0)"
    }
    static let rankMax = OptionKey<Int>(
        "range_max",
        .integer(1...Int.max),
        "b",
        help: "the rank to end with, at the latest"
    )
    static let scoreMin = OptionKey<Double>(
        "radius",
        .number(expected: "a finite number"),
        "r",
        help: "only items that score so much or more"
    )
    static let except = DefaultedOptionKey.except("ids to leave out, before ranks are counted")
    static let margin = OptionKey<Double>(
        "margin",
        .number(expected: "a finite number of 0 or more") { $0 >= 0 },
        "m",
        help: "of these ranks only what scores m or more below the lowest of except="
    )
    static let sample = OptionKey<Int>("sample", .integer(1...Int.max), help: "n at most of what is left")
    static let strategy = DefaultedOptionKey<Strategy>("strategy", .word, default: .top) { _ in
        "which n: the best (the default), or any, each as likely as the next"
    }
    static let seed = OptionKey<UInt64>(
        "seed",
        .integer(0...UInt64.max),
        help: "the same seed draws the same sample=, strategy=random"
    )
    static let with = DefaultedOptionKey.with(ItemColumn.allCases, help: "more columns")
    static let timeout = OptionKey.timeout("n", "give up after so many milliseconds")
    static let like = OptionKey<[UInt8]>(
        "like",
        .id,
        isPartOfTail: true,
        help: "an item's embedding as the query, itself left out"
    )
    static let query = VerbArgument.vector(or: like)

    static let verb = Verb(
        VerbSyntax(
            "TOPK",
            [.collection, k],
            options: [
                strength, rankMin, rankMax, scoreMin, except, margin, sample, strategy, seed, with, timeout, like,
            ],
            tail: [query]
        ),
        "the k items with the highest scores, exactly",
        example: "TOPK songs 10 except=help! with=logq [0.1,0.2]",
        access: .read,
        .query(search)
    )

    private static func search(_ request: Request, _ services: Services) throws(WireError) -> QueuedQuery {
        let ranks = try ranks(request, services.limits)
        let margin = try margin(request)
        let sample = try sample(request, services.limits)
        let collection = try services.collection(named: request[.collection])
        let (vector, except) = try vectorAndExcept(request, collection)
        let columns = SelectedColumns(request[with], of: collection)
        let question = TopKQuery(
            vector: try QueryVector(vector, for: collection),
            strength: request[strength],
            ranks: ranks,
            scoreMin: request[scoreMin] ?? -.infinity,
            except: except,
            margin: margin,
            sample: sample,
            columns: columns.engineColumns,
            featureBytesMax: services.limits.replyBytesMax
        )
        // A bound on the bytes that wait for a slow reader. A row has at most three bytes for each byte of the id, and
        // 64 for the score, log q and separators.
        let rowBytes = Limits.idBytesMax * 3 + 64 + columns.textBytesMax
        let rowCount = min(ranks.count, sample?.count ?? .max, collection.itemCount)
        let replyBytes = min(rowCount * rowBytes, services.limits.replyBytesMax)
        let search = Search(
            collection: collection,
            question: question,
            timeoutMilliseconds: request[timeout] ?? services.configuration.queryTimeoutMilliseconds,
            answerByteCount: max(replyBytes, question.selectionByteCount(in: collection)),
            vectorCountMin: columns.contains(.vector) ? rowCountMin(question, itemCount: collection.itemCount) : 0,
            rows: { columns.rows(of: $0, numbers: $0.scores) }
        )
        return .search(search)
    }

    /// The fewest rows that the answer has. A radius or a margin may leave none.
    private static func rowCountMin(_ question: TopKQuery, itemCount: Int) -> Int {
        guard question.scoreMin == -.infinity, question.margin == nil else { return 0 }
        let rankedCount = itemCount - question.except.count
        return min(question.ranks.count, rankedCount - question.ranks.lowerBound + 1, question.sample?.count ?? .max)
    }

    /// The vector of the query, and the ids to exclude: those of `except=` and the one of `like=`.
    private static func vectorAndExcept(
        _ request: Request,
        _ collection: Collection
    ) throws(WireError) -> ([Float], PackedStrings) {
        var except = request[except]
        switch request[query] {
        case .vector(let vector):
            return (vector, except)
        case .id(let id):
            let vector = id.withUnsafeBytes { collection.vector(of: $0) }
            guard let vector else {
                let got = id.withUnsafeBytes { quoted($0) }
                throw WireError(.noItem, "got like=\(got), expected the id of an item with an embedding")
            }
            except.append(id)
            return (vector, except)
        }
    }

    /// The requested ranks: at most k of them, from `range_min=` up to `range_max=`.
    private static func ranks(_ request: Request, _ limits: Limits) throws(WireError) -> ClosedRange<Int> {
        let first = request[rankMin]
        let max = request[rankMax] ?? .max
        guard first <= max else {
            throw WireError(.badRequest, "got range_min=\(first) range_max=\(max), expected range_min up to range_max")
        }
        // The sum of `first` and k could overflow, so it is computed only if it is at most `max`.
        let last = max - first < request[k] ? max : first - 1 + request[k]
        guard last <= limits.kMax else {
            throw WireError(.limit, "got ranks \(first) to \(last), expected at most rank \(limits.kMax)")
        }
        return first...last
    }

    private static func margin(_ request: Request) throws(WireError) -> TopKMargin? {
        guard let width = request[margin] else { return nil }
        guard request.has(except) else {
            throw WireError(.badRequest, "got margin= without except=, expected the ids to keep it from in except=")
        }
        return TopKMargin(positives: request[except], width: width)
    }

    private static func sample(_ request: Request, _ limits: Limits) throws(WireError) -> TopKSample? {
        guard let count = request[sample] else {
            if let option = request.first(of: [strategy, seed]) {
                throw WireError(.badRequest, "got \(option.name)= without sample=, expected how many to sample")
            }
            return nil
        }
        guard count <= limits.kMax else {
            throw WireError(.limit, "got sample=\(count), expected at most \(limits.kMax)")
        }
        switch request[strategy] {
        case .random:
            return TopKSample(count: count, strategy: .random(seed: request[seed]))
        case .top:
            guard !request.has(seed) else {
                throw WireError(.badRequest, "got seed= without strategy=random, expected both, or no seed=")
            }
            return TopKSample(count: count)
        }
    }
}
