import ArgumentParser
import LogQClient

struct SampleCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "sample",
        abstract: "Draw negatives, each with its probability.",
        discussion: """
            logq sample items 100 --with logq
            logq sample items 100 --by frequency --power 0.75 --unique --except sku-1
            logq sample items 100 --by mixed --mix 3:1 --seed 7
            """
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument var collection: String
    @Argument(help: "How many draws, 1 to 16384.") var n: Int

    @Option(help: "What makes an item likely: uniform, frequency, mixed or recent.")
    var by: DistributionArgument = .uniform

    @Option(help: "By frequency or mixed: q is proportional to count^power; 0 to 1 (default: 1).")
    var power: Double?

    @Option(help: ArgumentHelp("By mixed: by frequency with probability B/(B+B'), else uniform.", valueName: "B:B'"))
    var mix: MixArgument?

    @Flag(help: "No item twice. With few items, or after 100 n draws, there are fewer than n.")
    var unique = false

    @Flag(help: "Fail if there are fewer than n.")
    var insist = false

    @Option(parsing: .singleValue, help: ArgumentHelp("Never draw this item. May be repeated.", valueName: "id"))
    var except: [String] = []

    @Option(help: "The same seed and the same collection give the same draw.")
    var seed: UInt64?

    @Option(help: "More columns, separated by commas: vector, logq, features.")
    var with: String?

    @Option(help: "Give up after this many milliseconds, 1 to 60000 (default: the daemon's, usually 1000).")
    var timeoutMs: Int?

    mutating func validate() throws {
        if let power, !(0...1).contains(power) {
            throw ValidationError("got --power \(power), expected a number from 0 to 1")
        }
        if power != nil, by == .uniform || by == .recent {
            throw ValidationError("got --power with --by \(by.rawValue), expected --by frequency or --by mixed with it")
        }
        guard (by == .mixed) == (mix != nil) else {
            let got = by == .mixed ? "--by mixed without --mix" : "--mix with --by \(by.rawValue)"
            throw ValidationError("got \(got), expected both --by mixed and --mix, or neither")
        }
        _ = try columns()
    }

    var distribution: SamplingDistribution {
        let power = power ?? 1
        return switch by {
        case .uniform: .uniform
        case .frequency: .frequency(power: power)
        case .mixed: .mixed(inBatch: mix?.inBatch ?? 1, uniform: mix?.uniform ?? 1, power: power)
        case .recent: .recent
        }
    }

    private func columns() throws -> SampleColumns {
        var columns: SampleColumns = []
        for name in commaSeparated(with) {
            switch name.lowercased() {
            case "vector": columns.insert(.vector)
            case "logq": columns.insert(.logQ)
            case "features": columns.insert(.features)
            default: throw ValidationError("got the column '\(name)', expected vector, logq or features")
            }
        }
        return columns
    }

    func report(_ client: LogQClient) async throws -> Report {
        let columns = try columns()
        let items = try await client.sample(
            collection,
            n,
            by: distribution,
            unique: unique,
            insist: insist,
            except: try global.ids(except),
            seed: seed,
            with: columns,
            timeout: timeoutMs.map { .milliseconds($0) }
        )
        return .samples(items, columns: columns)
    }
}

/// The distribution to draw from, as a command-line argument.
enum DistributionArgument: String, CaseIterable, ExpressibleByArgument {
    case uniform
    case frequency
    case mixed
    case recent
}

/// `B:B'`, the ratio of draws by frequency to uniform draws.
struct MixArgument: ExpressibleByArgument, Equatable {
    let inBatch: Double
    let uniform: Double

    init?(argument: String) {
        let numbers = argument.split(separator: ":", omittingEmptySubsequences: false).map { Double($0) ?? .nan }
        guard numbers.count == 2, numbers.allSatisfy({ $0 >= 0 && $0.isFinite }), numbers != [0, 0] else { return nil }
        (inBatch, uniform) = (numbers[0], numbers[1])
    }
}

extension Report {
    static func samples(_ items: [SampledItem], columns: SampleColumns) -> Report {
        var titles: [(String, Table.Alignment)] = [("id", .left), ("q", .right), ("expected", .right)]
        if columns.contains(.logQ) { titles.append(("log q", .right)) }
        if columns.contains(.vector) { titles.append(("vector", .left)) }
        if columns.contains(.features) { titles.append(("features", .left)) }
        var table = Table(titles)
        var json: [JSONValue] = []
        for item in items {
            var cells = [item.id.shown, Show.number(item.q), Show.number(item.expected)]
            var members: [(String, JSONValue)] = [
                ("id", JSONValue(item.id)), ("q", .number(item.q)), ("expected", .number(item.expected)),
            ]
            if columns.contains(.logQ) {
                cells.append(Show.number(item.logQ))
                members.append(("logq", JSONValue(item.logQ)))
            }
            if columns.contains(.vector) {
                cells.append(Show.vector(item.vector))
                members.append(("vector", item.vector.map { .vector($0) } ?? .null))
            }
            if columns.contains(.features) {
                cells.append(item.features.map(Show.json) ?? "-")
                members.append(("features", item.features.map { .raw($0) } ?? .null))
            }
            table.add(cells)
            json.append(.object(members))
        }
        return Report(table, json: .array(json))
    }
}
