import DequeModule
import NIOConcurrencyHelpers
import NIOCore

/// Where tasks leave requests for the event loop, and the bound on what is under way.
///
/// Any task may submit; the order of submission is the order on the wire. What exceeds the bounds waits its turn here,
/// first come first served, while its task waits for the outcome: that is the back-pressure. The event loop is woken once
/// for many submissions, and writes them together.
final class Outbox: Sendable {
    struct Submission {
        let lines: ByteBuffer
        let exchange: Exchange
    }

    private struct State {
        var requestsUnderWay = 0
        var bytesUnderWay = 0
        /// Admitted, to be written at the next drain.
        var ready: [Submission] = []
        /// Past the bounds.
        var waiting = Deque<Submission>()
        var isDrainScheduled = false
        /// Why nothing more is accepted.
        var refusal: Loss?

        /// One exchange is always admitted, however large: it would never be sent otherwise.
        mutating func admit(requestsMax: Int, bytesMax: Int) {
            while let next = waiting.first {
                let requests = requestsUnderWay + next.exchange.requestCount
                let bytes = bytesUnderWay + next.exchange.byteCount
                guard requestsUnderWay == 0 || (requests <= requestsMax && bytes <= bytesMax) else { return }
                requestsUnderWay = requests
                bytesUnderWay = bytes
                ready.append(waiting.removeFirst())
            }
        }

        /// Whether the event loop has to be woken.
        mutating func schedule() -> Bool {
            guard !ready.isEmpty, !isDrainScheduled else { return false }
            isDrainScheduled = true
            return true
        }
    }

    private let requestsMax: Int
    private let bytesMax: Int
    private let state = NIOLockedValueBox(State())

    init(requestsMax: Int, bytesMax: Int) {
        self.requestsMax = requestsMax
        self.bytesMax = bytesMax
    }

    /// Queues `submission`. Returns whether the caller has to wake the event loop.
    func submit(_ submission: Submission) -> Bool {
        let (wake, loss) = state.withLockedValue { state -> (Bool, Loss?) in
            if let refusal = state.refusal { return (false, refusal) }
            state.waiting.append(submission)
            state.admit(requestsMax: requestsMax, bytesMax: bytesMax)
            return (state.schedule(), nil)
        }
        if let loss { submission.exchange.complete([], loss: loss) }
        return wake
    }

    /// What is to be written now. On the event loop.
    func takeReady() -> [Submission] {
        state.withLockedValue { state in
            state.isDrainScheduled = false
            defer { state.ready = [] }
            return state.ready
        }
    }

    /// `exchange` is answered: there is room again. Whether to drain and whether all is done that was accepted before
    /// `seal` is for the caller to ask: `takeReady()`, `isDone`.
    func release(_ exchange: Exchange) {
        state.withLockedValue { state in
            state.requestsUnderWay -= exchange.requestCount
            state.bytesUnderWay -= exchange.byteCount
            state.admit(requestsMax: requestsMax, bytesMax: bytesMax)
        }
    }

    /// Nothing more is accepted.
    var isSealed: Bool {
        state.withLockedValue { $0.refusal != nil }
    }

    /// Nothing more is accepted, and everything that was is answered.
    var isDone: Bool {
        state.withLockedValue { $0.refusal != nil && $0.requestsUnderWay == 0 && $0.waiting.isEmpty }
    }

    /// Refuses everything from now on; what was accepted goes its way.
    func seal(_ refusal: Loss) {
        state.withLockedValue { state in
            if state.refusal == nil { state.refusal = refusal }
        }
    }

    /// Refuses everything from now on, and fails what was not yet handed out.
    func fail(_ loss: Loss) {
        let unsent = state.withLockedValue { state -> [Submission] in
            if state.refusal == nil { state.refusal = loss }
            defer {
                state.ready = []
                state.waiting = []
            }
            return state.ready + state.waiting
        }
        for submission in unsent { submission.exchange.complete([], loss: loss) }
    }
}
