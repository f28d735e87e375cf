import NIOConcurrencyHelpers
import WireProtocol

/// The outcome of an exchange: the replies that arrived, in order, and the reason why the others did not.
struct ExchangeOutcome: Sendable {
    var replies: [DecodedReply]
    var loss: Loss?
    /// Whether the requests were written to the channel.
    var wasSent: Bool
}

/// Requests sent together. A task waits for the outcome, and the event loop sets it.
///
///     queued ──markSent──▶ sent ──complete──▶ finished
///        └────────────complete (loss)────────────▲
///
/// A cancelled task stops waiting at once. If the exchange is still queued, it is never sent. Otherwise its replies are
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

    /// Call this just before writing the requests. Returns false if the exchange is already finished, and the requests
    /// must not be sent.
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

    /// Sets the outcome. Only the first call has an effect.
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

    /// Waits until the requests have been sent, or it is certain that they never will be.
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

    /// Ends the exchange, because its task no longer waits.
    func cancel() {
        complete([], loss: Loss(code: .cancelled, reason: "the task was cancelled before the reply came"))
    }
}
