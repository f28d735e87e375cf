import ArgumentParser
import ItemStore
import LogQServer
import Logging
import SystemSupport
import WireProtocol

/// The options of the daemon. Each has a default, and can also be set in the environment. All are checked before the
/// daemon starts.
struct Settings: ParsableArguments {
    @Option(help: ArgumentHelp("The data directory (default ./logqd-data).", valueName: "dir"))
    var data: String?

    @Option(
        help: ArgumentHelp(
            "A TCP address, or none; port 0 is any free port. May be repeated (default 127.0.0.1:5647).",
            valueName: "host:port"
        )
    )
    var listen: [String] = []

    @Flag(help: "Allow --listen on addresses that other machines can reach: there is no password and no encryption.")
    var insecure = false

    @Option(help: ArgumentHelp("A Unix-domain socket to listen on as well.", valueName: "path"))
    var unix: String?

    @Option(help: ArgumentHelp("The permissions of the Unix-domain socket, such as 660.", valueName: "mode"))
    var unixMode: String?

    @Option(help: ArgumentHelp("The group of the Unix-domain socket, a name or a number.", valueName: "group"))
    var unixGroup: String?

    @Option(help: "Threads that own connections (default: half of the cores, at least 1).")
    var threads: Int?

    @Option(help: "Threads that run TOPK, SAMPLE and POPULAR (default: the cores less one, at least 1).")
    var queryThreads: Int?

    @Flag(help: "Serve the stored data and refuse every write.")
    var readOnly = false

    @Option(help: "What to log: trace, debug, info, notice, warning, error or critical (default info).")
    var logLevel: String?

    @Option(help: "How to log: text, or json with one object a line (default text).")
    var logFormat: String?

    @Option(help: "Log a request that takes this many milliseconds, without its values; 0 logs none (default 1000).")
    var logSlowMs: Int?

    @Option(
        help: ArgumentHelp("The longest request line, in bytes (default 1048576).", valueName: "bytes"),
        transform: ByteCount.parse
    )
    var maxLineBytes: ByteCount?

    @Option(help: "The most ids in a request, and the largest n of SAMPLE (default 16384).")
    var maxIds: Int?

    @Option(help: "The largest k of TOPK (default 10000).")
    var maxK: Int?

    @Option(
        help: ArgumentHelp("The longest reply, in bytes (default 67108864).", valueName: "bytes"),
        transform: ByteCount.parse
    )
    var maxReplyBytes: ByteCount?

    @Option(help: "The largest dimension of a collection (default 4096).")
    var maxDimension: Int?

    @Option(help: "The most connections at a time (default 4096).")
    var maxConnections: Int?

    @Option(
        help: ArgumentHelp(
            "Bytes of writes that may wait for the disk (default 1/16 of the memory, at most 268435456).",
            valueName: "bytes"
        ),
        transform: ByteCount.parse
    )
    var writeQueueBytes: ByteCount?

    @Option(help: "TOPK, SAMPLE and POPULAR requests that may wait for a thread (default 1024).")
    var queryQueue: Int?

    @Option(help: "Time limit of a query without timeout_ms=, in milliseconds, 1 to 60000 (default 1000).")
    var queryTimeoutMs: Int?

    @Option(
        help: ArgumentHelp(
            """
            Memory of all collections, in bytes; past it writes that need more are refused (default 4/5 of what the \
            machine, control groups and ulimit -v allow, less 64 MiB).
            """,
            valueName: "bytes"
        ),
        transform: ByteCount.parse
    )
    var maxMemoryBytes: ByteCount?

    @Option(
        help: ArgumentHelp(
            "Memory of all connections together, in bytes (default 1/16 of the memory).",
            valueName: "bytes"
        ),
        transform: ByteCount.parse
    )
    var maxConnectionBytes: ByteCount?

    @Option(
        help: ArgumentHelp(
            "Size of the journal, in bytes, at which a checkpoint begins (default 134217728).",
            valueName: "bytes"
        ),
        transform: ByteCount.parse
    )
    var checkpointBytes: ByteCount?

    @Option(
        help: ArgumentHelp(
            "Size of the journal, in bytes, at which writes wait for the checkpoint (default 268435456).",
            valueName: "bytes"
        ),
        transform: ByteCount.parse
    )
    var journalBytesMax: ByteCount?

    // MARK: - Configurations from the options

    func serverConfiguration() throws -> ServerConfiguration {
        var configuration = ServerConfiguration()
        let coreCount = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        configuration.unix = try resolvedUnixSocket()
        configuration.tcp = try resolvedListen(isAlone: configuration.unix == nil)
        configuration.isInsecure = try resolve(insecure, "insecure")
        configuration.eventLoopCount = try resolve(threads, "threads", 1...1_024) ?? max(1, coreCount / 2)
        configuration.queryThreadCount =
            try resolve(queryThreads, "query-threads", 1...1_024) ?? max(1, coreCount - 1)
        try set(&configuration.connectionsMax, maxConnections, "max-connections", 1...1_000_000)
        configuration.connectionBytesMax = AvailableMemory.ofThisProcess().byteCount / 16
        let connectionBytes = 1 << 16...(1 << 40)
        try set(&configuration.connectionBytesMax, maxConnectionBytes, "max-connection-bytes", connectionBytes)
        try set(&configuration.waitingQueriesMax, queryQueue, "query-queue", 1...1_000_000)
        try set(&configuration.limits.lineBytesMax, maxLineBytes, "max-line-bytes", 64...(1 << 30))
        try set(&configuration.limits.idsMax, maxIds, "max-ids", 1...(1 << 24))
        let timeouts = 1...Limits.timeoutMillisecondsMax
        try set(&configuration.queryTimeoutMilliseconds, queryTimeoutMs, "query-timeout-ms", timeouts)
        if let milliseconds = try resolve(logSlowMs, "log-slow-ms", 0...3_600_000) {
            configuration.slowRequestMilliseconds = milliseconds == 0 ? nil : milliseconds
        }
        // The ids of this many rows, at most 255 bytes each, fit into the 2 GiB of a `PackedStrings`. Their features
        // are bounded by the longest reply.
        try set(&configuration.limits.kMax, maxK, "max-k", 1...(1 << 19))
        try set(&configuration.limits.replyBytesMax, maxReplyBytes, "max-reply-bytes", 1_024...(1 << 30))
        try set(&configuration.limits.dimensionMax, maxDimension, "max-dimension", 1...32_768)
        return configuration
    }

    func storeConfiguration() throws -> StoreConfiguration {
        var limits = StoreLimits()
        try set(&limits.dimensionMax, maxDimension, "max-dimension", 1...32_768)
        let memory = AvailableMemory.ofThisProcess()
        limits.setDefaults(for: memory)
        if let bytes = try resolve(maxMemoryBytes, "max-memory-bytes", 1 << 20...(1 << 50)) {
            limits.memoryBytesMax = bytes
            limits.memorySource = "--max-memory-bytes"
        }
        try set(&limits.writeQueueBytesMax, writeQueueBytes, "write-queue-bytes", 1_024...(1 << 40))
        try set(&limits.checkpointAtJournalBytes, checkpointBytes, "checkpoint-bytes", 4_096...(1 << 40))
        try set(&limits.journalBytesMax, journalBytesMax, "journal-bytes-max", 1 << 20...(1 << 40))
        return StoreConfiguration(
            directory: absolutePath(try resolve(data, "data", "the path of a directory") ?? "logqd-data"),
            isReadOnly: try resolve(readOnly, "read-only"),
            limits: limits
        )
    }

    func resolvedLogLevel() throws -> Logger.Level {
        guard let text = logLevel ?? Environment.value(of: "log-level") else { return .info }
        guard let level = Logger.Level(rawValue: text.lowercased()) else {
            let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("got log level '\(text)', expected one of \(known)")
        }
        return level
    }

    func resolvedLogFormat() throws -> LogFormat {
        guard let text = logFormat ?? Environment.value(of: "log-format") else { return .text }
        guard let format = LogFormat(rawValue: text) else {
            throw ValidationError("got log format '\(text)', expected text or json")
        }
        return format
    }

    /// The argument parser calls this, so that a wrong value is a usage error before anything is opened.
    func validate() throws {
        _ = try serverConfiguration()
        _ = try storeConfiguration()
        _ = try resolvedLogLevel()
        _ = try resolvedLogFormat()
    }

    /// The names of all options, without their dashes.
    static var names: [String] {
        // A property `_maxIds` is the option `--max-ids`.
        Mirror(reflecting: Settings()).children.compactMap(\.label).map { label in
            label.dropFirst().reduce(into: "") { $0 += $1.isUppercase ? "-\($1.lowercased())" : "\($1)" }
        }
    }

    // MARK: - Addresses

    private func resolvedListen(isAlone: Bool) throws -> [ListenAddress] {
        let given = Environment.value(of: "listen")?.split(separator: ",", omittingEmptySubsequences: false)
        let texts = listen.isEmpty ? given?.map(String.init) ?? ["127.0.0.1:\(Limits.portDefault)"] : listen
        if texts == ["none"] {
            guard !isAlone else { throw ValidationError("got --listen none without --unix, expected one address") }
            return []
        }
        return try texts.map { text in
            guard let address = ListenAddress(text) else {
                let form = "host:port with a port from 0 to 65535, an IPv6 host in brackets"
                throw ValidationError("got --listen '\(text)', expected \(form), or none alone")
            }
            return address
        }
    }

    private func resolvedUnixSocket() throws -> UnixSocket? {
        let mode = try resolve(unixMode, "unix-mode", "octal digits such as 660")
        let group = try resolve(unixGroup, "unix-group", "the name of a group")
        guard let path = try resolve(unix, "unix", "the path of a socket") else {
            guard mode == nil, group == nil else {
                throw ValidationError("got --unix-mode or --unix-group without --unix, expected it with them")
            }
            return nil
        }
        let byteCount = path.utf8.count
        guard byteCount <= unixSocketPathBytesMax else {
            let most = "at most \(unixSocketPathBytesMax), the system's limit"
            throw ValidationError("got --unix with a path of \(byteCount) bytes, expected \(most)")
        }
        return UnixSocket(path: path, mode: try mode.map(permissions), group: try group.map(groupNumber))
    }

    private func permissions(_ text: String) throws -> UInt16 {
        guard let mode = UInt16(text, radix: 8), mode <= 0o777 else {
            throw ValidationError("got --unix-mode '\(text)', expected octal digits from 0 to 777, such as 660")
        }
        return mode
    }

    private func groupNumber(_ text: String) throws -> UInt32 {
        if let number = UInt32(text) { return number }
        guard let entry = getgrnam(text) else {
            throw ValidationError("got --unix-group '\(text)', expected a group of this machine")
        }
        return entry.pointee.gr_gid
    }

    private func absolutePath(_ path: String) -> String {
        guard !path.hasPrefix("/"), let directory = getcwd(nil, 0) else { return path }
        defer { free(directory) }
        let parts = path.split(separator: "/").filter { $0 != "." }
        return ([String(cString: directory)] + parts.map(String.init)).joined(separator: "/")
    }

    // MARK: - Options and environment

    private func set(_ value: inout Int, _ option: Int?, _ name: String, _ range: ClosedRange<Int>) throws {
        if let resolved = try resolve(option, name, range) { value = resolved }
    }

    private func set(_ value: inout Int, _ option: ByteCount?, _ name: String, _ range: ClosedRange<Int>) throws {
        if let resolved = try resolve(option, name, range) { value = resolved }
    }

    private func resolve(_ option: ByteCount?, _ name: String, _ range: ClosedRange<Int>) throws -> Int? {
        let given = try option ?? parsed(name, ByteCount.forms, ByteCount.init(text:))
        return try given.flatMap { try resolve($0.value, name, range) }
    }

    private func resolve(_ option: Int?, _ name: String, _ range: ClosedRange<Int>) throws -> Int? {
        guard let value = try option ?? parsed(name, "an integer", { Int($0) }) else { return nil }
        guard range.contains(value) else {
            throw ValidationError("got --\(name) \(value), expected \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// The value of the option's environment variable. Nil if it is not set.
    private func parsed<Value>(_ name: String, _ expected: String, _ parse: (String) -> Value?) throws -> Value? {
        guard let text = Environment.value(of: name) else { return nil }
        guard let value = parse(text) else {
            throw ValidationError("got \(Environment.variable(of: name))='\(text)', expected \(expected)")
        }
        return value
    }

    private func resolve(_ option: String?, _ name: String, _ expected: String) throws -> String? {
        guard let text = option ?? Environment.value(of: name) else { return nil }
        guard !text.isEmpty else {
            let variable = option == nil ? " (an empty \(Environment.variable(of: name)))" : ""
            throw ValidationError("got an empty --\(name)\(variable), expected \(expected)")
        }
        return text
    }

    private func resolve(_ flag: Bool, _ name: String) throws -> Bool {
        try flag || Environment.flag(name) ?? false
    }
}
