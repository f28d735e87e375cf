import ItemStore
import Logging
import NIOConcurrencyHelpers
import NIOCore
import Synchronization
import WireProtocol

/// The verbs of a framing, and their parser.
final class Dialect: Sendable {
    let verbs: [Verb]
    let parser: RequestParser

    init(_ verbs: [Verb], _ limits: Limits) {
        self.verbs = verbs
        parser = RequestParser(verbs.map(\.syntax), limits: limits)
    }
}

/// The objects that all connections share: the store, the query pool, the parsers and the counters. Usable from any
/// thread.
final class Services: Sendable {
    let store: ItemStore
    let pool: QueryPool
    let configuration: ServerConfiguration
    let logger: Logger
    let lines: Dialect
    let resp: Dialect
    let metrics = Metrics()
    let memory: ConnectionMemory
    let slowRequests: SlowRequests
    let startTime = NIODeadline.now()
    private let lastConnectionNumber = Atomic<Int64>(0)
    private let turns = NIOLockedValueBox<[ObjectIdentifier: NIOLoopBound<Turns>]>([:])

    var limits: Limits { configuration.limits }

    /// Without a logger, connections and refused requests are not logged.
    init(
        store: ItemStore,
        pool: QueryPool,
        configuration: ServerConfiguration,
        logger: Logger = Logger(label: "logqd") { _ in SwiftLogNoOpLogHandler() }
    ) {
        self.logger = logger
        self.store = store
        self.pool = pool
        self.configuration = configuration
        slowRequests = SlowRequests(
            thresholdMilliseconds: configuration.slowRequestMilliseconds,
            logger: logger
        )
        memory = ConnectionMemory(byteCountMax: configuration.connectionBytesMax)
        lines = Dialect(Verbs.all, configuration.limits)
        resp = Dialect(Verbs.resp, configuration.limits)
    }

    /// The turns of an event loop. Must be called on `eventLoop`.
    func turns(on eventLoop: any EventLoop) -> Turns {
        turns.withLockedValue { turns in
            let key = ObjectIdentifier(eventLoop)
            if let known = turns[key] { return known }
            let new = NIOLoopBound(Turns(on: eventLoop), eventLoop: eventLoop)
            turns[key] = new
            return new
        }.value
    }

    func nextConnectionNumber() -> Int64 {
        lastConnectionNumber.wrappingAdd(1, ordering: .relaxed).newValue
    }

    func collection(named name: String) throws(WireError) -> Collection {
        guard let collection = store.collection(named: name) else {
            throw WireError(.noCollection, "there is no collection '\(name)'")
        }
        return collection
    }
}
