import DequeModule
import ItemStore
import NIOCore
import PackedStrings
import WireProtocol

/// A parsed request that may not start yet.
struct HeldRequest {
    let request: Request
    let lineByteCount: Int
    /// When the request arrived. Its timeout starts at this time.
    let arrival: ContinuousClock.Instant
    let trace: TracedRequest?
}

extension Connection {
    /// The work of one turn of the event loop. A row counts 1, and so do 64 bytes of a request.
    static let workPerTurn = 4_096

    /// Starts requests until none is left, one has to wait, or the turn's work is used up.
    func takeRequests() {
        var workLeft = Self.workPerTurn
        // A local variable, because handlers would otherwise get a copy of the connection's request.
        var request = Request()
        swap(&request, &parsed)
        defer { swap(&request, &parsed) }
        if services.slowRequests.threshold != nil { lastClock = .now() }
        while !state.input.isPutOff {
            guard workLeft > 0 else { return continueLater() }
            if !lookups.isEmpty {
                workLeft -= answerSlice()
                continue
            }
            guard mayTakeRequest else { return }
            if let waiting = held {
                guard begin(waiting.request, waiting.lineByteCount, waiting.trace, waiting.arrival, &workLeft) else {
                    return
                }
                held = nil
                continue
            }
            guard let frame = framer.next() else { return }
            switch frame {
            case .lost(let error):
                answer(.failure(error, verb: nil))
                state.end(.shutAndDiscard)
            case .request(let byteCount):
                take(byteCount, &request, &workLeft)
            }
        }
    }

    private func take(_ byteCount: Int, _ request: inout Request, _ workLeft: inout Int) {
        workLeft -= 4 + byteCount / 64
        let isServed = state.input.take(byteCount)
        do throws(RefusedRequest) {
            defer { framer.consume(byteCount: byteCount) }
            guard isServed else { throw .draining }
            try framer.parse(byteCount: byteCount, with: session.dialect.parser, into: &request)
        } catch {
            counts.addRequest(of: error.verb, services.metrics)
            answer(.failure(error.error, verb: error.verb))
            if error.endsConnection { state.end(.shutAndDiscard) }
            return
        }
        counts.addRequest(of: request.verb, services.metrics)
        let trace = traced(request)
        if !begin(request, byteCount, trace, nil, &workLeft) {
            held = HeldRequest(request: request, lineByteCount: byteCount, arrival: .now, trace: trace)
            request = Request()
        } else if !session.dialect.verbs[request.verb].action.borrowsIDs {
            request.forgetIDs()
        }
    }

    /// Starts a request. Returns false, and starts nothing, if it may not start yet. A nil `arrival` means now.
    private func begin(
        _ request: Request,
        _ lineByteCount: Int,
        _ trace: TracedRequest?,
        _ arrival: ContinuousClock.Instant?,
        _ workLeft: inout Int
    ) -> Bool {
        let action = session.dialect.verbs[request.verb].action
        guard state.mayStart(action.kind) else {
            // The request may wait for gathered writes, which must be submitted so that they finish.
            submitGathered()
            return false
        }
        do throws(WireError) {
            switch action {
            case .session(let handler), .setting(let handler):
                send(try handler(&session, request, services))
                noteIfSlow(trace)
                if session.isEnding { state.end(.shutAndDiscard) }
            case .read(let handler):
                let page = try handler(request, services)
                workLeft -= page.work
                send(page.rows)
                noteIfSlow(trace)
            case .lookup(let handler):
                let lookup = try handler(request, services)
                workLeft -= request.ids.count
                try begin(lookup, of: request.ids, lineByteCount, trace)
            case .query(let handler):
                let query = try handler(request, services)
                try session.replies.checkLeastLength(of: query)
                try checkMemory(query.answerByteCount)
                begin(query, verb: request.verb, lineByteCount, trace, arrival: arrival ?? .now)
            case .change(let handler):
                let change = try handler(request, services)
                try checkMemory(change.answerByteCount)
                gather(change, verb: request.verb, lineByteCount, trace)
            }
        } catch {
            answer(.failure(error, verb: request.verb))
            noteIfSlow(trace, error.code)
        }
        return true
    }
}

extension Verb.Action {
    /// Whether the request's ids are free for the next request once this one has begun. A write keeps them.
    fileprivate var borrowsIDs: Bool {
        switch self {
        case .session, .setting, .read, .lookup: true
        case .query, .change: false
        }
    }

    fileprivate var kind: ConnectionState<Connection.Answer>.Kind {
        switch self {
        case .session: .session
        case .setting, .read, .lookup: .read
        case .query: .query
        case .change: .write
        }
    }
}

extension RefusedRequest {
    fileprivate static let draining = RefusedRequest(
        verb: nil,
        error: WireError(.draining, "the daemon is stopping and takes no more requests"),
        endsConnection: true
    )
}
