import ArgumentParser
import Dispatch
import ItemStore
import LogQServer
import Logging
import ServiceLifecycle
import SystemSupport
import UnixSignals
import WireProtocol

/// The daemon. It reads its settings, opens the store, and serves until SIGTERM, SIGINT or SIGHUP.
@main
struct Logqd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logqd",
        abstract: "A feature-and-embedding store for two-tower retrieval.",
        discussion: """
            It speaks a simple line protocol: connect with nc and send HELP.

            Each option can also be set in the environment: --max-ids as LOGQD_MAX_IDS, and so on. An option on the \
            command line takes precedence.

            Sizes in bytes may have a unit: 4GiB, 4GB. LOGQD_LISTEN may have several addresses, separated by commas.

            Exit codes: 0 after SIGTERM, SIGINT or SIGHUP, 64 for a wrong option, 73 if another process has the data \
            directory, the TCP port or the Unix-domain socket, 74 if the data cannot be read or written, 78 if a \
            version that this one does not know wrote the data, 1 for anything else.
            """,
        version: releaseVersion,
        subcommands: [Verify.self, Compact.self]
    )

    @OptionGroup var settings: Settings

    mutating func run() async throws {
        prepareProcess()
        let handler = LineLogHandler(
            format: try settings.resolvedLogFormat(),
            logLevel: try settings.resolvedLogLevel()
        )
        let logger = Logger(label: "logqd") { _ in handler }
        var server = try settings.serverConfiguration()
        try fitConnections(&server, logger)
        let storage = try settings.storeConfiguration()
        for warning in Environment.warnings(options: Settings.names) { logger.warning("\(warning)") }
        do {
            // Before anything is read or written, so that a wrong address changes nothing.
            try server.checkAddresses()
            try await serve(server, storage, logger)
        } catch {
            logger.critical("\(error)")
            throw ExitCode(processExitCode(of: error))
        }
    }

    /// Each connection needs a descriptor.
    private func fitConnections(_ server: inout ServerConfiguration, _ logger: Logger) throws {
        guard let descriptorCount = descriptorCountMax else { return }
        let wanted = server.connectionsMax
        guard server.fitConnections(toDescriptors: descriptorCount) else {
            throw ValidationError("got a limit of \(descriptorCount) file descriptors (ulimit -n), expected more")
        }
        guard server.connectionsMax < wanted else { return }
        logger.warning(
            "fewer connections than --max-connections, because each needs a file descriptor",
            metadata: [
                "max-connections": "\(wanted)", "connections": "\(server.connectionsMax)",
                "descriptors": "\(descriptorCount)",
            ]
        )
    }

    private func serve(
        _ configuration: ServerConfiguration,
        _ storage: StoreConfiguration,
        _ logger: Logger
    ) async throws {
        if configuration.isInsecure, !configuration.tcp.isEmpty {
            logger.warning("every machine that can connect may read, write and drop everything (--insecure)")
        }
        let daemon = Daemon(configuration: configuration, storage: storage, logger: logger)
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [.init(service: daemon, successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm, .sigint] + (isHangupIgnored ? [] : [.sighup]),
                logger: logger
            )
        )
        try await group.run()
    }
}

/// The store and its server as a service of the group. The group installs its signal handlers before it runs a service,
/// so a signal that arrives while the data is read stops the daemon as well.
private struct Daemon: Service {
    let configuration: ServerConfiguration
    let storage: StoreConfiguration
    let logger: Logger

    func run() async throws {
        logger.info("opening", metadata: ["data": "\(storage.directory)"])
        let store = try await withGracefulShutdownHandler {
            try await open()
        } onGracefulShutdown: { [logger] in
            // Reading changes nothing that has to be finished, and cannot be interrupted in any other way.
            logger.info("stopped while reading the data")
            _exit(0)
        }
        logOpened(store, logger)
        let server = Server(store: store, configuration: configuration, logger: logger)
        do {
            logReady(try await server.start())
        } catch {
            store.close()
            throw error
        }
        try await server.run()
    }

    /// Opens the store on its own thread, because that takes seconds and would keep signals waiting.
    private func open() async throws -> ItemStore {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(with: Result { try ItemStore.open(storage, logger: logger) })
            }
        }
    }

    private func logReady(_ addresses: [String]) {
        logger.info(
            "ready",
            metadata: [
                "addresses": "\(addresses.joined(separator: " "))",
                "pid": "\(getpid())", "version": "\(configuration.version)",
                "threads": "\(configuration.eventLoopCount)",
                "query-threads": "\(configuration.queryThreadCount)",
                "max-memory-bytes": "\(storage.limits.memoryBytesMax) (\(storage.limits.memorySource))",
            ]
        )
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
                "stored-bytes": "\(statistics.fileByteCount)",
                "memory-bytes": "\(statistics.memoryByteCount)",
                "replayed-groups": "\(statistics.replayedGroupCount)",
                "recovery-seconds": "\(NumberText.text((statistics.recoverySeconds * 1_000).rounded() / 1_000))",
            ]
        )
        if let failure = statistics.failure { logger.warning("no writes are served: \(failure)") }
    }
}
