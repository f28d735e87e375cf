import Synchronization
import WireProtocol

/// The counters of the server, for `INFO`. Usable from any thread.
final class Metrics: Sendable {
    let connectionCount = Atomic<Int>(0)
    let acceptedConnectionCount = Atomic<Int>(0)
    let refusedConnectionCount = Atomic<Int>(0)
    /// Connections that the system could not accept.
    let acceptErrorCount = Atomic<Int>(0)
    /// One for each verb of `Verbs.resp`, and a last one for requests without a known verb.
    private let verbs = (0...Verbs.resp.count).map { _ in VerbCounters() }

    /// One for each code of `WireErrorCode.allCases`.
    private let codes = WireErrorCode.allCases.map { _ in ErrorCounter() }

    private final class ErrorCounter: Sendable {
        let count = Atomic<Int>(0)
    }

    private final class VerbCounters: Sendable {
        let requestCount = Atomic<Int>(0)
        let errorCount = Atomic<Int>(0)
    }

    var requestCount: Int { verbs.reduce(0) { $0 + $1.requestCount.load(ordering: .relaxed) } }

    var errorCount: Int { verbs.reduce(0) { $0 + $1.errorCount.load(ordering: .relaxed) } }

    /// The counts of the verb at this index of `Verbs.resp`; nil stands for requests without a known verb.
    func counts(of verb: Int?) -> (requests: Int, errors: Int) {
        let counters = verbs[verb ?? Verbs.resp.count]
        return (counters.requestCount.load(ordering: .relaxed), counters.errorCount.load(ordering: .relaxed))
    }

    /// The number of errors with this code.
    func errorCount(_ code: WireErrorCode) -> Int {
        zip(WireErrorCode.allCases, codes).first { $0.0 == code }?.1.count.load(ordering: .relaxed) ?? 0
    }

    /// Adds to the counts of a verb. Nil stands for requests without a known verb.
    fileprivate func add(_ requestCount: Int, of verb: Int?) {
        verbs[verb ?? Verbs.resp.count].requestCount.wrappingAdd(requestCount, ordering: .relaxed)
    }

    func addError(_ code: WireErrorCode, of verb: Int?) {
        verbs[verb ?? Verbs.resp.count].errorCount.wrappingAdd(1, ordering: .relaxed)
        guard let counter = zip(WireErrorCode.allCases, codes).first(where: { $0.0 == code })?.1 else { return }
        counter.count.wrappingAdd(1, ordering: .relaxed)
    }
}

/// The last requests of one connection, all of one verb, that are not in `Metrics` yet. Most bursts have one verb, so
/// they cost one atomic addition.
struct RequestCounts {
    private var verb: Int?
    private var count = 0

    mutating func addRequest(of verb: Int?, _ metrics: Metrics) {
        if verb != self.verb { move(to: metrics) }
        self.verb = verb
        count += 1
    }

    mutating func move(to metrics: Metrics) {
        if count > 0 { metrics.add(count, of: verb) }
        count = 0
    }
}
