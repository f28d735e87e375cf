import NIOConcurrencyHelpers
import WireProtocol

/// What became of an exchange: the replies that came, in order, and why the rest did not.
struct ExchangeOutcome: Sendable {
    var replies: [DecodedReply]
    var loss: Loss?
    /// Whether the requests were handed to the socket.
    var wasSent: Bool
}

/// Some requests sent together: the meeting point of the task that waits and the event loop that completes.
///
///     queued ──markSent──▶ sent ──complete──▶ finished
///        └────────────complete (loss)────────────▲
///
/// A cancelled task stops waiting at once; if the exchange was still queued, it is never sent, otherwise its replies are
/// read and dropped.
final class Exchange: Sendable {
    private struct State {
        var wasSent = false
        var outcome: ExchangeOutcome?
        /// Tasks that wait for the exchange to leave the queue.
        var admissionWaiters: [CheckedContinuation<Void, Never>] = []
        var outcomeWaiters: [CheckedContinuation<ExchangeOutcome, Never>] = []

        mutating func takeAdmissionWaiters() -> [CheckedContinuation<Void, Never>] {
            defer { admissionWaiters = [] }
            return admissionWaiters
        }
    }

    let requestCount: Int
    let byteCount: Int
    private let state = NIOLockedValueBox(State())

    init(requestCount: Int, byteCount: Int) {
        self.requestCount = requestCount
        self.byteCount = byteCount
    }

    /// The event loop is about to write the requests. False if nobody wants them any more: then they are not sent.
    func markSent() -> Bool {
        let waiters = state.withLockedValue { state -> [CheckedContinuation<Void, Never>]? in
            guard state.outcome == nil else { return nil }
            state.wasSent = true
            return state.takeAdmissionWaiters()
        }
        guard let waiters else { return false }
        for waiter in waiters { waiter.resume() }
        return true
    }

    /// Sets the outcome. The first one stays.
    func complete(_ replies: [DecodedReply], loss: Loss? = nil) {
        let resume = state.withLockedValue { state -> (() -> Void)? in
            guard state.outcome == nil else { return nil }
            let outcome = ExchangeOutcome(replies: replies, loss: loss, wasSent: state.wasSent)
            state.outcome = outcome
            let admissionWaiters = state.takeAdmissionWaiters()
            let outcomeWaiters = state.outcomeWaiters
            state.outcomeWaiters = []
            return {
                for waiter in admissionWaiters { waiter.resume() }
                for waiter in outcomeWaiters { waiter.resume(returning: outcome) }
            }
        }
        resume?()
    }

    /// Waits until the requests are on their way, or never will be.
    func admission() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDecided = state.withLockedValue { state in
                    let isDecided = state.wasSent || state.outcome != nil
                    if !isDecided { state.admissionWaiters.append(continuation) }
                    return isDecided
                }
                if isDecided { continuation.resume() }
            }
        } onCancel: {
            cancel()
        }
    }

    /// Waits for the outcome.
    func outcome() async -> ExchangeOutcome {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let outcome = state.withLockedValue { state in
                    if state.outcome == nil { state.outcomeWaiters.append(continuation) }
                    return state.outcome
                }
                if let outcome { continuation.resume(returning: outcome) }
            }
        } onCancel: {
            cancel()
        }
    }

    /// Nobody waits any more.
    func cancel() {
        complete([], loss: Loss(code: .cancelled, reason: "the task was cancelled before the reply came"))
    }
}
