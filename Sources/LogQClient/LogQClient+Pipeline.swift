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
    /// Encoded requests are sent in pieces of about this many bytes...
    private static let pieceByteCountMax = 256 << 10
    /// ...and at most so many requests,
    private static let pieceRequestCountMax = 4_096
    /// and one call has at most so many pieces under way: enough to keep both sides busy, 2 MiB of memory.
    private static let piecesUnderWayMax = 8

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
    /// Sent in pieces of about 256 KiB, eight of them under way at most, so the number of requests is not limited by
    /// memory for their encoded lines. Requests of other tasks may come between the pieces.
    ///
    /// - Returns: a result for each request, in order. One that fails does not stop the others, unless the connection is lost.
    public func pipeline<Reply>(_ requests: [LogQRequest<Reply>]) async -> [Result<Reply, LogQError>] {
        let results = await exchange(requests.map(\.line))
        return zip(requests, results).map { request, result in
            Result { () throws(LogQError) in try request.reply(from: result) }
        }
    }

    /// What came back for each line. A line that can not be written is not sent, and fails alone.
    func exchange(_ lines: [RequestLine]) async -> [Result<DecodedReply, LogQError>] {
        var results: [Result<DecodedReply, LogQError>] = []
        results.reserveCapacity(lines.count)
        var underWay: [Piece] = []
        var next = 0
        while next < lines.count || !underWay.isEmpty {
            if next < lines.count, underWay.count < LogQClient.piecesUnderWayMax {
                underWay.append(sendPiece(of: lines, from: &next))
                continue
            }
            let piece = underWay.removeFirst()
            await piece.collect(lines, into: &results)
        }
        return results
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

/// A run of lines that was sent together.
private struct Piece {
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
