import Logging
import NIOConcurrencyHelpers
import NIOCore
import Testing
import WireProtocol

@testable import LogQServer

struct SlowRequestTests {
    /// Keeps the events of a logger.
    private final class Log: Sendable {
        let events = NIOLockedValueBox<[Logger.Metadata]>([])

        var logger: Logger {
            Logger(label: "test") { _ in Handler(log: self) }
        }
    }

    private struct Handler: LogHandler {
        let log: Log
        var logLevel = Logger.Level.info
        var metadata: Logger.Metadata = [:]
        var metadataProvider: Logger.MetadataProvider?

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            log.events.withLockedValue { $0.append(event.metadata ?? [:]) }
        }
    }

    private static let verb = Verbs.all.firstIndex { $0.syntax.name == "GET" }!

    @Test func aLineNamesTheRequestAndNoValue() {
        let log = Log()
        let requests = SlowRequests(thresholdMilliseconds: 500, logger: log.logger)
        let start = NIODeadline.now()
        let request = TracedRequest(verb: Self.verb, collection: "c", count: 7, arrival: start)
        requests.note(request, peer: "1.2.3.4:5", error: nil, start + .milliseconds(499))
        #expect(log.events.withLockedValue { $0.isEmpty })
        requests.note(request, peer: "1.2.3.4:5", error: nil, start + .milliseconds(1_500))
        requests.note(request, peer: "1.2.3.4:5", error: "BUSY", start + .milliseconds(500))
        let events = log.events.withLockedValue { $0 }
        let expected: Logger.Metadata = [
            "verb": "GET", "collection": "c", "count": "7", "milliseconds": "1500", "outcome": "OK",
            "peer": "1.2.3.4:5", "unlogged": "0",
        ]
        #expect(events.first == expected)
        #expect(events.last?["outcome"] == "BUSY" && events.last?["milliseconds"] == "500")
    }

    @Test func theLogIsBoundedAndSaysWhatIsMissing() {
        let log = Log()
        let requests = SlowRequests(thresholdMilliseconds: 1, logger: log.logger)
        let start = NIODeadline.now()
        let request = TracedRequest(verb: Self.verb, collection: "", count: 0, arrival: start)
        for millisecond in 1...1_000 {
            requests.note(request, peer: "", error: nil, start + .milliseconds(Int64(millisecond)))
        }
        #expect(log.events.withLockedValue { $0.count } == 10)
        requests.note(request, peer: "", error: nil, start + .seconds(30))
        requests.note(request, peer: "", error: nil, start + .seconds(30))
        let events = log.events.withLockedValue { $0 }
        #expect(events.count == 12)
        #expect(events[10]["unlogged"] == "990" && events[11]["unlogged"] == "0")
    }

    @Test func withoutAThresholdNothingIsLogged() {
        let log = Log()
        let requests = SlowRequests(thresholdMilliseconds: nil, logger: log.logger)
        let request = TracedRequest(verb: Self.verb, collection: "c", count: 7, arrival: .now())
        requests.note(request, peer: "", error: nil, .now() + .hours(1))
        #expect(log.events.withLockedValue { $0.isEmpty })
    }
}
