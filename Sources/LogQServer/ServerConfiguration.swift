package import WireProtocol

/// The addresses, threads and bounds of the server.
package struct ServerConfiguration: Sendable {
    /// The TCP addresses to listen on; empty for none.
    package var tcp = [ListenAddress(host: "127.0.0.1", port: Limits.portDefault)]
    /// Whether `tcp` may have addresses that other machines can reach.
    package var isInsecure = false
    /// The Unix socket to listen on; nil for none.
    package var unix: UnixSocket?
    /// The number of threads that own connections.
    package var eventLoopCount = 1
    /// The number of threads that run `TOPK`, `SAMPLE` and `POPULAR`.
    package var queryThreadCount = 1
    /// The most queries that may wait for such a thread. Further queries are refused with `BUSY`.
    package var waitingQueriesMax = 1_024
    /// The time limit of a query whose request has no `timeout_ms=`.
    package var queryTimeoutMilliseconds = Limits.timeoutMillisecondsDefault
    package var connectionsMax = 4_096
    /// The most connections over `connectionsMax` that are told so at a time. Further ones are closed at once.
    package var refusedConnectionsMax = 64
    /// The most memory of all connections together, for requests under way and unsent replies.
    package var connectionBytesMax = 256 << 20
    package var limits = Limits()
    /// How long a shutdown waits for the replies to be sent.
    package var drainMillisecondsMax: Int64 = 4_000
    /// How long a connection without a request under way stays open after a shutdown begins. A request that arrives
    /// meanwhile is answered `DRAINING`.
    package var drainLingerMilliseconds: Int64 = 200
    /// A request that takes this long is logged; nil for never.
    package var slowRequestMilliseconds: Int? = 1_000
    package var version = releaseVersion

    package init() {}

    /// Lowers the bounds on connections so that all of them get a descriptor. Returns false, and changes nothing, if
    /// there are too few descriptors for any connection.
    package mutating func fitConnections(toDescriptors descriptorCount: Int) -> Bool {
        // Standard streams, data files, listeners and signals; each event loop takes three and a spare one.
        let others = 32 + 4 * eventLoopCount
        let refusedMax = min(refusedConnectionsMax, descriptorCount / 8)
        guard descriptorCount > others + refusedMax else { return false }
        refusedConnectionsMax = refusedMax
        connectionsMax = min(connectionsMax, descriptorCount - others - refusedMax)
        return true
    }
}
