import NIOCore
import WireProtocol

/// Many requests in one write.
///
/// Even on one machine a round trip costs tens of microseconds, but a request only a few. The daemon also commits
/// writes together that arrive together. So a trainer sends all requests of a step at once, and a loader sends
/// thousands of `PUT`s.
///
/// There are separate overloads for two to four requests, because in a parameter pack the compiler (Swift 6.3) cannot
/// infer `.observe(…)` and literals.
extension LogQClient {
    /// Requests are sent in pieces of about this many bytes and at most this many requests. A piece is large enough to
    /// cost little, and small enough that client and daemon work at the same time.
    private static let pieceByteCountMax = 256 << 10
    private static let pieceRequestCountMax = 4_096

    /// Sends one request and waits for its reply.
    public func send<Reply>(_ request: LogQRequest<Reply>) async throws(LogQError) -> Reply {
        let results = await exchange([request.line])
        return try request.reply(from: results[0])
    }

    /// Sends two requests together and waits for both replies. There are overloads for three and four.
    ///
    /// ```swift
    /// let (_, logQ) = try await client.pipeline(.observe("items", step: 7, ids: batch), .logQ("items", ids: batch))
    /// ```
    ///
    /// The daemon runs each request after the earlier ones, so the log q above includes the observation.
    ///
    /// - Throws: the error of the first request that failed. The others may still have been applied, because the
    ///   requests are independent.
    public func pipeline<A, B>(
        _ a: LogQRequest<A>,
        _ b: LogQRequest<B>
    ) async throws(LogQError) -> (A, B) {
        let results = await exchange([a.line, b.line])
        return (try a.reply(from: results[0]), try b.reply(from: results[1]))
    }

    /// Sends three requests together and waits for all replies.
    public func pipeline<A, B, C>(
        _ a: LogQRequest<A>,
        _ b: LogQRequest<B>,
        _ c: LogQRequest<C>
    ) async throws(LogQError) -> (A, B, C) {
        let results = await exchange([a.line, b.line, c.line])
        return (try a.reply(from: results[0]), try b.reply(from: results[1]), try c.reply(from: results[2]))
    }

    /// Sends four requests together and waits for all replies.
    public func pipeline<A, B, C, D>(
        _ a: LogQRequest<A>,
        _ b: LogQRequest<B>,
        _ c: LogQRequest<C>,
        _ d: LogQRequest<D>
    ) async throws(LogQError) -> (A, B, C, D) {
        let results = await exchange([a.line, b.line, c.line, d.line])
        return (
            try a.reply(from: results[0]), try b.reply(from: results[1]),
            try c.reply(from: results[2]), try d.reply(from: results[3])
        )
    }

    /// Sends any number of requests of one kind together and waits for all replies.
    ///
    /// ```swift
    /// let results = await client.pipeline(zip(ids, vectors).map { .put("items", $0, $1) })
    /// ```
    ///
    /// The requests are sent in pieces of about 256 KiB, each as soon as the client's bounds allow. So the number of
    /// requests is not limited by memory for their lines. Requests of other tasks may come between the pieces.
    ///
    /// - Returns: a result for each request, in order. A failed request does not stop the others, unless the connection
    ///   is lost.
    public func pipeline<Reply>(_ requests: [LogQRequest<Reply>]) async -> [Result<Reply, LogQError>] {
        await start(requests).results()
    }

    /// Sends requests now, and lets the caller wait for the replies later. So a trainer can compute while its
    /// embeddings are sent.
    ///
    /// ```swift
    /// let puts = await client.start(changed.map { .put("items", $0.id, $0.vector) })
    /// ...                                     // the next batch
    /// for result in await puts.results() { try result.get() }
    /// ```
    ///
    /// Returns once the last request has been sent, so it waits while the client is at its bounds. The requests of one
    /// task are sent in the order of its calls.
    public func start<Reply>(_ requests: [LogQRequest<Reply>]) async -> PendingReplies<Reply> {
        PendingReplies(requests: requests, pieces: await sendPieces(of: requests.map(\.line)))
    }

    /// Sends a few lines, and returns a result for each. A line that cannot be encoded is not sent, and only that line
    /// fails.
    private func exchange(_ lines: [RequestLine]) async -> [Result<DecodedReply, LogQError>] {
        var pieces: [Piece] = []
        var next = 0
        while next < lines.count { pieces.append(sendPiece(of: lines, from: &next)) }
        var results: [Result<DecodedReply, LogQError>] = []
        results.reserveCapacity(lines.count)
        for piece in pieces { await piece.collect(lines, into: &results) }
        return results
    }

    /// Sends any number of lines in pieces, each as soon as the client's bounds allow.
    private func sendPieces(of lines: [RequestLine]) async -> [Piece] {
        var pieces: [Piece] = []
        var next = 0
        while next < lines.count {
            let piece = sendPiece(of: lines, from: &next)
            await piece.exchange?.admission()
            pieces.append(piece)
        }
        return pieces
    }

    /// Encodes and submits as many lines as fit into a piece.
    private func sendPiece(of lines: [RequestLine], from next: inout Int) -> Piece {
        var piece = Piece(range: next..<next)
        var writer = RequestWriter(vectorFormat: .base64)
        while next < lines.count, writer.buffer.readableBytes < LogQClient.pieceByteCountMax,
            piece.range.count < LogQClient.pieceRequestCountMax
        {
            let mark = writer.buffer.writerIndex
            do throws(LogQError) {
                try lines[next].write(to: &writer)
            } catch {
                writer.buffer.moveWriterIndex(to: mark)
                piece.refused[next] = error
            }
            next += 1
            piece.range = piece.range.lowerBound..<next
        }
        let requestCount = piece.range.count - piece.refused.count
        if requestCount > 0 { piece.exchange = submit(writer.buffer, requestCount: requestCount) }
        return piece
    }
}

/// Replies that the caller has not read yet. See ``LogQClient/start(_:)``.
///
/// A caller may discard this value: the daemon still runs the requests, and the client drops the replies.
public struct PendingReplies<Reply: Sendable>: Sendable {
    fileprivate let requests: [LogQRequest<Reply>]
    fileprivate let pieces: [Piece]

    /// Waits for the replies, and returns a result for each request, in order.
    public func results() async -> [Result<Reply, LogQError>] {
        let lines = requests.map(\.line)
        var results: [Result<DecodedReply, LogQError>] = []
        results.reserveCapacity(lines.count)
        for piece in pieces { await piece.collect(lines, into: &results) }
        return zip(requests, results).map { request, result in
            Result { () throws(LogQError) in try request.reply(from: result) }
        }
    }
}

/// A range of lines that was sent together.
private struct Piece: Sendable {
    var range: Range<Int>
    /// The errors of lines that could not be encoded, by index.
    var refused: [Int: LogQError] = [:]
    var exchange: Exchange?

    func collect(_ lines: [RequestLine], into results: inout [Result<DecodedReply, LogQError>]) async {
        let outcome = await exchange?.outcome() ?? ExchangeOutcome(replies: [], loss: nil, wasSent: false)
        var replies = outcome.replies.makeIterator()
        let loss = outcome.loss ?? .closed
        for index in range {
            if let error = refused[index] {
                results.append(.failure(error))
            } else if let reply = replies.next() {
                results.append(.success(reply))
            } else {
                let error = LogQError(
                    loss.code,
                    outcome.wasSent ? loss.reason : "\(loss.reason); the request was not sent",
                    request: lines[index].name,
                    mayHaveBeenApplied: outcome.wasSent && lines[index].isWrite
                )
                results.append(.failure(error))
            }
        }
    }
}
