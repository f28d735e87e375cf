import ArgumentParser
import LogQClient

struct PingCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "ping",
        abstract: "Check that the daemon answers, and show the round-trip time."
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    func report(_ client: LogQClient) async throws -> Report {
        let clock = ContinuousClock()
        let start = clock.now
        try await client.ping()
        let milliseconds = (clock.now - start) / .milliseconds(1)
        return Report(
            text: "OK \(Show.number(milliseconds)) ms",
            json: .object([("ok", .bool(true)), ("milliseconds", .number(milliseconds))])
        )
    }
}

struct HelloCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "hello",
        abstract: "The daemon's version, protocol and limits."
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    func report(_ client: LogQClient) async throws -> Report {
        .namedValues(try await client.hello())
    }
}

struct InfoCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Figures about the daemon: memory, storage, collections."
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument(help: "server, requests, memory, storage, limits or collections (default: all).")
    var section: String?

    func report(_ client: LogQClient) async throws -> Report {
        .namedValues(try await client.info(section))
    }
}

struct HelpVerbCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "help-verb",
        abstract: "The daemon's own help: the protocol, for use with nc."
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument(help: "A verb of the protocol, such as TOPK (default: all).")
    var verb: String?

    func report(_ client: LogQClient) async throws -> Report {
        .lines(try await client.help(verb))
    }
}

struct CreateCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "create", abstract: "Make a collection.")
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument(help: "Its name: 1 to 64 of A-Z a-z 0-9 _ -.")
    var collection: String

    @Option(help: "The length of its embeddings. Required without --like.")
    var dim: Int?

    @Option(help: "Take the parameters of this collection; only --dim and --metric may differ.")
    var like: String?

    @Option(help: "How items are scored (default: dot). A larger score is better with each.")
    var metric: MetricArgument?

    @Option(help: "The weight of the newest gap in the estimate of p, above 0 and at most 1 (default: 0.01).")
    var alpha: Double?

    @Option(help: "The number of steps after which a hit counts half for q (default: hits always count 1).")
    var halfLife: Double?

    @Option(help: "How many of the latest observations sample can draw from, 0 to 1048576 (default: 16384).")
    var recent: Int?

    @Option(help: "The most ids. A new id then evicts the id seen longest ago that has only statistics.")
    var maxIds: Int?

    @Option(
        help: "Estimate in fixed memory: this many 40-byte buckets for each hash, at least the usual number of ids."
    )
    var sketchBuckets: Int?

    @Option(help: "The number of hashes of the sketch, 1 to 8 (default: 4).")
    var sketchHashes: Int?

    @Flag(help: "Accept a collection of that name if it has the same parameters.")
    var ifMissing = false

    mutating func validate() throws {
        guard dim != nil || like != nil else {
            throw ValidationError("got no --dim, expected --dim or --like")
        }
        let others: [(String, Bool)] = [
            ("--alpha", alpha != nil), ("--half-life", halfLife != nil), ("--recent", recent != nil),
            ("--max-ids", maxIds != nil), ("--sketch-buckets", sketchBuckets != nil),
        ]
        if let like, let other = others.first(where: \.1)?.0 {
            throw ValidationError("got \(other) with --like, which takes it from '\(like)'")
        }
        if let sketchHashes, sketchBuckets == nil {
            throw ValidationError(
                "got --sketch-hashes \(sketchHashes) without --sketch-buckets, expected both, or no --sketch-hashes"
            )
        }
    }

    var sketch: Sketch? {
        sketchBuckets.map { buckets in
            sketchHashes.map { Sketch(bucketCount: buckets, hashCount: $0) } ?? Sketch(bucketCount: buckets)
        }
    }

    func report(_ client: LogQClient) async throws -> Report {
        if let like {
            try await client.create(
                collection,
                like: like,
                dimension: dim,
                metric: metric?.metric,
                ifMissing: ifMissing
            )
            return .done
        }
        try await client.create(
            collection,
            dimension: dim ?? 0,
            metric: metric?.metric ?? .dot,
            alpha: alpha,
            halfLife: halfLife,
            recentCount: recent,
            idCountMax: maxIds,
            sketch: sketch,
            ifMissing: ifMissing
        )
        return .done
    }
}

struct DropCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "drop",
        abstract: "Remove a collection with all its items, at once."
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument var collection: String

    func report(_ client: LogQClient) async throws -> Report {
        try await client.drop(collection)
        return .done
    }
}

struct SwapCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "swap",
        abstract: "Let two collections exchange their names, at once.",
        discussion: """
            To replace a model, load its embeddings into another collection, then swap the two. The old embeddings \
            stay under the other name, and the same command restores them:

            logq swap items items-next --statistics stay

            With --statistics stay, a trainer that observes items goes on with the counts and gaps it has.
            """
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument var first: String
    @Argument var second: String

    @Option(help: "Whose statistics the first name has then: those of the second (move), or its own as before (stay).")
    var statistics = Statistics.move

    enum Statistics: String, CaseIterable, ExpressibleByArgument {
        case move, stay
    }

    func report(_ client: LogQClient) async throws -> Report {
        try await client.swap(first, second, statistics: statistics == .stay ? .stay : .move)
        return .done
    }
}

struct CollectionsCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "collections", abstract: "List the collections.")
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    func report(_ client: LogQClient) async throws -> Report {
        .collections(try await client.collections())
    }
}
