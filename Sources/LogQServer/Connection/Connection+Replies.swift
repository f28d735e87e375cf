import DequeModule
import Logging
import NIOCore
import PackedStrings
import WireProtocol

/// A lookup whose rows are written in slices. It may take several turns of the event loop.
struct LookupUnderWay {
    let lookup: Lookup
    let ids: PackedStrings
    let place: Connection.Place
    var trace: TracedRequest?
    var nextRow = 0
    var bytes = ByteBuffer()
}

extension Connection {
    /// More output than this is flushed at once, so that its memory is not kept until the end of the burst.
    private static let outputBytesMax = 1 << 18

    /// Gives a request that has no place yet its place and its answer.
    func answer(_ answer: Answer) {
        let place = state.start(.session, heldByteCount: 64)
        state.finish(place, with: answer)
    }

    /// Replies to a request that has no place yet. If no earlier reply is missing, the rows go straight into the
    /// output.
    func send(_ rows: RowBlock) {
        if !state.isIdle { emitAnswers() }
        if state.isIdle {
            session.replies.write(rows, into: &output)
            if output.readableBytes > Self.outputBytesMax { flush() }
        } else {
            var bytes = ByteBuffer()
            session.replies.write(rows, into: &bytes)
            finish(with: bytes)
        }
    }

    /// Lets a finished reply wait until all earlier replies are sent.
    private func finish(with bytes: ByteBuffer) {
        let place = state.start(.session, heldByteCount: bytes.readableBytes)
        state.finish(place, with: .bytes(bytes))
    }

    /// Moves into the output every answer that may be sent. This is where all errors of requests are counted.
    func emitAnswers() {
        while let answer = state.nextAnswer() {
            switch answer {
            case .done:
                session.replies.write(.empty, into: &output)
            case .failure(let error, let verb):
                services.metrics.addError(error.code, of: verb)
                logRefusal(error, of: verb)
                session.replies.write(error, into: &output)
            case .bytes(var bytes):
                if output.readableBytes == 0 {
                    output = bytes
                } else {
                    output.writeBuffer(&bytes)
                }
            }
            if output.readableBytes > Self.outputBytesMax { flush() }
        }
    }

    private func logRefusal(_ error: WireError, of verb: Int?) {
        services.logger.debug(
            "request refused",
            metadata: [
                "peer": "\(context?.channel.remoteAddress?.text ?? "?")",
                "verb": "\(verb.map { Verbs.resp[$0].syntax.name } ?? "-")",
                "code": "\(error.code.rawValue)", "reason": "\(error.message)",
            ]
        )
    }

    /// The request as the log would name it; nil if slow requests are not logged.
    func traced(_ request: Request) -> TracedRequest? {
        guard services.slowRequests.threshold != nil else { return nil }
        return TracedRequest(
            verb: request.verb,
            collection: request[.collection],
            count: request.size,
            arrival: lastClock
        )
    }

    /// Logs a request whose answer is ready, if that took long.
    func noteIfSlow(_ trace: TracedRequest?, _ error: WireErrorCode? = nil) {
        guard let trace else { return }
        lastClock = .now()
        services.slowRequests.note(
            trace,
            peer: context?.channel.remoteAddress?.text ?? "?",
            error: error?.rawValue,
            lastClock
        )
    }

    func flush() {
        guard output.readableBytes > 0, let context else { return }
        let bytes = output
        output = ByteBuffer()
        flushedByteCount += bytes.readableBytes
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    // MARK: Lookups

    /// Throws `LIMIT` if the reply is far too long, before its rows are read.
    func begin(
        _ lookup: Lookup,
        of ids: PackedStrings,
        _ lineByteCount: Int,
        _ trace: TracedRequest?
    ) throws(WireError) {
        let byteCount = lookup.byteCount(of: ids)
        try checkMemory(byteCount)
        if byteCount > services.limits.replyBytesMax / 2 { try checkLength(of: lookup, ids) }
        guard ids.count <= lookup.rowsPerSlice else {
            let place = state.start(.read, heldByteCount: lineByteCount)
            return lookups.append(LookupUnderWay(lookup: lookup, ids: ids, place: place, trace: trace))
        }
        if !state.isIdle { emitAnswers() }
        if state.isIdle {
            Self.write(lookup, of: ids, session.replies, into: &output)
            if output.readableBytes > Self.outputBytesMax { flush() }
        } else {
            var bytes = ByteBuffer()
            Self.write(lookup, of: ids, session.replies, into: &bytes)
            finish(with: bytes)
        }
        noteIfSlow(trace)
    }

    private static func write(
        _ lookup: Lookup,
        of ids: PackedStrings,
        _ replies: any ReplyWriter,
        into buffer: inout ByteBuffer
    ) {
        let start = buffer.writerIndex
        replies.beginRows(count: ids.count, into: &buffer)
        lookup.rows.write(0..<ids.count, of: ids, replies.encoding, into: &buffer)
        if buffer.writerIndex - start > replies.replyBytesMax { replies.replaceByTooLong(in: &buffer, start: start) }
    }

    private func checkLength(of lookup: Lookup, _ ids: PackedStrings) throws(WireError) {
        let encoding = session.replies.encoding
        // Few rows, because this is on the event loop.
        try session.replies.checkEstimatedLength(
            rowCount: ids.count,
            sampledCount: 64,
            percentMax: 150,
            of: "ids"
        ) { lookup.rows.write($0..<$0 + 1, of: ids, encoding, into: &$1) }
    }

    /// Writes the next slice of the first lookup under way. Returns its cost in the unit of `workPerTurn`; a full slice
    /// costs a whole turn.
    func answerSlice() -> Int {
        guard var first = lookups.popFirst() else { return 0 }
        let lookup = first.lookup
        let rowCount = first.ids.count
        if first.nextRow == 0 { session.replies.beginRows(count: rowCount, into: &first.bytes) }
        let end = min(first.nextRow + lookup.rowsPerSlice, rowCount)
        let rows = first.nextRow..<end
        first.nextRow = end
        lookup.rows.write(rows, of: first.ids, session.replies.encoding, into: &first.bytes)
        let fits = first.bytes.writerIndex <= session.replies.replyBytesMax
        if !fits { session.replies.replaceByTooLong(in: &first.bytes, start: 0) }
        if fits, end < rowCount {
            lookups.prepend(first)
        } else {
            state.finish(first.place, with: .bytes(first.bytes), heldByteCount: first.bytes.readableBytes)
            noteIfSlow(first.trace)
        }
        return 1 + Self.workPerTurn * rows.count / lookup.rowsPerSlice
    }
}
