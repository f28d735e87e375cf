import DequeModule
import ItemStore
import NIOCore
import PackedStrings
import Synchronization
import WireProtocol

/// A request that was parsed but may not start yet.
struct HeldRequest {
    let request: Request
    let lineByteCount: Int
    /// When it was taken from its line: its time runs from then.
    let start: ContinuousClock.Instant
}

/// Writes that go to the store together, with the places of their answers.
struct GatheredWrites {
    var writes: [Write] = []
    var answers: [(place: ConnectionState<Connection.Answer>.Place, rows: Change.Rows?)] = []
    var byteCount = 0
}

/// A lookup that is answered by and by: its rows may take several turns of the event loop.
struct LookupUnderWay {
    let lookup: Lookup
    let place: ConnectionState<Connection.Answer>.Place
    var nextRow = 0
    var bytes = ByteBuffer()
}

/// From lines to answers.
extension Connection {
    /// One turn of the event loop does about this much: a row counts one, so does a bit of line.
    private static let workPerTurn = 4_096
    /// Gathered writes are submitted when they hold this much, also within a burst.
    private static let gatheredBytesMax = 1 << 20

    /// Takes requests until there is none, one has to wait, or the turn's work is done.
    func takeRequests() {
        var workLeft = Self.workPerTurn
        while !isPutOff {
            guard workLeft > 0 else { return continueLater() }
            if !lookups.isEmpty {
                workLeft -= answerSlice()
                continue
            }
            guard state.mayTakeRequest else { return }
            if let waiting = held {
                guard begin(waiting.request, waiting.lineByteCount, heldSince: waiting.start, &workLeft) else { return }
                held = nil
                continue
            }
            guard let frame = framer.next() else { return }
            switch frame {
            case .lost(let error):
                errorCount += 1
                answer(.failure(error))
                state.end(.shutAndDiscard)
            case .line(let byteCount):
                takeLine(byteCount, &workLeft)
            }
        }
    }

    private func takeLine(_ byteCount: Int, _ workLeft: inout Int) {
        workLeft -= 4 + byteCount / 64
        requestCount += 1
        consumedByteCount += byteCount
        if let drain, consumedByteCount > drain.honouredByteCount {
            framer.consume(byteCount: byteCount)
            errorCount += 1
            answer(.failure(WireError(.draining, "the daemon is stopping and takes no more requests")))
            return state.end(.shutAndDiscard)
        }
        let parsed = framer.withLine(byteCount: byteCount) { line in
            Result { () throws(WireError) -> Request in try services.parser.parse(line) }
        }
        framer.consume(byteCount: byteCount)
        switch parsed {
        case .success(let request):
            if !begin(request, byteCount, &workLeft) {
                held = HeldRequest(request: request, lineByteCount: byteCount, start: .now)
            }
        case .failure(let error):
            errorCount += 1
            answer(.failure(error))
        }
    }

    /// Starts a request, if it may start now.
    private func begin(
        _ request: Request,
        _ lineByteCount: Int,
        heldSince start: ContinuousClock.Instant? = nil,
        _ workLeft: inout Int
    ) -> Bool {
        let command = CommandTable.commands[request.verb]
        guard state.mayStart(command.action.kind) else {
            // What it waits for has to get under way.
            submitGathered()
            return false
        }
        do throws(WireError) {
            switch command.action {
            case .session(let handler):
                send(try handler(&session, request, services))
            case .quit:
                answer(.done)
                state.end(.shutAndDiscard)
            case .read(let handler):
                let reply = try handler(request, services)
                if case .rows(let block) = reply { workLeft -= block.count }
                send(reply)
            case .scan(let handler):
                let page = try handler(request, services)
                workLeft -= page.work
                send(.rows(page.rows))
            case .lookup(let handler):
                let lookup = try handler(request, services)
                workLeft -= lookup.rowCount
                begin(lookup, lineByteCount)
            case .search(let handler):
                begin(try handler(request, services), lineByteCount, takenAt: start ?? .now)
            case .sample(let handler):
                begin(try handler(request, services), lineByteCount, takenAt: start ?? .now)
            case .change(let handler):
                gather(try handler(request, services), lineByteCount)
            }
        } catch {
            errorCount += 1
            answer(.failure(error))
        }
        return true
    }

    // MARK: - Answers on the spot

    /// Answers a request that has no place yet: at once if it is the only one, else in its turn.
    func answer(_ answer: Answer) {
        let place = state.start(.session, heldByteCount: 64)
        state.finish(place, with: answer)
    }

    private func send(_ reply: Reply) {
        write { connection, buffer in connection.session.writer.write(reply, into: &buffer) }
    }

    /// Lets `body` write an answer: straight into the output if nothing is under way, else into a buffer of its own.
    private func write(_ body: (Connection, inout ByteBuffer) -> Void) {
        if !state.isIdle { emitAnswers() }
        if state.isIdle {
            body(self, &output)
            if output.readableBytes > 1 << 18 { flush() }
        } else {
            var buffer = ByteBuffer()
            body(self, &buffer)
            let place = state.start(.session, heldByteCount: buffer.readableBytes)
            state.finish(place, with: .bytes(buffer))
        }
    }

    // MARK: - Lookups

    private func begin(_ lookup: Lookup, _ lineByteCount: Int) {
        guard lookup.rowCount <= lookup.rowsPerSlice else {
            let place = state.start(.read, heldByteCount: lineByteCount)
            return lookups.append(LookupUnderWay(lookup: lookup, place: place))
        }
        send(.rows(lookup.rows(0..<lookup.rowCount)))
    }

    /// Writes the next rows of the first lookup under way. Returns what that was of a turn's work: all of it, if the slice
    /// was a whole one.
    private func answerSlice() -> Int {
        guard var first = lookups.popFirst() else { return 0 }
        let lookup = first.lookup
        if first.nextRow == 0 { session.writer.beginRows(count: lookup.rowCount, into: &first.bytes) }
        let end = min(first.nextRow + lookup.rowsPerSlice, lookup.rowCount)
        let rows = first.nextRow..<end
        first.nextRow = end
        let fits = session.writer.write(lookup.rows(rows), into: &first.bytes, start: 0)
        if !fits { session.writer.writeTooLong(into: &first.bytes, start: 0) }
        if fits, end < lookup.rowCount {
            lookups.prepend(first)
        } else {
            state.finish(first.place, with: .bytes(first.bytes), heldByteCount: first.bytes.readableBytes)
        }
        return 1 + Self.workPerTurn * rows.count / lookup.rowsPerSlice
    }

    // MARK: - Writes

    private func gather(_ change: Change, _ lineByteCount: Int) {
        let place = state.start(.write, heldByteCount: lineByteCount + change.answerByteCount)
        gathered.answers.append((place, change.rows))
        gathered.writes.append(change.write)
        gathered.byteCount += lineByteCount
        let bytesMax = min(Self.gatheredBytesMax, services.store.configuration.limits.writeQueueBytesMax / 8)
        if gathered.byteCount > bytesMax { submitGathered() }
    }

    /// Hands the gathered writes to the store as one batch. Its completion hops back here once.
    func submitGathered() {
        guard !gathered.writes.isEmpty, let context else { return }
        let writes = gathered.writes
        let answers = gathered.answers
        gathered = GatheredWrites()
        let eventLoop = context.eventLoop
        let connection = NIOLoopBound(self, eventLoop: eventLoop)
        let batch = WriteBatch(writes) { outcomes in
            eventLoop.execute { connection.value.written(answers, outcomes) }
        }
        do throws(StoreError) {
            try services.store.submit(batch)
        } catch {
            errorCount += writes.count
            for (place, _) in answers { state.finish(place, with: .failure(WireError(error))) }
        }
    }

    /// Rows are not written here: outcomes of many thousand may come together. They are lookups like any other.
    private func written(
        _ answers: [(place: ConnectionState<Answer>.Place, rows: Change.Rows?)],
        _ outcomes: [WriteOutcome]
    ) {
        guard !life.isGone.load(ordering: .relaxed) else { return }
        for ((place, rows), outcome) in zip(answers, outcomes) {
            if case .failed(let error) = outcome {
                errorCount += 1
                state.finish(place, with: .failure(WireError(error)))
            } else if let lookup = rows?(outcome) {
                lookups.append(LookupUnderWay(lookup: lookup, place: place))
            } else {
                state.finish(place, with: .done)
            }
        }
        pump()
    }

    // MARK: - Searches and draws

    private func begin(_ search: Search, _ lineByteCount: Int, takenAt start: ContinuousClock.Instant) {
        let answerByteCount = max(search.answerByteCount, search.query.selectionByteCount(in: search.collection))
        beginQuery(lineByteCount + answerByteCount) { (isWanted, deliver) in
            let timeout = search.timeoutMilliseconds
            return services.pool.submit(
                QueuedSearch(
                    collection: search.collection,
                    query: search.query(takenAt: start),
                    isWanted: isWanted,
                    complete: { deliver($0.map(search.reply).mapError { WireError($0, within: timeout) }) }
                )
            )
        }
    }

    private func begin(_ sampling: Sampling, _ lineByteCount: Int, takenAt start: ContinuousClock.Instant) {
        beginQuery(lineByteCount + sampling.answerByteCount) { (isWanted, deliver) in
            let timeout = sampling.timeoutMilliseconds
            return services.pool.submit(
                QueuedSampling(
                    collection: sampling.collection,
                    query: sampling.query,
                    deadline: start + .milliseconds(timeout),
                    isWanted: isWanted,
                    complete: { deliver($0.map(sampling.reply).mapError { WireError($0, within: timeout) }) }
                )
            )
        }
    }

    /// Gives a query its place and lets `submit` hand it to the pool, with how to ask whether it is still wanted, and
    /// where its outcome goes.
    private func beginQuery(
        _ heldByteCount: Int,
        submit: (@escaping @Sendable () -> Bool, @escaping @Sendable (Result<Reply, WireError>) -> Void) -> Bool
    ) {
        guard let context else { return }
        let place = state.start(.search, heldByteCount: heldByteCount)
        let eventLoop = context.eventLoop
        let connection = NIOLoopBound(self, eventLoop: eventLoop)
        let writer = session.writer
        let life = self.life
        let isTaken = submit(
            { !life.isGone.load(ordering: .relaxed) },
            { outcome in
                let answer = Self.answer(outcome, writer)
                eventLoop.execute { connection.value.searched(place, answer) }
            }
        )
        if !isTaken {
            errorCount += 1
            let waitingMax = services.configuration.waitingQueriesMax
            let error = WireError(.busy, "got a query while \(waitingMax) wait, expected fewer: try again later")
            state.finish(place, with: .failure(error))
        }
    }

    /// On a thread of the pool: thousands of rows are written there, not on the event loop.
    private static func answer(_ outcome: Result<Reply, WireError>, _ writer: ReplyWriter) -> Answer {
        switch outcome {
        case .success(let reply):
            var bytes = ByteBuffer()
            writer.write(reply, into: &bytes)
            return .bytes(bytes)
        case .failure(let error):
            return .failure(error)
        }
    }

    private func searched(_ place: ConnectionState<Answer>.Place, _ answer: Answer) {
        if case .failure = answer { errorCount += 1 }
        state.finish(place, with: answer)
        pump()
    }
}

extension Command.Action {
    var kind: ConnectionState<Connection.Answer>.Kind {
        switch self {
        case .session, .quit: .session
        case .read, .scan, .lookup: .read
        case .search, .sample: .search
        case .change: .write
        }
    }
}
