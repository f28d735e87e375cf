import ItemStore
import PackedStrings
import WireProtocol

/// Negatives as a query: what is drawn, and the probability it was drawn with.
extension Commands {
    static func sample(_ request: Request, _ services: Services) throws(WireError) -> Sampling {
        let distribution = try distribution(request)
        let collection = try services.collection(named: request.collection)
        let dimension = collection.configuration.dimension
        let columns = itemColumns(request.choices(.with))
        let isUnique = request.choice(.unique) == 0
        let rowCount =
            isUnique ? min(request.count, collection.itemCount) : collection.itemCount == 0 ? 0 : request.count
        if columns.contains(.vector) { try refuseTooLong(rowCount, dimension: dimension, services.limits) }
        // At most: as for `TOPK`, with the numbers of a row twice.
        let rowBytes =
            Limits.idBytesMax * 3 + 96 + (columns.contains(.vector) ? dimension * 17 : 0)
            + (columns.contains(.features) ? Limits.jsonBytesMax : 0)
        let timeout = request.integer(.timeoutMilliseconds).map { Int($0) }
        return Sampling(
            collection: collection,
            query: SampleQuery(
                distribution,
                count: request.count,
                isUnique: isUnique,
                except: request.strings(.except) ?? PackedStrings(),
                seed: request.integer(.seed),
                columns: columns
            ),
            timeoutMilliseconds: timeout ?? services.configuration.queryTimeoutMilliseconds,
            answerByteCount: min(rowCount * rowBytes, services.limits.replyBytesMax)
        ) {
            .rows(rows(of: $0, columns, dimension: dimension))
        }
    }

    /// `power=` and `mix=` belong to some distributions only.
    private static func distribution(_ request: Request) throws(WireError) -> SampleQuery.Distribution {
        let by = CommandTable.distributions[request.choice(.by) ?? 0]
        if request.number(.power) != nil, by == .uniform || by == .recent {
            throw WireError(.badRequest, "got power= with by=\(by.rawValue), expected by=frequency or by=mixed with it")
        }
        guard (by == .mixed) == (request.weights(.mix) != nil) else {
            let got = by == .mixed ? "by=mixed without mix=" : "mix= with by=\(by.rawValue)"
            throw WireError(.badRequest, "got \(got), expected both by=mixed and mix=, or neither")
        }
        let power = request.number(.power) ?? 1
        switch by {
        case .uniform: return .uniform
        case .frequency: return .frequency(power: power)
        case .recent: return .recent
        case .mixed:
            let (inBatch, uniform) = request.weights(.mix) ?? (1, 1)
            return .mixed(power: power, inBatch: inBatch, uniform: uniform)
        }
    }

    /// An answer that would surely be refused is not drawn: at 4,096 dimensions it would take four times the limit.
    private static func refuseTooLong(_ rowCount: Int, dimension: Int, _ limits: Limits) throws(WireError) {
        // A number takes a digit and a comma at least, or four bytes in base64.
        guard rowCount * dimension * 2 <= limits.replyBytesMax else {
            throw WireError.replyTooLong(bytesMax: limits.replyBytesMax)
        }
    }

    private static func rows(of answer: SampleAnswer, _ columns: TopKColumns, dimension: Int) -> RowBlock {
        var block = RowBlock(
            count: answer.ids.count,
            [Column(.ids(answer.ids)), Column(.numbers(answer.q)), Column(.numbers(answer.expected))]
        )
        block.columns += itemColumns(
            columns,
            vectors: answer.vectors,
            dimension: dimension,
            logQ: answer.logQ,
            answer.features
        )
        return block
    }
}
