import ArgumentParser
import LogQClient

struct PutCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "put",
        abstract: "Set the embedding of an item, and its features if given."
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument var collection: String
    @Argument var id: String
    @Argument(help: "[0.1,-2] or f32: and base64.", transform: VectorArgument.init(_:)) var vector: VectorArgument
    @Argument(help: "A JSON object that replaces the features; without it they stay.") var features: String?

    func report(_ client: LogQClient) async throws -> Report {
        try await client.put(collection, try global.ids([id])[0], vector.values, features: features)
        return .done
    }
}

struct GetCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "get", abstract: "Show embeddings.")
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument var collection: String
    @Argument var ids: [String]

    func report(_ client: LogQClient) async throws -> Report {
        let ids = try global.ids(ids)
        return .embeddings(ids, try await client.get(collection, ids))
    }
}

struct DeleteCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "del",
        abstract: "Remove embeddings, features and statistics."
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument var collection: String
    @Argument var ids: [String]

    func report(_ client: LogQClient) async throws -> Report {
        let ids = try global.ids(ids)
        return .deleted(ids, try await client.delete(collection, ids))
    }
}

struct ScanCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "scan",
        abstract: "List the items, a page at a time.",
        discussion: "A page with fewer items than its limit is the last. For the next page: --after the last row."
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument var collection: String

    @Option(help: "Begin after this row.")
    var after: UInt32?

    @Option(help: "Items a page, 1 to 16384 (default: 1000).")
    var limit: Int?

    @Flag(help: "All pages.")
    var all = false

    func report(_ client: LogQClient) async throws -> Report {
        guard all else { return .scan(try await client.scan(collection, after: after, limit: limit)) }
        let limit = limit ?? 16_384
        var items: [ScannedItem] = []
        var after = after
        while true {
            let page = try await client.scan(collection, after: after, limit: limit)
            items += page
            guard page.count == limit, let last = page.last else { return .scan(items) }
            after = last.row
        }
    }
}

struct SetFeaturesCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "fset",
        abstract: "Replace the features of an item, or change some of their keys.",
        discussion: """
            logq fset items sku-1 '{"stock":9,"price":3}'
            logq fset items sku-1 '{"stock":8}' --merge
            """
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument var collection: String
    @Argument var id: String
    @Argument(help: "A JSON object.") var features: String

    @Flag(help: "Leave the keys that the object does not have; null removes a key (RFC 7396).")
    var merge = false

    func report(_ client: LogQClient) async throws -> Report {
        let id = try global.ids([id])[0]
        if merge {
            try await client.mergeFeatures(collection, id, features)
        } else {
            try await client.setFeatures(collection, id, features)
        }
        return .done
    }
}

struct FeaturesCommand: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "fget", abstract: "Show features.")
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument var collection: String
    @Argument var ids: [String]

    @Option(help: "Only these keys, separated by commas.")
    var fields: String?

    func report(_ client: LogQClient) async throws -> Report {
        let ids = try global.ids(ids)
        return .features(ids, try await client.features(collection, ids, fields: commaSeparated(fields)))
    }
}

struct TopKCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "topk",
        abstract: "The items with the highest scores, best first. Exact.",
        discussion: """
            logq topk items 10 '[0.1,0.2]'
            logq topk items 10 --like sku-1 --except sku-2 --with features
            logq topk items 400 --like user-7 --range-min 101 --range-max 500
            logq topk items 400 --like user-7 --except sku-1 --margin 0.05 --sample 20 --strategy random
            """
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument var collection: String
    @Argument(help: "How many, 1 to 10000.") var k: Int
    @Argument(help: "[0.1,-2] or f32: and base64.", transform: VectorArgument.init(_:)) var vector: VectorArgument?

    @Option(help: "Search with the embedding of this item, and leave the item out.")
    var like: String?

    @Option(parsing: .singleValue, help: ArgumentHelp("Leave this item out. May be repeated.", valueName: "id"))
    var except: [String] = []

    @Option(parsing: .unconditional, help: "Rank by score - strength x log q, -1000 to 1000 (default: 0).")
    var strength: Double?

    @Option(help: "Begin with this rank; the best item has rank 1.")
    var rangeMin: Int?

    @Option(help: "End with this rank, or after k items.")
    var rangeMax: Int?

    @Option(parsing: .unconditional, help: "Only items with this score or more.")
    var radius: Double?

    @Option(
        parsing: .unconditional,
        help: "Of these ranks, only items that score at least this much below the lowest --except."
    )
    var margin: Double?

    @Option(help: "At most this many of the remaining items, 1 to 10000.")
    var sample: Int?

    @Option(help: "What --sample keeps: the best items (top) or random items (random) (default: top).")
    var strategy: Strategy?

    @Option(help: "For --strategy random: the same seed draws the same items.")
    var seed: UInt64?

    @Option(help: "More columns, separated by commas: vector, logq, features (rank is always there).")
    var with: String?

    @Option(help: "Give up after this many milliseconds, 1 to 60000 (default: the daemon's, usually 1000).")
    var timeoutMs: Int?

    mutating func validate() throws {
        let first = rangeMin ?? 1
        guard first >= 1, first <= rangeMax ?? .max else {
            let got = "--range-min \(first)" + (rangeMax.map { " --range-max \($0)" } ?? "")
            throw ValidationError("got \(got), expected ranks from 1, the first not above the last")
        }
        if let radius, !radius.isFinite {
            throw ValidationError("got --radius \(radius), expected a finite number")
        }
        if let strength, !(strength.magnitude <= 1_000) {
            throw ValidationError("got --strength \(strength), expected -1000 to 1000")
        }
        if let margin, !margin.isFinite || margin < 0 {
            throw ValidationError("got --margin \(margin), expected a finite number of 0 or more")
        }
        guard margin == nil || !except.isEmpty else {
            throw ValidationError("got --margin without --except, expected the items to keep it from")
        }
        guard sample != nil || (strategy == nil && seed == nil) else {
            let got = strategy == nil ? "--seed" : "--strategy"
            throw ValidationError("got \(got) without --sample, expected how many to sample")
        }
        guard seed == nil || strategy == .random else {
            throw ValidationError("got --seed without --strategy random, expected both, or no --seed")
        }
        guard (vector == nil) != (like == nil) else {
            throw ValidationError("got \(vector == nil ? "neither a vector nor" : "a vector and") --like, expected one")
        }
        _ = try columns()
    }

    enum Strategy: String, ExpressibleByArgument, CaseIterable {
        case top, random
    }

    var topKSample: TopKSample? {
        sample.map { strategy == .random ? .random($0, seed: seed) : .top($0) }
    }

    var ranks: ClosedRange<Int>? {
        rangeMin == nil && rangeMax == nil ? nil : (rangeMin ?? 1)...(rangeMax ?? .max)
    }

    private func columns() throws -> TopKColumns {
        var columns: TopKColumns = []
        for name in commaSeparated(with) {
            switch name.lowercased() {
            case "vector": columns.insert(.vector)
            case "logq": columns.insert(.logQ)
            case "features": columns.insert(.features)
            // Accepted like the protocol's own word, although the rank is always printed.
            case "rank": break
            default: throw ValidationError("got the column '\(name)', expected vector, logq or features")
            }
        }
        return columns
    }

    func report(_ client: LogQClient) async throws -> Report {
        let query: TopKQuery
        if let vector {
            query = .vector(vector.values)
        } else {
            query = .like(try global.ids([like ?? ""])[0])
        }
        let columns = try columns()
        let neighbors = try await client.topK(
            collection,
            k,
            nearest: query,
            strength: strength,
            ranks: ranks,
            radius: radius,
            except: try global.ids(except),
            margin: margin,
            sample: topKSample,
            with: columns.union(.rank),
            timeout: timeoutMs.map { .milliseconds($0) }
        )
        return .neighbors(neighbors, columns: columns)
    }
}

struct ScoreCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "score",
        abstract: "Score given items against a vector."
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument var collection: String
    @Argument(help: "[0.1,-2] or f32: and base64.", transform: VectorArgument.init(_:)) var vector: VectorArgument
    @Argument var ids: [String]

    func report(_ client: LogQClient) async throws -> Report {
        let ids = try global.ids(ids)
        return .scores(ids, try await client.score(collection, vector.values, ids))
    }
}

func commaSeparated(_ text: String?) -> [String] {
    text?.split(separator: ",").map { String($0) } ?? []
}
