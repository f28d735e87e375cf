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

    /// Adds the counts of one connection.
    func add(_ counts: RequestCounts) {
        for (verb, count) in zip(verbs, counts.byVerb) {
            if count.requests > 0 { verb.requestCount.wrappingAdd(count.requests, ordering: .relaxed) }
            if count.errors > 0 { verb.errorCount.wrappingAdd(count.errors, ordering: .relaxed) }
        }
        guard !counts.byCode.isEmpty else { return }
        for (code, counter) in zip(WireErrorCode.allCases, codes) {
            if let count = counts.byCode[code] { counter.count.wrappingAdd(count, ordering: .relaxed) }
        }
    }
}

/// The requests and errors of one connection that are not in `Metrics` yet. It adds them once a burst.
struct RequestCounts {
    /// In the order of `Metrics.verbs`.
    fileprivate var byVerb = [(requests: Int, errors: Int)](repeating: (0, 0), count: Verbs.resp.count + 1)
    fileprivate var byCode: [WireErrorCode: Int] = [:]
    private(set) var isEmpty = true

    mutating func addRequest(of verb: Int?) {
        byVerb[verb ?? Verbs.resp.count].requests += 1
        isEmpty = false
    }

    mutating func addError(_ code: WireErrorCode, of verb: Int?) {
        byCode[code, default: 0] += 1
        byVerb[verb ?? Verbs.resp.count].errors += 1
        isEmpty = false
    }

    mutating func removeAll() {
        for index in byVerb.indices { byVerb[index] = (0, 0) }
        byCode.removeAll()
        isEmpty = true
    }
}
