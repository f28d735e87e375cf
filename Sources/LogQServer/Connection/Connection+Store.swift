import ItemStore
import NIOCore
import Synchronization
import WireProtocol

/// Writes that go to the store together.
struct GatheredWrites {
    /// The data to answer one write.
    struct Reply {
        let place: Connection.Place
        /// The index of the verb.
        let verb: Int
        let rows: Change.Rows?
        let trace: TracedRequest?
    }

    var writes: [Write] = []
    /// One reply for each write.
    var replies: [Reply] = []
    /// The total length of the request lines, in bytes.
    var byteCount = 0
}

/// Writes and queries, whose outcomes come back from other threads.
extension Connection {
    /// Gathered writes of more bytes than this are submitted before the burst ends. A small write queue lowers the
    /// bound.
    private static let gatheredBytesMax = 1 << 20

    // MARK: Writes

    func gather(_ change: Change, verb: Int, _ lineByteCount: Int, _ trace: TracedRequest?) {
        let place = state.start(.write, heldByteCount: lineByteCount + change.answerByteCount)
        gathered.replies.append(GatheredWrites.Reply(place: place, verb: verb, rows: change.rows, trace: trace))
        gathered.writes.append(change.write)
        gathered.byteCount += lineByteCount
        let bytesMax = min(Self.gatheredBytesMax, services.store.configuration.limits.writeQueueBytesMax / 8)
        if gathered.byteCount > bytesMax { submitGathered() }
    }

    /// Submits the gathered writes to the store as one batch, whose outcomes return to the event loop together.
    func submitGathered() {
        guard !gathered.writes.isEmpty, let context else { return }
        let writes = gathered.writes
        let replies = gathered.replies
        gathered = GatheredWrites()
        let eventLoop = context.eventLoop
        let connection = NIOLoopBound(self, eventLoop: eventLoop)
        let batch = WriteBatch(writes) { outcomes in
            eventLoop.execute { connection.value.written(replies, outcomes) }
        }
        do throws(StoreError) {
            try services.store.submit(batch)
        } catch {
            for reply in replies { state.finish(reply.place, with: .failure(WireError(error), verb: reply.verb)) }
        }
    }

    /// Answers the writes of a batch. Outcomes with rows become lookups, because together they may have many thousands
    /// of rows.
    private func written(_ replies: [GatheredWrites.Reply], _ outcomes: [WriteOutcome]) {
        guard !liveness.isGone.load(ordering: .relaxed) else { return }
        for (reply, outcome) in zip(replies, outcomes) {
            if case .failed(let error) = outcome {
                state.finish(reply.place, with: .failure(WireError(error), verb: reply.verb))
                noteIfSlow(reply.trace, WireErrorCode(error.code))
            } else if let (ids, lookup) = reply.rows?(outcome) {
                lookups.append(LookupUnderWay(lookup: lookup, ids: ids, place: reply.place, trace: reply.trace))
            } else {
                state.finish(reply.place, with: .done)
                noteIfSlow(reply.trace)
            }
        }
        process()
    }

    // MARK: Queries

    /// Gives a query its place and submits it to the pool.
    func begin(
        _ query: QueuedQuery,
        verb: Int,
        _ lineByteCount: Int,
        _ trace: TracedRequest?,
        arrival: ContinuousClock.Instant
    ) {
        guard let context else { return }
        let place = state.start(.query, heldByteCount: lineByteCount + query.answerByteCount)
        let eventLoop = context.eventLoop
        let connection = NIOLoopBound(self, eventLoop: eventLoop)
        let recipient = QueryRecipient(
            arrival: arrival,
            isWanted: { [liveness] in !liveness.isGone.load(ordering: .relaxed) },
            deliver: { [replies = session.replies] outcome in
                let isLong = query.answerByteCount > replies.replyBytesMax / 2
                let answer = Self.answer(outcome, verb: verb, replies, isLong: isLong)
                eventLoop.execute { connection.value.answered(place, answer, trace) }
            }
        )
        if !services.pool.submit(query.sent(to: recipient)) {
            let waitingMax = services.configuration.waitingQueriesMax
            let error = WireError(.busy, "got a query while \(waitingMax) wait, expected fewer: try again later")
            state.finish(place, with: .failure(error, verb: verb))
        }
    }

    /// Writes the reply to a query. It runs on a thread of the pool, so that thousands of rows do not occupy the event
    /// loop. `isLong` says that the reply may be too long.
    private static func answer(
        _ outcome: Result<RowBlock, WireError>,
        verb: Int,
        _ replies: any ReplyWriter,
        isLong: Bool
    ) -> Answer {
        do throws(WireError) {
            let rows = try outcome.get()
            if isLong {
                try replies.checkEstimatedLength(
                    rowCount: rows.count,
                    sampledCount: 256,
                    percentMax: 125,
                    of: "rows"
                ) { _ = replies.encoding.writeRows(rows.row($0), into: &$1) }
            }
            var bytes = ByteBuffer()
            replies.write(rows, into: &bytes)
            return .bytes(bytes)
        } catch {
            return .failure(error, verb: verb)
        }
    }

    private func answered(_ place: Place, _ answer: Answer, _ trace: TracedRequest?) {
        state.finish(place, with: answer)
        if case .failure(let error, _) = answer {
            noteIfSlow(trace, error.code)
        } else {
            noteIfSlow(trace)
        }
        process()
    }
}
