import LogQClient

/// Turns lines into `PUT`s, keeps many in flight, and tracks the line up to which everything is acknowledged.
///
/// It parses and sends a piece of the input while earlier pieces are in flight. It processes replies in order. With
/// several pieces in flight the daemon can commit many items at once. The client bounds the bytes in flight.
struct Loader {
    /// The collection to create before the first item.
    struct Creation {
        /// If nil, the dimension of the first item.
        var dimension: Int?
        var metric: Metric
        var alpha: Double?
    }

    private struct Piece {
        let lineNumbers: [Int]
        /// Every line up to this one is in this piece or an earlier one, or was skipped.
        let lastLine: Int
        let byteCountRead: Int
        let replies: PendingReplies<Void>
    }

    private static let piecesUnderWayMax = 16
    /// The most skipped lines that are reported.
    private static let complaintsMax = 10

    let client: LogQClient
    let collection: String
    let skipErrors: Bool
    var creation: Creation?
    var progress = Progress()
    /// Reports why a line was skipped.
    var complain: (String) -> Void

    /// Whether this load has created the collection.
    private var hasCreated = false
    private(set) var acknowledgedCount = 0
    private(set) var skippedCount = 0
    /// Every line up to this one is acknowledged or skipped.
    private(set) var finishedLine = 0
    /// The reason why reading stopped.
    private var readFailure: Failure?
    /// The first failed reply that ends the load. Its line is before that of `readFailure`.
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

    /// Loads everything, or throws a `Failure` that says from which line to continue. A collection that it has created
    /// and that got no item is dropped again.
    mutating func load(_ reader: inout LineReader, fromLine: Int, interruption: Interruption? = nil) async throws {
        do {
            try await loadAll(&reader, fromLine: fromLine, interruption: interruption)
        } catch {
            if hasCreated, acknowledgedCount == 0 { try? await dropIfEmpty() }
            throw error
        }
    }

    private func dropIfEmpty() async throws {
        guard try await client.collections().first(where: { $0.name == collection })?.idCount == 0 else { return }
        try await client.drop(collection)
    }

    private mutating func loadAll(
        _ reader: inout LineReader,
        fromLine: Int,
        interruption: Interruption?
    ) async throws {
        finishedLine = fromLine - 1
        var underWay: [Piece] = []
        var hasMore = true
        while hasMore, readFailure == nil, replyFailure == nil {
            // The input may be a pipe that is silent for a long time.
            while !reader.waitForInput(milliseconds: 100), interruption?.isRequested != true {}
            if interruption?.isRequested == true {
                readFailure = Failure(.interrupted, "interrupted")
                break
            }
            underWay.append(try await startPiece(&reader, fromLine: fromLine, hasMore: &hasMore))
            if underWay.count > Loader.piecesUnderWayMax {
                await finish(underWay.removeFirst(), byteCountTotal: reader.byteCountTotal)
            }
        }
        for piece in underWay { await finish(piece, byteCountTotal: reader.byteCountTotal) }
        progress.clear()
        if let failure = replyFailure ?? readFailure { throw withAdvice(failure) }
        guard acknowledgedCount > 0 || skippedCount == 0 else {
            throw Failure(.badData, "all \(Show.count(skippedCount)) lines were skipped, nothing was loaded")
        }
    }

    private mutating func startPiece(
        _ reader: inout LineReader,
        fromLine: Int,
        hasMore: inout Bool
    ) async throws -> Piece {
        var requests: [LogQRequest<Void>] = []
        var lineNumbers: [Int] = []
        var lastLine = 0
        var dimension: Int?
        hasMore = try reader.readPiece { number, line in
            guard readFailure == nil else { return }
            if number >= fromLine, let item = parse(line, number) {
                dimension = dimension ?? item.vector?.count
                lineNumbers.append(number)
                requests.append(request(item))
            }
            if readFailure == nil { lastLine = number }
        }
        if let creation, let first = lineNumbers.first {
            guard let dimension = creation.dimension ?? dimension else {
                throw Failure(.badData, "line \(first): got features before any vector, expected --dim with --create")
            }
            try await create(creation, dimension: dimension)
            self.creation = nil
        }
        return Piece(
            lineNumbers: lineNumbers,
            lastLine: lastLine,
            byteCountRead: reader.byteCountRead,
            replies: await client.start(requests)
        )
    }

    private func request(_ item: ItemLine) -> LogQRequest<Void> {
        guard let vector = item.vector else { return .setFeatures(collection, item.id, item.features ?? "{}") }
        return .put(collection, item.id, vector, features: item.features)
    }

    /// The item of a line. Nil for a blank or a bad line. A bad line is counted as skipped, or ends the load.
    private mutating func parse(_ line: UnsafeRawBufferPointer, _ number: Int) -> ItemLine? {
        // Some programs begin a file of UTF-8 with a byte order mark.
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let line = number == 1 && line.starts(with: mark) ? UnsafeRawBufferPointer(rebasing: line[mark.count...]) : line
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
        complain(skippedCount < Loader.complaintsMax ? failure.message : "\(failure.message) (no more are reported)")
    }

    private mutating func create(_ creation: Creation, dimension: Int) async throws {
        do {
            try await client.create(collection, dimension: dimension, metric: creation.metric, alpha: creation.alpha)
            hasCreated = true
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

    private mutating func finish(_ piece: Piece, byteCountTotal: Int?) async {
        let results = await piece.replies.results()
        for (number, result) in zip(piece.lineNumbers, results) {
            switch result {
            case .success:
                acknowledgedCount += 1
            case .failure(let error):
                let failure = Failure(ExitStatus(error), "line \(number): \(error)")
                if skipErrors, Loader.isAboutTheItem(error.code) {
                    skip(failure)
                } else if replyFailure == nil {
                    replyFailure = failure
                    finishedLine = number - 1
                }
            }
        }
        if replyFailure == nil { finishedLine = max(finishedLine, piece.lastLine) }
        let share = byteCountTotal.map { $0 == 0 ? 1 : Double(piece.byteCountRead) / Double($0) }
        progress.update(items: acknowledgedCount, share: share)
    }

    /// Whether the error concerns only this item, so that other items may be accepted.
    private static func isAboutTheItem(_ code: LogQError.Code) -> Bool {
        switch code {
        case .badRequest, .dimension, .badVector, .badID, .limit: true
        default: false
        }
    }

    private func withAdvice(_ failure: Failure) -> Failure {
        let counts = "\(Show.lines(acknowledgedCount)) acknowledged"
        return Failure(failure.exitCode, "\(failure.message); \(counts), go on with --from-line \(finishedLine + 1)")
    }

    /// The report of a load that has ended. `itemCount` is the number of items in the collection.
    func report(seconds: Double, itemCount: Int) -> Report {
        let rate = Int(Double(acknowledgedCount) / max(seconds, 1e-9))
        let skipped = skippedCount > 0 ? ", \(Show.lines(skippedCount)) skipped" : ""
        let items = itemCount == 1 ? "item" : "items"
        return Report(
            text: "\(Show.lines(acknowledgedCount)) acknowledged in \(Show.seconds(seconds)) s"
                + " (\(Show.count(rate))/s)\(skipped); \(collection) has \(Show.count(itemCount)) \(items)",
            json: .object([
                ("acknowledged", JSONValue(acknowledgedCount)), ("skipped", JSONValue(skippedCount)),
                ("lines", JSONValue(finishedLine)), ("items", JSONValue(itemCount)), ("seconds", .number(seconds)),
            ])
        )
    }
}
