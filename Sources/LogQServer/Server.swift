package import ItemStore
package import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization
import SystemSupport
import WireProtocol

/// Listens, assigns each connection to an event loop, and stops without leaving a request unanswered.
///
/// A graceful shutdown accepts no more connections, and answers every request that has arrived. It waits a bounded time
/// for the replies to be sent. Then it closes the store, which commits and checkpoints. Only starting and stopping are
/// async code.
package final class Server: Service {
    private let store: ItemStore
    private let configuration: ServerConfiguration
    let logger: Logger
    private let state = NIOLockedValueBox(State.idle)

    private enum State {
        case idle
        case running(Running)
        case stopped
    }

    private struct Running {
        let group: MultiThreadedEventLoopGroup
        let listeners: [any Channel]
        let services: Services
        let registry: ConnectionRegistry
        let freedMemory: FreedMemoryWatch
    }

    package init(store: ItemStore, configuration: ServerConfiguration, logger: Logger) {
        self.store = store
        self.configuration = configuration
        self.logger = logger
    }

    /// Serves until a graceful shutdown, then stops.
    package func run() async throws {
        if case .idle = state.withLockedValue({ $0 }) { _ = try await start() }
        // Cancellation stops the server like a graceful shutdown.
        try? await gracefulShutdown()
        try await stop()
    }

    /// Listens and serves. Returns the addresses as text, with the actual ports: `127.0.0.1:5647`, `[::1]:5647`,
    /// `unix:/run/logqd.sock`.
    package func start() async throws -> [String] {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.eventLoopCount)
        let pool = QueryPool(
            threadCount: configuration.queryThreadCount,
            waitingMax: configuration.waitingQueriesMax
        )
        let services = Services(store: store, pool: pool, configuration: configuration, logger: logger)
        let registry = ConnectionRegistry(
            connectionsMax: configuration.connectionsMax,
            refusedMax: configuration.refusedConnectionsMax
        )
        var listeners: [any Channel] = []
        do {
            if let socket = configuration.unix {
                listeners.append(try await bind(socket, bootstrap(group, services, registry), group))
            }
            for (listen, addresses) in try configuration.resolvedAddresses() {
                let bootstrap = bootstrap(group, services, registry)
                    .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                    .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                listeners += try await bind(listen, addresses, bootstrap)
            }
        } catch {
            for listener in listeners { try? await listener.close() }
            pool.close()
            try? await group.shutdownGracefully()
            throw error
        }
        let running = Running(
            group: group,
            listeners: listeners,
            services: services,
            registry: registry,
            freedMemory: FreedMemoryWatch { [store, memory = services.memory] in
                store.memoryByteCount + memory.byteCount
            }
        )
        state.withLockedValue { $0 = .running(running) }
        return listeners.compactMap { $0.localAddress?.text }
    }

    /// Drains the connections and closes everything, including the store. A second call does nothing.
    package func stop() async throws {
        let running = state.withLockedValue { state -> Running? in
            guard case .running(let running) = state else { return nil }
            state = .stopped
            return running
        }
        guard let running else { return }
        logger.info("stopping", metadata: ["connections": "\(running.registry.count)"])
        for listener in running.listeners { try? await listener.close() }
        await drain(running)
        // These calls block, so they must not run on an event loop. They may block this thread, because nothing else
        // runs any more. A new thread could be one more than a limit on address space allows.
        running.services.pool.close()
        running.freedMemory.close()
        store.close()
        try await running.group.shutdownGracefully()
        logger.info("stopped")
    }

    /// Waits a bounded time for every connection to end, then closes the remaining ones.
    private func drain(_ running: Running) async {
        let channels = running.registry.drain()
        let event = DrainEvent(
            lingerMilliseconds: configuration.drainLingerMilliseconds,
            lineMilliseconds: configuration.drainMillisecondsMax / 2
        )
        for channel in channels { channel.pipeline.fireUserInboundEventTriggered(event) }
        let eventLoop = running.group.any()
        let overdue = eventLoop.scheduleTask(in: .milliseconds(configuration.drainMillisecondsMax)) {
            for channel in channels { channel.close(promise: nil) }
        }
        let closed = EventLoopFuture.andAllComplete(channels.map(\.closeFuture), on: eventLoop)
        try? await closed.get()
        overdue.cancel()
    }

    // MARK: Listening

    private func bootstrap(
        _ group: MultiThreadedEventLoopGroup,
        _ services: Services,
        _ registry: ConnectionRegistry
    ) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelInitializer { [logger] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Self.acceptPause(services.metrics, logger))
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 1 << 18, high: 1 << 20))
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 4_096, initial: 16_384, maximum: 1 << 18)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try Self.initialize(channel, services, registry)
                }
            }
    }

    private static func acceptPause(_ metrics: Metrics, _ logger: Logger) -> AcceptPause {
        AcceptPause { error in
            guard metrics.acceptErrorCount.add(1, ordering: .relaxed).oldValue == 0 else { return }
            let reason = String(cString: strerror(error.errnoCode))
            logger.error(
                "could not accept a connection; further failures are only counted",
                metadata: ["reason": "\(reason)"]
            )
        }
    }

    private static func initialize(
        _ channel: any Channel,
        _ services: Services,
        _ registry: ConnectionRegistry
    ) throws {
        let metrics = services.metrics
        var refusal: WireError?
        switch registry.add(channel) {
        case .admitted:
            metrics.acceptedConnectionCount.wrappingAdd(1, ordering: .relaxed)
        case .full:
            metrics.refusedConnectionCount.wrappingAdd(1, ordering: .relaxed)
            let connectionsMax = services.configuration.connectionsMax
            refusal = WireError(.limit, "got one connection too many, expected at most \(connectionsMax)")
        case .overfull:
            metrics.refusedConnectionCount.wrappingAdd(1, ordering: .relaxed)
            throw ChannelError.ioOnClosedChannel
        case .draining:
            throw ChannelError.ioOnClosedChannel
        }
        metrics.connectionCount.wrappingAdd(1, ordering: .relaxed)
        let logger = services.logger
        let peer = channel.remoteAddress?.text ?? "?"
        logger.debug("connection opened", metadata: ["peer": "\(peer)", "refused": "\(refusal != nil)"])
        channel.closeFuture.whenComplete { _ in
            logger.debug("connection closed", metadata: ["peer": "\(peer)"])
            registry.remove(channel)
            metrics.connectionCount.wrappingSubtract(1, ordering: .relaxed)
        }
        try channel.pipeline.syncOperations.addHandler(Connection(services: services, refusal: refusal))
    }
}
