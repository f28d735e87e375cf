package import ItemStore
package import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization
import WireProtocol

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Listens, hands each connection to an event loop, and stops without cutting anybody off.
///
/// A graceful shutdown accepts no more connections, answers what was sent, lets answers leave for a bounded time, and
/// then closes the store, which commits and checkpoints. Async code is here for start and stop only.
package final class Server: Service {
    private let store: ItemStore
    private let configuration: ServerConfiguration
    private let logger: Logger
    private let state = NIOLockedValueBox(State.idle)

    /// What each state has.
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
    }

    package init(store: ItemStore, configuration: ServerConfiguration, logger: Logger) {
        self.store = store
        self.configuration = configuration
        self.logger = logger
    }

    /// Serves until a graceful shutdown, then stops.
    package func run() async throws {
        if case .idle = state.withLockedValue({ $0 }) { _ = try await start() }
        // Cancelled is as good a reason to stop as asked to.
        try? await gracefulShutdown()
        try await stop()
    }

    /// Binds and serves. Returns the addresses as text, with the ports that the system chose: `127.0.0.1:5647`,
    /// `[::1]:5647`, `unix:/run/logqd.sock`.
    package func start() async throws -> [String] {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.eventLoopCount)
        let pool = QueryPool(
            threadCount: configuration.queryThreadCount,
            waitingMax: configuration.waitingQueriesMax
        )
        let services = Services(store: store, pool: pool, configuration: configuration)
        let registry = ConnectionRegistry(connectionsMax: configuration.connectionsMax)
        var listeners: [any Channel] = []
        do {
            if let path = configuration.unixPath {
                listeners.append(try await bind(path: path, group, services, registry))
            }
            if let tcp = configuration.tcp {
                let bootstrap = bootstrap(group, services, registry)
                    .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                    .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                listeners.append(try await bind(tcp, bootstrap))
            }
        } catch {
            for listener in listeners { try? await listener.close() }
            pool.close()
            try? await group.shutdownGracefully()
            throw error
        }
        let running = Running(group: group, listeners: listeners, services: services, registry: registry)
        state.withLockedValue { $0 = .running(running) }
        return listeners.compactMap { $0.localAddress.map(Self.text) }
    }

    private static func text(_ address: SocketAddress) -> String {
        switch address {
        case .v4: "\(address.ipAddress ?? "?"):\(address.port ?? 0)"
        case .v6: "[\(address.ipAddress ?? "?")]:\(address.port ?? 0)"
        case .unixDomainSocket: "unix:\(address.pathname ?? "?")"
        }
    }

    /// Drains and closes, the store too. Safe to call twice.
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
        // These block: not on a thread of an event loop, nor on one of the few that run async code.
        let store = store
        try await NIOThreadPool.singleton.runIfActive {
            running.services.pool.close()
            store.close()
        }
        try await running.group.shutdownGracefully()
        logger.info("stopped")
    }

    /// Lets every connection come to its end, for a bounded time.
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
        case .draining:
            throw ChannelError.ioOnClosedChannel
        }
        metrics.connectionCount.wrappingAdd(1, ordering: .relaxed)
        channel.closeFuture.whenComplete { _ in
            registry.remove(channel)
            metrics.connectionCount.wrappingSubtract(1, ordering: .relaxed)
        }
        try channel.pipeline.syncOperations.addHandler(Connection(services: services, refusal: refusal))
    }

    private func bind(_ tcp: (host: String, port: Int), _ bootstrap: ServerBootstrap) async throws -> any Channel {
        do {
            return try await bootstrap.bind(host: tcp.host, port: tcp.port).get()
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw SocketInUse(address: "\(tcp.host):\(tcp.port)")
        } catch let error as IOError {
            throw ListenFailure(
                address: "\(tcp.host):\(tcp.port)",
                reason: String(cString: strerror(error.errnoCode))
            )
        } catch {
            throw ListenFailure(address: "\(tcp.host):\(tcp.port)", reason: "\(error)")
        }
    }

    /// Binds a Unix socket. A file that a dead daemon left is replaced; one on which somebody answers is not.
    private func bind(
        path: String,
        _ group: MultiThreadedEventLoopGroup,
        _ services: Services,
        _ registry: ConnectionRegistry
    ) async throws -> any Channel {
        if let other = try? await ClientBootstrap(group: group).connect(unixDomainSocketPath: path).get() {
            try? await other.close()
            throw SocketInUse(address: path)
        }
        let listener: any Channel
        do {
            listener = try await bootstrap(group, services, registry)
                .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
        } catch {
            let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
            throw ListenFailure(address: path, reason: reason)
        }
        listener.closeFuture.whenComplete { _ in _ = unlink(path) }
        return listener
    }
}

/// Another process listens there.
package struct SocketInUse: Error, CustomStringConvertible {
    package let address: String
    package var description: String { "another process listens on \(address)" }
}

/// The system does not let us listen there.
package struct ListenFailure: Error, CustomStringConvertible {
    package let address: String
    package let reason: String
    package var description: String { "could not listen on \(address): \(reason)" }
}
