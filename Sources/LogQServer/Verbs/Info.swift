import ItemStore
import NIOCore
import Synchronization
import SystemSupport
import VectorIndex
import WireProtocol

/// `INFO` returns figures about the daemon, in sections.
enum Info {
    enum Section: String, CaseIterable, Sendable {
        case server, requests, memory, storage, limits, collections
    }

    static let section = VerbArgument.optionalWord("section")
    private static let sectionNames = Section.allCases.map(\.rawValue).joined(separator: " ")

    static let verb = Verb(
        VerbSyntax("INFO", [section]),
        "what the daemon knows of itself; sections: " + sectionNames,
        example: "INFO memory",
        access: .read,
        .read(info)
    )

    private static func info(_ request: Request, _ services: Services) throws(WireError) -> Page {
        var sections = Section.allCases
        if let word = request[section] {
            guard let section = Section(rawValue: word) else {
                throw WireError(.badRequest, "got section \(quoted(word)), expected one of \(sectionNames)")
            }
            sections = [section]
        }
        let statistics = services.store.statistics()
        let all = sections.flatMap { rows(of: $0, statistics, services) }
        return Page(RowBlock(namesAndValues: all, shape: .properties))
    }

    private static func rows(
        of section: Section,
        _ statistics: StoreStatistics,
        _ services: Services
    ) -> [(String, String)] {
        switch section {
        case .server: server(services)
        case .requests: requests(services.metrics)
        case .memory: memory(statistics, services)
        case .storage: storage(statistics)
        case .limits: limits(services.limits) + configuredLimits(services)
        case .collections: collections(statistics, services)
        }
    }

    private static func server(_ services: Services) -> [(String, String)] {
        let metrics = services.metrics
        let queries = services.pool.statistics
        let uptime = (NIODeadline.now() - services.startTime).nanoseconds / 1_000_000_000
        return [
            ("version", services.configuration.version),
            ("protocol", "\(Limits.protocolVersion)"),
            ("pid", "\(getpid())"),
            ("uptime-seconds", "\(uptime)"),
            ("threads", "\(services.configuration.eventLoopCount)"),
            ("query-threads", "\(services.configuration.queryThreadCount)"),
            ("kernel", QueryVector.kernelName),
            ("waiting-queries", "\(queries.waitingCount)"),
            ("searches", "\(queries.searchCount)"),
            ("search-passes", "\(queries.passCount)"),
            ("samplings", "\(queries.samplingCount)"),
            ("connections", "\(metrics.connectionCount.load(ordering: .relaxed))"),
            ("connections-accepted", "\(metrics.acceptedConnectionCount.load(ordering: .relaxed))"),
            ("connections-refused", "\(metrics.refusedConnectionCount.load(ordering: .relaxed))"),
            ("accept-errors", "\(metrics.acceptErrorCount.load(ordering: .relaxed))"),
            ("requests", "\(metrics.requestCount)"),
            ("errors", "\(metrics.errorCount)"),
        ]
    }

    /// The verbs that were used and the codes that were sent. A line without a known verb counts under `-`.
    private static func requests(_ metrics: Metrics) -> [(String, String)] {
        let verbs = Array(Verbs.resp.indices.map { Optional($0) }) + [nil]
        let used = verbs.compactMap { verb -> (String, String)? in
            let counts = metrics.counts(of: verb)
            guard counts != (0, 0) else { return nil }
            let name = verb.map { Verbs.resp[$0].syntax.name } ?? "-"
            return ("verb:\(name)", "requests=\(counts.requests) errors=\(counts.errors)")
        }
        let codes = WireErrorCode.allCases.map { ($0, metrics.errorCount($0)) }.filter { $0.1 > 0 }
        return used + codes.map { ("error:\($0.0.rawValue)", "\($0.1)") }
    }

    private static func memory(_ statistics: StoreStatistics, _ services: Services) -> [(String, String)] {
        var rows = [
            ("connections-bytes", "\(services.memory.byteCount)"),
            ("max-connection-bytes", "\(services.memory.byteCountMax)"),
            ("collections-bytes", "\(statistics.memoryByteCount)"),
            ("max-memory-bytes", "\(statistics.memoryBytesMax)"),
        ]
        if statistics.idCount > 0 {
            rows.append(("bytes-per-id", "\(statistics.memoryByteCount / statistics.idCount)"))
        }
        if let resident = residentByteCount() { rows.append(("resident-bytes", "\(resident)")) }
        return rows
    }

    private static func storage(_ statistics: StoreStatistics) -> [(String, String)] {
        [
            ("directory", statistics.directory),
            ("writes", writes(statistics)),
            ("recovery-seconds", NumberText.text(statistics.recoverySeconds)),
            ("replayed-groups", "\(statistics.replayedGroupCount)"),
            ("last-group", "\(statistics.lastGroup)"),
            ("checkpointed-group", "\(statistics.checkpointedGroup)"),
            ("checkpoint-passes", "\(statistics.checkpointPassCount)"),
            ("journal-bytes", "\(statistics.journalByteCount)"),
            ("waiting-write-bytes", "\(statistics.waitingWriteByteCount)"),
            ("dropped-collections", "\(statistics.droppedCollectionCount)"),
            ("used-bytes", statistics.usedByteCount.map { "\($0)" } ?? "unknown"),
            ("file-bytes", "\(statistics.fileByteCount)"),
            ("free-bytes", statistics.freeByteCount.map { "\($0)" } ?? "unknown"),
            ("map-bytes", "\(statistics.mapByteCount)"),
        ]
    }

    private static func writes(_ statistics: StoreStatistics) -> String {
        if let failure = statistics.failure { return "refused: \(failure)" }
        return statistics.fullReason.map { "full: \($0)" } ?? "served"
    }

    /// The limits that `HELLO` returns too.
    static func limits(_ limits: Limits) -> [(String, String)] {
        [
            ("max-line-bytes", "\(limits.lineBytesMax)"),
            ("max-ids", "\(limits.idsMax)"),
            ("max-k", "\(limits.kMax)"),
            ("max-reply-bytes", "\(limits.replyBytesMax)"),
            ("max-dimension", "\(limits.dimensionMax)"),
        ]
    }

    private static func configuredLimits(_ services: Services) -> [(String, String)] {
        let configuration = services.configuration
        return [
            ("max-connections", "\(configuration.connectionsMax)"),
            ("query-queue", "\(configuration.waitingQueriesMax)"),
            ("query-timeout-ms", "\(configuration.queryTimeoutMilliseconds)"),
            ("write-queue-bytes", "\(services.store.configuration.limits.writeQueueBytesMax)"),
        ]
    }

    private static func collections(_ statistics: StoreStatistics, _ services: Services) -> [(String, String)] {
        let totals = [
            ("collections", "\(statistics.collectionCount)"),
            ("items", "\(statistics.itemCount)"),
            ("ids", "\(statistics.idCount)"),
        ]
        return totals
            + services.store.collections().flatMap { name, collection in
                [
                    ("collection:\(name)", sizes(of: collection)),
                    ("clock:\(name)", Clock.summary(of: collection)),
                ]
            }
    }

    private static func sizes(of collection: Collection) -> String {
        let bytes = collection.memoryByteCount
        let ids = collection.idCount
        var sizes = "items=\(collection.itemCount) ids=\(ids) bytes=\(bytes)"
        if collection.configuration.sketch != nil { sizes += " sketch-bytes=\(collection.sketchByteCount)" }
        return sizes
    }

    /// The resident memory of this process. Nil if it is not known, as on systems other than Linux.
    private static func residentByteCount() -> Int? {
        #if os(Linux)
        guard let file = fopen("/proc/self/statm", "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = fread(&bytes, 1, bytes.count, file)
        let words = bytes[..<count].split(separator: UInt8(ascii: " "))
        guard words.count > 1, let pages = Int(String(decoding: words[1], as: UTF8.self)) else { return nil }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
        #else
        return nil
        #endif
    }
}
