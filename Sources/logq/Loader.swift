import LogQClient

/// Turns lines into `PUT`s, keeps the pipe full, and knows up to which line everything is acknowledged.
///
/// A chunk of lines is parsed and started while earlier chunks are on their way; their replies are settled in order. Several
/// chunks under way let the daemon commit many items at once; the client bounds how many bytes really are.
struct Loader {
    /// The collection to make before the first item.
    struct Creation {
        /// That of the first item if nil.
        var dimension: Int?
        var metric: Metric
        var alpha: Double?
    }

    private struct Chunk {
        let lineNumbers: [Int]
        /// Every line up to here is in this chunk or an earlier one, or was skipped.
        let lastLine: Int
        let byteCountRead: Int
        let replies: PendingReplies<Void>
    }

    private static let chunksUnderWayMax = 16
    /// Skipped lines that are told in full.
    private static let complaintsMax = 10

    let client: LogQClient
    let collection: String
    let skipErrors: Bool
    var creation: Creation?
    var progress = Progress()
    /// Tells why a line was skipped.
    var complain: (String) -> Void

    private(set) var acknowledgedCount = 0
    private(set) var skippedCount = 0
    /// Every line up to here is acknowledged or skipped.
    private(set) var settledLine = 0
    /// Why reading stopped.
    private var readFailure: Failure?
    /// Why the daemon's answers are not to be trusted any further; about an earlier line than `readFailure`.
    private var replyFailure: Failure?

    init(
        client: LogQClient,
        collection: String,
        skipErrors: Bool,
        complain: @escaping (String) -> Void
    ) {
        self.client = client
        self.collection = collection
        self.skipErrors = skipErrors
        self.complain = complain
    }

    /// Loads everything, or throws a `Failure` that says from which line to go on.
    mutating func load(_ reader: inout LineReader, fromLine: Int, interruption: Interruption? = nil) async throws {
        settledLine = fromLine - 1
        var underWay: [Chunk] = []
        var hasMore = true
        while hasMore, readFailure == nil, replyFailure == nil {
            if interruption?.isRequested == true {
                readFailure = Failure(.interrupted, "interrupted")
                break
            }
            underWay.append(try await startChunk(&reader, fromLine: fromLine, hasMore: &hasMore))
            if underWay.count > Loader.chunksUnderWayMax {
                await settle(underWay.removeFirst(), byteCountTotal: reader.byteCountTotal)
            }
        }
        for chunk in underWay { await settle(chunk, byteCountTotal: reader.byteCountTotal) }
        progress.clear()
        if let failure = replyFailure ?? readFailure { throw withAdvice(failure) }
    }

    private mutating func startChunk(
        _ reader: inout LineReader,
        fromLine: Int,
        hasMore: inout Bool
    ) async throws -> Chunk {
        var requests: [LogQRequest<Void>] = []
        var lineNumbers: [Int] = []
        var lastLine = 0
        var dimension: Int?
        hasMore = try reader.readChunk { number, line in
            guard readFailure == nil else { return }
            if number >= fromLine, let item = parse(line, number) {
                dimension = dimension ?? item.vector.count
                lineNumbers.append(number)
                requests.append(.put(collection, item.id, item.vector, features: item.features))
            }
            if readFailure == nil { lastLine = number }
        }
        if let dimension, let creation {
            try await create(creation, dimension: creation.dimension ?? dimension)
            self.creation = nil
        }
        return Chunk(
            lineNumbers: lineNumbers,
            lastLine: lastLine,
            byteCountRead: reader.byteCountRead,
            replies: await client.start(requests)
        )
    }

    /// The item of a line. Nil for a blank line, and for a bad one, which is counted or ends the load.
    private mutating func parse(_ line: UnsafeRawBufferPointer, _ number: Int) -> ItemLine? {
        if line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { return nil }
        do {
            return try ItemLine(parsing: line)
        } catch {
            let failure = Failure(.badData, "line \(number): \(error.message)")
            if skipErrors { skip(failure) } else { readFailure = failure }
            return nil
        }
    }

    private mutating func skip(_ failure: Failure) {
        skippedCount += 1
        guard skippedCount <= Loader.complaintsMax else { return }
        progress.clear()
        complain(skippedCount < Loader.complaintsMax ? failure.message : "\(failure.message) (no more are told)")
    }

    private func create(_ creation: Creation, dimension: Int) async throws {
        do {
            try await client.create(collection, dimension: dimension, metric: creation.metric, alpha: creation.alpha)
        } catch {
            guard error.code == .exists else { throw error }
            let known = try await client.collections().first { $0.name == collection }
            guard let known, known.dimension == dimension, known.metric == creation.metric,
                known.alpha == creation.alpha ?? known.alpha
            else {
                throw Failure(.refused, "\(error); it is not as --create asks: see logq collections")
            }
        }
    }

    private mutating func settle(_ chunk: Chunk, byteCountTotal: Int?) async {
        let results = await chunk.replies.results()
        for (number, result) in zip(chunk.lineNumbers, results) {
            switch result {
            case .success:
                acknowledgedCount += 1
            case .failure(let error):
                let failure = Failure(ExitStatus(error), "line \(number): \(error)")
                if skipErrors, Loader.isAboutTheItem(error.code) {
                    skip(failure)
                } else if replyFailure == nil {
                    replyFailure = failure
                    settledLine = number - 1
                }
            }
        }
        if replyFailure == nil { settledLine = max(settledLine, chunk.lastLine) }
        let share = byteCountTotal.map { $0 == 0 ? 1 : Double(chunk.byteCountRead) / Double($0) }
        progress.update(items: acknowledgedCount, share: share)
    }

    /// Whether another item might be accepted.
    private static func isAboutTheItem(_ code: LogQError.Code) -> Bool {
        switch code {
        case .badRequest, .dimension, .badVector, .badID, .limit: true
        default: false
        }
    }

    private func withAdvice(_ failure: Failure) -> Failure {
        let counts = "\(Show.count(acknowledgedCount)) items are acknowledged"
        return Failure(failure.exitCode, "\(failure.message); \(counts), go on with --from-line \(settledLine + 1)")
    }

    func report(seconds: Double) -> Report {
        let rate = Int(Double(acknowledgedCount) / max(seconds, 1e-9))
        let lines = skippedCount == 1 ? "line" : "lines"
        let skipped = skippedCount > 0 ? ", \(Show.count(skippedCount)) \(lines) skipped" : ""
        return Report(
            text: "\(Show.count(acknowledgedCount)) items acknowledged in \(Show.seconds(seconds)) s"
                + " (\(Show.count(rate))/s)\(skipped)",
            json: .object([
                ("acknowledged", JSONValue(acknowledgedCount)), ("skipped", JSONValue(skippedCount)),
                ("lines", JSONValue(settledLine)), ("seconds", .number(seconds)),
            ])
        )
    }
}
