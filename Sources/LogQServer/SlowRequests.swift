import Logging
import NIOConcurrencyHelpers
import NIOCore
import WireProtocol

/// A request under way, as the log names it if it turns out slow. It has no value that a client sent but the name of
/// the collection.
struct TracedRequest: Sendable {
    /// The index of the verb.
    let verb: Int
    let collection: String
    /// The number of ids, or the k or n of a query, or the limit of a page.
    let count: Int
    let arrival: NIODeadline
}

/// Logs requests that take long: a line for each, but at most ten in ten seconds, so that the log stays bounded. Usable
/// from any thread.
final class SlowRequests: Sendable {
    /// A line tells how many requests before it got none.
    private struct Window {
        var start: NIODeadline
        var lineCount = 0
        var unloggedCount = 0
    }

    private static let windowLength = TimeAmount.seconds(10)
    private static let linesPerWindow = 10

    /// Nil: nothing is measured.
    let threshold: TimeAmount?
    private let logger: Logger
    private let window = NIOLockedValueBox(Window(start: .now()))

    init(thresholdMilliseconds: Int?, logger: Logger) {
        threshold = thresholdMilliseconds.map { .milliseconds(Int64($0)) }
        self.logger = logger
    }

    /// Logs the request if it took long until `now`. `error` is the code of its error, if it failed.
    func note(_ request: TracedRequest, peer: @autoclosure () -> String, error: String?, _ now: NIODeadline) {
        guard let threshold, now - request.arrival >= threshold else { return }
        let unlogged = window.withLockedValue { window -> Int? in
            if now - window.start >= Self.windowLength { (window.start, window.lineCount) = (now, 0) }
            guard window.lineCount < Self.linesPerWindow else {
                window.unloggedCount += 1
                return nil
            }
            window.lineCount += 1
            defer { window.unloggedCount = 0 }
            return window.unloggedCount
        }
        guard let unlogged else { return }
        logger.notice(
            "slow request",
            metadata: [
                "verb": "\(Verbs.resp[request.verb].syntax.name)",
                "collection": "\(request.collection.isEmpty ? "-" : request.collection)",
                "count": "\(request.count)",
                "milliseconds": "\((now - request.arrival).nanoseconds / 1_000_000)",
                "outcome": "\(error ?? "OK")",
                "peer": "\(peer())",
                "unlogged": "\(unlogged)",
            ]
        )
    }
}
