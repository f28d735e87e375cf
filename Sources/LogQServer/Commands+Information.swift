import ItemStore
import NIOCore
import PackedStrings
import SamplingFrequency
import Synchronization
import VectorIndex
import WireProtocol

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What the daemon says of itself: HELLO, HELP, INFO, COLLECTIONS; and CREATE and SWAP.
extension Commands {
    static func create(_ request: Request) throws(WireError) -> Write {
        .create(
            name: request.collection,
            CollectionConfiguration(
                dimension: Int(request.integer(.dim) ?? 1),
                metric: request.choice(.metric).map { CommandTable.metrics[$0] } ?? .dot,
                alpha: request.number(.alpha) ?? 0.01,
                halfLife: request.number(.halfLife),
                recentCount: request.integer(.recent).map { Int($0) } ?? CollectionConfiguration.recentCountDefault,
                idCountMax: request.integer(.maxIDs).map { Int($0) },
                sketch: try sketch(request)
            )
        )
    }

    static func swap(_ request: Request) throws(WireError) -> Write {
        guard request.collection != request.secondCollection else {
            throw WireError(.badRequest, "got '\(request.collection)' twice, expected two collections")
        }
        return .swap(request.collection, request.secondCollection)
    }

    /// The layout of the sketch that was asked for, if any.
    private static func sketch(_ request: Request) throws(WireError) -> SketchLayout? {
        guard request.choice(.estimator).map({ CommandTable.estimators[$0] }) == "sketch" else {
            if let name = [OptionName.buckets, .hashes, .seed].first(where: { request.integer($0) != nil }) {
                throw WireError(.badRequest, "got \(name.rawValue)= without estimator=sketch")
            }
            return nil
        }
        guard let bucketCount = request.integer(.buckets).map({ Int($0) }) else {
            throw WireError(.badRequest, "got estimator=sketch without buckets=, which is its memory")
        }
        if let name = [OptionName.recent, .maxIDs].first(where: { request.integer($0) != nil }) {
            throw WireError(.badRequest, "got \(name.rawValue)= with estimator=sketch, which has no list of ids")
        }
        let hashCount = request.integer(.hashes).map { Int($0) } ?? CommandTable.sketchHashCountDefault
        guard SketchLayout.isPossible(bucketCount: bucketCount, hashCount: hashCount) else {
            let most = SketchLayout.totalBucketCountMax / hashCount
            throw WireError(
                .limit,
                "got buckets=\(bucketCount), expected at most \(most) for each of \(hashCount) hashes"
            )
        }
        let seed = request.integer(.seed) ?? .random(in: 0...UInt64.max)
        return SketchLayout(bucketCount: bucketCount, hashCount: hashCount, seed: seed)
    }

    static func hello(
        _ session: inout Session,
        _ request: Request,
        _ services: Services
    ) throws(WireError) -> Reply {
        let format = CommandTable.vectorFormats[request.choice(.vectors) ?? 0]
        session.writer.vectorFormat = format.format
        return namesAndValues(
            [
                ("server", "logqd"), ("version", services.configuration.version),
                ("protocol", "\(Limits.protocolVersion)"), ("vectors", format.name),
            ] + limits(services.limits)
        )
    }

    static func help(
        _ session: inout Session,
        _ request: Request,
        _ services: Services
    ) throws(WireError) -> Reply {
        guard let word = request.word else { return texts(CommandTable.commands.map(usageAndSummary)) }
        var name = word
        guard let index = name.withUTF8({ services.parser.verb(named: UnsafeRawBufferPointer($0)) }) else {
            throw WireError(.unknown, "got \(quoted(word)), expected a verb (HELP lists them)")
        }
        let command = CommandTable.commands[index]
        let options = command.syntax.options.map { "\($0.name.rawValue)=\($0.placeholder) -- \($0.help)" }
        return texts([usageAndSummary(command)] + options + ["example: \(command.example)"])
    }

    private static func usageAndSummary(_ command: Command) -> String {
        "\(command.syntax.usage) -- \(command.summary)"
    }

    static func collections(_ request: Request, _ services: Services) throws(WireError) -> Reply {
        let named = services.store.collections()
        let all = named.map(\.collection)
        let sketches = all.map(\.configuration.sketch)
        return .rows(
            RowBlock(
                count: all.count,
                [
                    Column(.texts(named.map(\.name))),
                    Column(.integers(all.map { Int64($0.configuration.dimension) }), label: "dim"),
                    Column(.texts(all.map(\.configuration.metric.rawValue)), label: "metric"),
                    Column(.numbers(all.map(\.configuration.alpha)), label: "alpha"),
                    Column(.integers(all.map { Int64($0.itemCount) }), label: "items"),
                    Column(.integers(all.map { Int64($0.idCount) }), label: "ids"),
                    Column(.texts(all.map { orDash($0.configuration.halfLife, NumberText.text) }), label: "half_life"),
                    Column(.integers(all.map { Int64($0.configuration.recentCount) }), label: "recent"),
                    Column(.texts(all.map { orDash($0.configuration.idCountMax) { "\($0)" } }), label: "max_ids"),
                    Column(.texts(sketches.map { orDash($0?.bucketCount) { "\($0)" } }), label: "buckets"),
                    Column(.texts(sketches.map { orDash($0?.hashCount) { "\($0)" } }), label: "hashes"),
                ]
            )
        )
    }

    private static func orDash<Value>(_ value: Value?, _ text: (Value) -> String) -> String {
        value.map(text) ?? "-"
    }

    // MARK: INFO

    static let infoSections = ["server", "memory", "storage", "limits", "collections"]

    static func info(_ request: Request, _ services: Services) throws(WireError) -> Reply {
        var sections = infoSections
        if let word = request.word {
            guard infoSections.contains(word) else {
                let known = infoSections.joined(separator: " ")
                throw WireError(.badRequest, "got section \(quoted(word)), expected one of \(known)")
            }
            sections = [word]
        }
        let statistics = services.store.statistics()
        var rows: [(String, String)] = []
        for section in sections {
            switch section {
            case "server": rows += server(services)
            case "memory": rows += memory(statistics)
            case "storage": rows += storage(statistics)
            case "limits":
                rows += limits(services.limits)
                rows.append(("max-connections", "\(services.configuration.connectionsMax)"))
                rows.append(("query-queue", "\(services.configuration.waitingQueriesMax)"))
                rows.append(("query-timeout-ms", "\(services.configuration.queryTimeoutMilliseconds)"))
                rows.append(("write-queue-bytes", "\(services.store.configuration.limits.writeQueueBytesMax)"))
            default: rows += collections(statistics, services)
            }
        }
        return namesAndValues(rows)
    }

    private static func server(_ services: Services) -> [(String, String)] {
        let metrics = services.metrics
        let searches = services.pool.statistics
        let uptime = (NIODeadline.now() - services.startTime).nanoseconds / 1_000_000_000
        return [
            ("version", services.configuration.version),
            ("protocol", "\(Limits.protocolVersion)"),
            ("pid", "\(getpid())"),
            ("uptime-seconds", "\(uptime)"),
            ("threads", "\(services.configuration.eventLoopCount)"),
            ("query-threads", "\(services.configuration.queryThreadCount)"),
            ("kernel", QueryVector.kernelName),
            ("waiting-queries", "\(searches.waitingCount)"),
            ("searches", "\(searches.searchCount)"),
            ("search-passes", "\(searches.passCount)"),
            ("samplings", "\(searches.samplingCount)"),
            ("connections", "\(metrics.connectionCount.load(ordering: .relaxed))"),
            ("connections-accepted", "\(metrics.acceptedConnectionCount.load(ordering: .relaxed))"),
            ("connections-refused", "\(metrics.refusedConnectionCount.load(ordering: .relaxed))"),
            ("requests", "\(metrics.requestCount.load(ordering: .relaxed))"),
            ("errors", "\(metrics.errorCount.load(ordering: .relaxed))"),
        ]
    }

    private static func memory(_ statistics: StoreStatistics) -> [(String, String)] {
        var rows = [
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
            ("writes", statistics.failure.map { "refused: \($0)" } ?? "served"),
            ("recovery-seconds", NumberText.text(statistics.recoverySeconds)),
            ("replayed-groups", "\(statistics.replayedGroupCount)"),
            ("last-group", "\(statistics.lastGroup)"),
            ("checkpointed-group", "\(statistics.checkpointedGroup)"),
            ("checkpoint-passes", "\(statistics.checkpointPassCount)"),
            ("journal-bytes", "\(statistics.journalByteCount)"),
            ("waiting-write-bytes", "\(statistics.waitingWriteByteCount)"),
            ("used-bytes", "\(statistics.usedByteCount)"),
            ("map-bytes", "\(statistics.mapByteCount)"),
        ]
    }

    private static func collections(
        _ statistics: StoreStatistics,
        _ services: Services
    ) -> [(String, String)] {
        let rows = [
            ("collections", "\(statistics.collectionCount)"),
            ("items", "\(statistics.itemCount)"),
            ("ids", "\(statistics.idCount)"),
        ]
        return rows
            + services.store.collections().map { name, collection in
                let bytes = collection.memoryByteCount
                let ids = collection.idCount
                var value = "items=\(collection.itemCount) ids=\(ids) bytes=\(bytes)"
                if collection.configuration.sketch != nil { value += " sketch-bytes=\(collection.sketchByteCount)" }
                return ("collection:\(name)", value)
            }
    }

    private static func limits(_ limits: Limits) -> [(String, String)] {
        [
            ("max-line-bytes", "\(limits.lineBytesMax)"),
            ("max-ids", "\(limits.idsMax)"),
            ("max-k", "\(limits.kMax)"),
            ("max-reply-bytes", "\(limits.replyBytesMax)"),
            ("max-dimension", "\(limits.dimensionMax)"),
        ]
    }

    /// The memory of this process; nil where the system does not say.
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

    // MARK: Shapes

    private static func namesAndValues(_ rows: [(String, String)]) -> Reply {
        .rows(RowBlock(count: rows.count, [Column(.texts(rows.map(\.0))), Column(.texts(rows.map(\.1)))]))
    }

    private static func texts(_ rows: [String]) -> Reply {
        .rows(RowBlock(count: rows.count, [Column(.texts(rows))]))
    }
}
