import ItemStore
import PackedStrings
import WireProtocol

/// `SAMPLE` draws negatives, each with the probability of its draw.
enum Sample {
    /// The words of `by=`.
    enum Distribution: String, CaseIterable, Sendable {
        case uniform, frequency, mixed, recent
    }

    static let count = VerbArgument.count("n") { min($0.idsMax, Limits.drawsMax) }
    static let by = DefaultedOptionKey<Distribution>("by", .word, default: .uniform) {
        "what makes an item likely: nothing (\($0), the default), its count, either, "
            + "or its part in the latest observations"
    }
    static let power = DefaultedOptionKey<Double>(
        "power",
        .number(expected: "a number from 0 to 1") { $0 >= 0 && $0 <= 1 },
        default: 1
    ) {
        "by frequency or mixed: q is in proportion to count^x, 0 to 1, default \($0)"
    }
    static let mix = OptionKey<Weights>(
        "mix",
        .weights,
        help: "by mixed: by frequency with probability B/(B+B'), else uniform"
    )
    static let unique = DefaultedOptionKey<Bool>("unique", .flag, default: false) {
        "no item twice, default \($0); with few items, or after 100 n draws, there are fewer rows than n"
    }
    static let insist = DefaultedOptionKey<Bool>("insist", .flag, default: false) {
        "n rows or the error NOITEM, never fewer rows, default \($0)"
    }
    static let except = DefaultedOptionKey.except("ids that can't be drawn")
    static let seed = OptionKey<UInt64>(
        "seed",
        .integer(0...UInt64.max),
        "s",
        help: "the same seed and the same collection give the same draw"
    )
    static let with = DefaultedOptionKey.with(
        [.vector, .logQ, .features],
        help: "more columns; logq is what LOGQ answers, whatever was drawn by"
    )
    static let timeout = OptionKey.timeout("t", "give up if the draw is not begun within so many milliseconds")

    static let verb = Verb(
        VerbSyntax(
            "SAMPLE",
            [.collection, count],
            options: [by, power, mix, unique, insist, except, seed, with, timeout]
        ),
        "draw n negatives, each with its probability",
        example: "SAMPLE songs 100 by=mixed power=0.75 mix=3:1 except=help! with=vector,logq",
        access: .read,
        .query(sample)
    )

    private static func sample(_ request: Request, _ services: Services) throws(WireError) -> QueuedQuery {
        let distribution = try distribution(request)
        let collection = try services.collection(named: request[.collection])
        let columns = SelectedColumns(request[with], of: collection)
        let question = SampleQuery(
            distribution,
            count: request[count],
            isUnique: request[unique],
            except: request[except],
            seed: request[seed],
            columns: columns.engineColumns,
            featureBytesMax: services.limits.replyBytesMax
        )
        let rowCount = rowCount(question, itemCount: collection.itemCount)
        // At most three bytes for each byte of the id, and 96 for q, expected, log q and separators. The values in
        // memory take no more.
        let rowBytes = Limits.idBytesMax * 3 + 96 + columns.textBytesMax
        let sampling = Sampling(
            collection: collection,
            question: question,
            timeoutMilliseconds: request[timeout] ?? services.configuration.queryTimeoutMilliseconds,
            answerByteCount: min(rowCount * rowBytes, services.limits.replyBytesMax),
            // As if nothing were excluded. Otherwise the vectors of one request could take much memory: 16,384 draws of
            // 4,096 dimensions are 256 MiB.
            vectorCountMin: columns.contains(.vector) ? rowCount : 0,
            rows: { [insists = request[insist]] answer throws(WireError) in
                if insists, answer.ids.count < question.count {
                    let got = "got \(answer.ids.count) of \(question.count) items"
                    throw WireError(.noItem, "\(got), expected all of them: insist=true")
                }
                return columns.rows(of: answer, numbers: answer.q, answer.expected)
            }
        )
        return .sampling(sampling)
    }

    /// The distribution. Throws `BADREQUEST` if `power=` or `mix=` does not belong to it, or if `mix=` is missing.
    private static func distribution(_ request: Request) throws(WireError) -> SampleQuery.Distribution {
        let by = request[by]
        if request.has(power), by == .uniform || by == .recent {
            throw WireError(.badRequest, "got power= with by=\(by.rawValue), expected by=frequency or by=mixed with it")
        }
        let weights = request[mix]
        switch (by, weights) {
        case (.uniform, nil): return .uniform
        case (.frequency, nil): return .frequency(power: request[power])
        case (.recent, nil): return .recent
        case (.mixed, let weights?):
            return .mixed(power: request[power], inBatch: weights.inBatch, uniform: weights.uniform)
        case (_, nil):
            throw WireError(.badRequest, "got by=mixed without mix=, expected both by=mixed and mix=, or neither")
        case (_, _?):
            let got = "got mix= with by=\(by.rawValue)"
            throw WireError(.badRequest, "\(got), expected both by=mixed and mix=, or neither")
        }
    }

    /// The most rows that the reply may have.
    private static func rowCount(_ question: SampleQuery, itemCount: Int) -> Int {
        if question.isUnique { return min(question.count, itemCount) }
        return itemCount == 0 ? 0 : question.count
    }
}
