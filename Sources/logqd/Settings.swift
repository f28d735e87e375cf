import ArgumentParser
import ItemStore
import LogQServer
import Logging
import WireProtocol

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The options of the daemon. Each has a default, may come from the environment, and is checked before anything starts.
struct Settings: ParsableArguments {
    @Option(help: ArgumentHelp("The data directory (default ./logqd-data).", valueName: "dir"))
    var data: String?

    @Option(
        help: ArgumentHelp("TCP address; port 0 is any free one (default 127.0.0.1:5647).", valueName: "host:port")
    )
    var listen: String?

    @Option(help: ArgumentHelp("A Unix socket to listen on, too.", valueName: "path"))
    var unix: String?

    @Option(help: "Threads that own connections (default: half of the cores, at least 1).")
    var threads: Int?

    @Option(help: "Threads that run TOPK (default: the cores but one, at least 1).")
    var queryThreads: Int?

    @Flag(help: "Serve what is stored and refuse every write.")
    var readOnly = false

    @Option(help: "trace, debug, info, notice, warning, error or critical (default info).")
    var logLevel: String?

    @Option(help: "The longest request line (default 1048576).")
    var maxLineBytes: Int?

    @Option(help: "The most ids in a request (default 16384).")
    var maxIds: Int?

    @Option(help: "The largest k of TOPK (default 10000).")
    var maxK: Int?

    @Option(help: "The longest reply (default 67108864).")
    var maxReplyBytes: Int?

    @Option(help: "The largest dimension of a collection (default 4096).")
    var maxDimension: Int?

    @Option(help: "The most connections at a time (default 4096).")
    var maxConnections: Int?

    @Option(help: "Bytes of writes that may wait for the disk (default 268435456).")
    var writeQueueBytes: Int?

    @Option(help: "TOPKs that may wait for a thread (default 1024).")
    var queryQueue: Int?

    @Option(help: "Milliseconds that a TOPK may take unless it says otherwise, 1 to 60000 (default 1000).")
    var queryTimeoutMs: Int?

    @Option(help: "Memory of all items; past it new ids are refused (default four fifths of the machine's).")
    var maxMemoryBytes: Int?

    @Option(help: "Size of the journal at which a checkpoint begins (default 134217728).")
    var checkpointBytes: Int?

    @Option(help: "Size of the journal at which writes wait for the checkpoint (default 268435456).")
    var journalBytesMax: Int?

    // MARK: - What the options mean

    func serverConfiguration() throws -> ServerConfiguration {
        var configuration = ServerConfiguration()
        configuration.version = serverVersion
        let coreCount = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        configuration.tcp = try address(resolve(listen, "listen") ?? "127.0.0.1:\(Limits.portDefault)")
        configuration.unixPath = resolve(unix, "unix")
        configuration.eventLoopCount = try resolve(threads, "threads", 1...1_024) ?? max(1, coreCount / 2)
        configuration.queryThreadCount =
            try resolve(queryThreads, "query-threads", 1...1_024) ?? max(1, coreCount - 1)
        try set(&configuration.connectionsMax, maxConnections, "max-connections", 1...1_000_000)
        try set(&configuration.waitingQueriesMax, queryQueue, "query-queue", 1...1_000_000)
        try set(&configuration.limits.lineBytesMax, maxLineBytes, "max-line-bytes", 64...(1 << 30))
        try set(&configuration.limits.idsMax, maxIds, "max-ids", 1...(1 << 24))
        let timeouts = 1...Limits.timeoutMillisecondsMax
        try set(&configuration.queryTimeoutMilliseconds, queryTimeoutMs, "query-timeout-ms", timeouts)
        // The features of so many rows, at most 3,900 bytes each, fit an answer's 2 GiB.
        try set(&configuration.limits.kMax, maxK, "max-k", 1...(1 << 19))
        try set(&configuration.limits.replyBytesMax, maxReplyBytes, "max-reply-bytes", 1_024...(1 << 30))
        try set(&configuration.limits.dimensionMax, maxDimension, "max-dimension", 1...32_768)
        return configuration
    }

    func storeConfiguration() throws -> StoreConfiguration {
        var limits = StoreLimits()
        try set(&limits.dimensionMax, maxDimension, "max-dimension", 1...32_768)
        limits.memoryBytesMax = physicalMemoryByteCount / 5 * 4
        try set(&limits.memoryBytesMax, maxMemoryBytes, "max-memory-bytes", 1 << 20...(1 << 50))
        try set(&limits.writeQueueBytesMax, writeQueueBytes, "write-queue-bytes", 1_024...(1 << 40))
        try set(&limits.checkpointAtJournalBytes, checkpointBytes, "checkpoint-bytes", 4_096...(1 << 40))
        try set(&limits.journalBytesMax, journalBytesMax, "journal-bytes-max", 1 << 20...(1 << 40))
        return StoreConfiguration(
            directory: resolve(data, "data") ?? "./logqd-data",
            isReadOnly: try resolvedReadOnly(),
            limits: limits
        )
    }

    func resolvedLogLevel() throws -> Logger.Level {
        guard let text = resolve(logLevel, "log-level") else { return .info }
        guard let level = Logger.Level(rawValue: text.lowercased()) else {
            let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("got log level '\(text)', expected one of \(known)")
        }
        return level
    }

    /// Checked by the argument parser, so that a wrong value is a usage error before anything is opened.
    func validate() throws {
        _ = try serverConfiguration()
        _ = try storeConfiguration()
        _ = try resolvedLogLevel()
    }

    private func resolvedReadOnly() throws -> Bool {
        if readOnly { return true }
        guard let text = environment("read-only") else { return false }
        switch text.lowercased() {
        case "1", "true", "yes": return true
        case "0", "false", "no", "": return false
        default: throw ValidationError("got LOGQD_READ_ONLY='\(text)', expected true or false")
        }
    }

    private func address(_ text: String) throws -> (host: String, port: Int) {
        // The port stands behind the last colon; an IPv6 address is written in brackets.
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65_535).contains(port)
        else { throw ValidationError("got '\(text)', expected host:port with a port from 0 to 65535") }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { throw ValidationError("got '\(text)', expected a host before the port") }
        return (String(host), port)
    }

    // MARK: - Options and environment

    private func set(_ value: inout Int, _ option: Int?, _ name: String, _ range: ClosedRange<Int>) throws {
        if let resolved = try resolve(option, name, range) { value = resolved }
    }

    private func resolve(_ option: Int?, _ name: String, _ range: ClosedRange<Int>) throws -> Int? {
        var value = option
        if value == nil, let text = environment(name) {
            guard let integer = Int(text) else {
                throw ValidationError("got \(variable(name))='\(text)', expected an integer")
            }
            value = integer
        }
        guard let value else { return nil }
        guard range.contains(value) else {
            throw ValidationError("got --\(name) \(value), expected \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    private func resolve(_ option: String?, _ name: String) -> String? {
        option ?? environment(name)
    }

    private func variable(_ name: String) -> String {
        "LOGQD_" + name.uppercased().replacing("-", with: "_")
    }

    private func environment(_ name: String) -> String? {
        getenv(variable(name)).map { String(cString: $0) }
    }
}
