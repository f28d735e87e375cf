import DequeModule
import NIOConcurrencyHelpers
import NIOCore

/// The queue through which tasks hand requests to the event loop. It bounds the requests in flight.
///
/// Any task may submit, and the order of submission is the order on the wire. Requests beyond the bounds wait here in
/// order, while their tasks wait for the outcome. That is the back-pressure. One wake-up of the event loop covers many
/// submissions, which it writes together.
final class Outbox: Sendable {
    struct Submission {
        let lines: ByteBuffer
        let exchange: Exchange
    }

    private struct State {
        var requestsUnderWay = 0
        var bytesUnderWay = 0
        /// Admitted submissions, which the event loop writes next.
        var ready: [Submission] = []
        /// Submissions that the bounds do not admit yet.
        var waiting = Deque<Submission>()
        var isDrainScheduled = false
        /// The reason why nothing more is accepted; nil while submissions are accepted.
        var refusal: Loss?

        /// Admits waiting submissions within the bounds. With nothing in flight it admits one of any size, because that
        /// one would otherwise never be sent.
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

        /// Returns whether the caller must wake the event loop.
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

    /// Queues `submission`. Returns whether the caller must wake the event loop.
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

    /// Takes the submissions that are ready to write. Call it on the event loop.
    func takeReady() -> [Submission] {
        state.withLockedValue { state in
            state.isDrainScheduled = false
            defer { state.ready = [] }
            return state.ready
        }
    }

    /// Frees the room of an admitted `exchange` that was answered or dropped. The caller must then check `takeReady()`
    /// for more to write, and `isDone` for the end of a sealed outbox.
    func release(_ exchange: Exchange) {
        state.withLockedValue { state in
            state.requestsUnderWay -= exchange.requestCount
            state.bytesUnderWay -= exchange.byteCount
            state.admit(requestsMax: requestsMax, bytesMax: bytesMax)
        }
    }

    /// Whether nothing more is accepted. Only tests read it.
    var isSealed: Bool {
        state.withLockedValue { $0.refusal != nil }
    }

    /// Whether nothing more is accepted, and every accepted request is answered.
    var isDone: Bool {
        state.withLockedValue { $0.refusal != nil && $0.requestsUnderWay == 0 && $0.waiting.isEmpty }
    }

    /// Accepts nothing more. Requests that were already accepted proceed.
    func seal(_ refusal: Loss) {
        state.withLockedValue { state in
            if state.refusal == nil { state.refusal = refusal }
        }
    }

    /// Accepts nothing more, and fails all submissions that `takeReady()` has not returned.
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
