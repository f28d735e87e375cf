import ItemStore
import NIOConcurrencyHelpers
import NIOCore
import Synchronization
package import WireProtocol

/// What all connections share: the store, the query pool, the parser, the numbers that INFO tells. From any thread.
final class Services: Sendable {
    let store: ItemStore
    let pool: QueryPool
    let configuration: ServerConfiguration
    let parser: RequestParser
    let metrics = Metrics()
    let startTime = NIODeadline.now()
    private let turns = NIOLockedValueBox<[ObjectIdentifier: NIOLoopBound<Turns>]>([:])

    var limits: Limits { configuration.limits }

    init(store: ItemStore, pool: QueryPool, configuration: ServerConfiguration) {
        self.store = store
        self.pool = pool
        self.configuration = configuration
        parser = RequestParser(CommandTable.syntaxes, limits: configuration.limits)
    }

    /// On `eventLoop`.
    func turns(on eventLoop: any EventLoop) -> Turns {
        turns.withLockedValue { turns in
            let key = ObjectIdentifier(eventLoop)
            if let known = turns[key] { return known }
            let new = NIOLoopBound(Turns(on: eventLoop), eventLoop: eventLoop)
            turns[key] = new
            return new
        }.value
    }

    func collection(named name: String) throws(WireError) -> Collection {
        guard let collection = store.collection(named: name) else {
            throw WireError(.noCollection, "there is no collection '\(name)'")
        }
        return collection
    }
}

/// Counters for INFO. Connections add to them once a burst.
final class Metrics: Sendable {
    let requestCount = Atomic<Int>(0)
    let errorCount = Atomic<Int>(0)
    let connectionCount = Atomic<Int>(0)
    let acceptedConnectionCount = Atomic<Int>(0)
    let refusedConnectionCount = Atomic<Int>(0)
}

/// How the server listens and what it bounds.
package struct ServerConfiguration: Sendable {
    /// Where to listen for TCP; nil: not at all. Port 0 is any free port.
    package var tcp: (host: String, port: Int)? = ("127.0.0.1", Limits.portDefault)
    /// The path of a Unix socket to listen on; nil: not at all.
    package var unixPath: String?
    /// Threads that own connections.
    package var eventLoopCount = 1
    /// Threads that run searches.
    package var queryThreadCount = 1
    /// Searches that wait for one of them; past it, BUSY.
    package var waitingQueriesMax = 1_024
    /// How long a search may take that does not say it itself.
    package var queryTimeoutMilliseconds = Limits.timeoutMillisecondsDefault
    package var connectionsMax = 4_096
    package var limits = Limits()
    /// How long a shutdown waits for answers to leave.
    package var drainMillisecondsMax: Int64 = 4_000
    /// How long a drained connection without a request under way stays open, so that a request that crosses with the
    /// shutdown is answered DRAINING instead of being cut off.
    package var drainLingerMilliseconds: Int64 = 200
    package var version = "0.1.0"

    package init() {}
}
