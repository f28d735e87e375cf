import NIOCore
import WireProtocol

/// Many requests in one write.
///
/// A round trip costs tens of microseconds even on one machine, a request a few; and the daemon commits together what
/// arrives together. So a trainer's step asks everything it wants at once, and a loader sends thousands of `PUT`s.
///
/// The overloads for two to four requests are written out because a parameter pack (Swift 6.3) does not let the compiler
/// infer `.observe(…)` and literals in its elements.
extension LogQClient {
    /// Requests are sent in pieces of about this many bytes and at most so many requests: large enough to cost little,
    /// small enough to keep both sides busy at the same time.
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
    /// The daemon judges each request after the ones before it: the log q above includes the observation.
    ///
    /// - Throws: the error of the first request that failed. The others may have been applied: they are independent.
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
    /// Sent in pieces of about 256 KiB, each when there is room for it, so the number of requests is not limited by memory
    /// for their lines. Requests of other tasks may come between the pieces.
    ///
    /// - Returns: a result for each request, in order. One that fails does not stop the others, unless the connection is lost.
    public func pipeline<Reply>(_ requests: [LogQRequest<Reply>]) async -> [Result<Reply, LogQError>] {
        await start(requests).results()
    }

    /// Sends requests now and leaves the replies for later: for a trainer that computes on while its embeddings go out.
    ///
    /// ```swift
    /// let puts = await client.start(changed.map { .put("items", $0.id, $0.vector) })
    /// ...                                     // the next batch
    /// for result in await puts.results() { try result.get() }
    /// ```
    ///
    /// Returns when the last request is on its way, so it waits if too much is under way already. What one task starts
    /// is sent in the order of its calls.
    public func start<Reply>(_ requests: [LogQRequest<Reply>]) async -> PendingReplies<Reply> {
        PendingReplies(requests: requests, pieces: await sendPieces(of: requests.map(\.line)))
    }

    /// What came back for each of a few lines. A line that can not be written is not sent, and fails alone.
    private func exchange(_ lines: [RequestLine]) async -> [Result<DecodedReply, LogQError>] {
        var pieces: [Piece] = []
        var next = 0
        while next < lines.count { pieces.append(sendPiece(of: lines, from: &next)) }
        var results: [Result<DecodedReply, LogQError>] = []
        results.reserveCapacity(lines.count)
        for piece in pieces { await piece.collect(lines, into: &results) }
        return results
    }

    /// Sends any number of lines, a piece whenever there is room for it.
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

/// Replies that are still to come, or are waiting to be fetched. See ``LogQClient/start(_:)``.
///
/// Letting it go is allowed: the requests are carried out, the replies are dropped.
public struct PendingReplies<Reply: Sendable>: Sendable {
    fileprivate let requests: [LogQRequest<Reply>]
    fileprivate let pieces: [Piece]

    /// Waits for the replies: a result for each request, in order.
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

/// A run of lines that was sent together.
private struct Piece: Sendable {
    var range: Range<Int>
    /// Lines that could not be written.
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
