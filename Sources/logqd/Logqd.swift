import ArgumentParser
import ItemStore
import LogQServer
import Logging
import ServiceLifecycle
import UnixSignals
import WireProtocol

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The daemon: reads its settings, opens the store, serves until SIGTERM or SIGINT.
@main
struct Logqd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logqd",
        abstract: "A feature-and-embedding store for two-tower retrieval.",
        discussion: """
            Speaks one simple line protocol: connect with nc and send HELP.

            Each option is also read from the environment: --max-ids from LOGQD_MAX_IDS, and so on. An option that is \
            given wins.

            Exit codes: 0 after SIGTERM or SIGINT, 64 for a wrong option, 73 when another daemon has the data \
            directory or the socket, 74 when the data cannot be read or written, 78 when another version wrote it, \
            1 for anything else.
            """,
        version: serverVersion
    )

    @OptionGroup var settings: Settings

    mutating func run() async throws {
        prepareProcess()
        var logger = Logger(label: "logqd")
        logger.logLevel = try settings.resolvedLogLevel()
        let server = try settings.serverConfiguration()
        let storage = try settings.storeConfiguration()
        do {
            try await serve(server, storage, logger)
        } catch {
            logger.critical("\(error)")
            throw ExitCode(processExitCode(of: error))
        }
    }

    private func serve(
        _ configuration: ServerConfiguration,
        _ storage: StoreConfiguration,
        _ logger: Logger
    ) async throws {
        let store = try ItemStore.open(storage, logger: logger)
        logOpened(store, logger)
        let server = Server(store: store, configuration: configuration, logger: logger)
        let daemon = Daemon(server: server) { addresses in
            logger.info(
                "ready",
                metadata: [
                    "addresses": "\(addresses.joined(separator: " "))",
                    "pid": "\(getpid())", "version": "\(configuration.version)",
                    "threads": "\(configuration.eventLoopCount)",
                    "query-threads": "\(configuration.queryThreadCount)",
                ]
            )
        }
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [.init(service: daemon, successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: logger
            )
        )
        do {
            try await group.run()
        } catch {
            store.close()
            throw error
        }
    }

    /// Starts inside the group, which has its signal handlers in place by then: whoever has read "ready" may send SIGTERM.
    private struct Daemon: Service {
        let server: Server
        let announce: @Sendable ([String]) -> Void

        func run() async throws {
            announce(try await server.start())
            try await server.run()
        }
    }

    private func logOpened(_ store: ItemStore, _ logger: Logger) {
        let statistics = store.statistics()
        logger.info(
            "opened",
            metadata: [
                "data": "\(statistics.directory)",
                "collections": "\(statistics.collectionCount)",
                "items": "\(statistics.itemCount)",
                "ids": "\(statistics.idCount)",
                "stored-bytes": "\(statistics.usedByteCount)",
                "memory-bytes": "\(statistics.memoryByteCount)",
                "replayed-groups": "\(statistics.replayedGroupCount)",
                "recovery-seconds": "\(NumberText.text((statistics.recoverySeconds * 1_000).rounded() / 1_000))",
            ]
        )
        if let failure = statistics.failure { logger.warning("no writes are served: \(failure)") }
    }
}
