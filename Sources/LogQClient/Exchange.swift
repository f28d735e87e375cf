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
/// The task may wait before or after the outcome is there, once. A cancelled task stops waiting at once; if the exchange
/// was still queued, it is never sent, otherwise its replies are read and dropped.
final class Exchange: Sendable {
    private enum State {
        case idle(wasSent: Bool)
        case waiting(CheckedContinuation<ExchangeOutcome, Never>, wasSent: Bool)
        case finished(ExchangeOutcome)
        case taken
    }

    let requestCount: Int
    let byteCount: Int
    private let state = NIOLockedValueBox(State.idle(wasSent: false))

    init(requestCount: Int, byteCount: Int) {
        self.requestCount = requestCount
        self.byteCount = byteCount
    }

    /// The event loop is about to write the requests. False if nobody wants them any more: then they are not sent.
    func markSent() -> Bool {
        state.withLockedValue { state in
            switch state {
            case .idle: state = .idle(wasSent: true)
            case .waiting(let continuation, _): state = .waiting(continuation, wasSent: true)
            case .finished, .taken: return false
            }
            return true
        }
    }

    func complete(_ replies: [DecodedReply], loss: Loss? = nil) {
        finish { wasSent in ExchangeOutcome(replies: replies, loss: loss, wasSent: wasSent) }
    }

    private func finish(_ outcome: (_ wasSent: Bool) -> ExchangeOutcome) {
        let resume = state.withLockedValue {
            state -> (CheckedContinuation<ExchangeOutcome, Never>, ExchangeOutcome)? in
            switch state {
            case .idle(let wasSent):
                state = .finished(outcome(wasSent))
                return nil
            case .waiting(let continuation, let wasSent):
                state = .taken
                return (continuation, outcome(wasSent))
            case .finished, .taken:
                return nil
            }
        }
        if let (continuation, outcome) = resume { continuation.resume(returning: outcome) }
    }

    /// Waits for the outcome; to be called once.
    func outcome() async -> ExchangeOutcome {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ready = state.withLockedValue { state -> ExchangeOutcome? in
                    switch state {
                    case .idle(let wasSent):
                        state = .waiting(continuation, wasSent: wasSent)
                        return nil
                    case .finished(let outcome):
                        state = .taken
                        return outcome
                    case .waiting, .taken:
                        preconditionFailure("an exchange is waited for once")
                    }
                }
                if let ready { continuation.resume(returning: ready) }
            }
        } onCancel: {
            complete([], loss: Loss(code: .cancelled, reason: "the task was cancelled before the reply came"))
        }
    }
}
