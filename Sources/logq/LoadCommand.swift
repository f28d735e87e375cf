import ArgumentParser
import Foundation
import LogQClient

struct LoadCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Put many items: JSON lines from a file or standard input.",
        discussion: """
            A line is {"id": "sku-1", "vector": [0.1, -2], "features": {"price": 3}}. Without features, those that an \
            item has stay; without a vector, only the features are set. Ids are text: 123 and "123" are the same id.

            A bad line stops the load; with --skip-errors it is counted and left out, and the load fails only if no \
            line is left. Lines are acknowledged in order, so after a failure or Ctrl-C the message names the line to \
            continue from. Loading a line twice does no harm.

            Other formats:
              a JSON array      jq -c '.[]' items.json | logq load items
              CSV, id,x,y,...   jq -Rc 'split(",")|{id:.[0],vector:(.[1:]|map(tonumber))}' items.csv | logq load items
              ids and an .npy   python3 -c 'import json, numpy
                                for i, v in zip(open("ids"), numpy.load("v.npy")):
                                    print(json.dumps({"id": i.strip(), "vector": v.tolist()}))' | logq load items
              parquet           duckdb -c "COPY (SELECT id, vector FROM 'items.parquet') TO '/dev/stdout'
                                (FORMAT json)" | logq load items
            """
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument(help: "The collection.") var collection: String
    @Argument(help: "A file; - for standard input.") var file = "-"

    @Flag(help: "Create the collection if it does not exist.")
    var create = false

    @Option(help: "With --create: the dimension (default: that of the first line).")
    var dim: Int?

    @Option(help: "With --create: dot, cosine or l2 (default: dot).")
    var metric: MetricArgument?

    @Option(help: "With --create: the weight of the newest gap in the estimate of p (default: 0.01).")
    var alpha: Double?

    @Flag(help: "Leave out lines that are bad or that the daemon refuses, and count them.")
    var skipErrors = false

    @Option(help: "Begin at this line.")
    var fromLine = 1

    mutating func validate() throws {
        if !create, dim != nil || metric != nil || alpha != nil {
            throw ValidationError("--dim, --metric and --alpha need --create")
        }
        guard fromLine >= 1 else { throw ValidationError("got --from-line \(fromLine), expected 1 or more") }
    }

    func report(_ client: LogQClient) async throws -> Report {
        var reader = try LineReader(path: file)
        var loader = Loader(client: client, collection: collection, skipErrors: skipErrors, complain: Main.complain)
        if create {
            loader.creation = Loader.Creation(dimension: dim, metric: metric?.metric ?? .dot, alpha: alpha)
        }
        let interruption = Interruption()
        defer { interruption.end() }
        let start = ContinuousClock.now
        try await loader.load(&reader, fromLine: fromLine, interruption: interruption)
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let items = try await client.collections().first { $0.name == collection }?.itemCount
        return loader.report(seconds: seconds, itemCount: items ?? 0)
    }
}

/// Handles Ctrl-C, SIGTERM and SIGHUP during a load. After the first, the load waits for the requests in flight and
/// reports how far it got. The second ends the process at once.
final class Interruption {
    private static let signals = [SIGINT, SIGTERM, SIGHUP]
    private let sources: [any DispatchSourceSignal]
    private let count = Count()

    private final class Count: @unchecked Sendable {
        private let lock = NSLock()
        private var value = 0

        func increment() -> Int {
            lock.withLock {
                value += 1
                return value
            }
        }

        var isZero: Bool { lock.withLock { value == 0 } }
    }

    init() {
        sources = Self.signals.map { number in
            signal(number, SIG_IGN)
            return DispatchSource.makeSignalSource(signal: number, queue: .global())
        }
        for source in sources {
            source.setEventHandler { [count] in
                if count.increment() > 1 { exit(ExitStatus.interrupted.rawValue) }
            }
            source.resume()
        }
    }

    var isRequested: Bool { !count.isZero }

    func end() {
        for source in sources { source.cancel() }
        for number in Self.signals { signal(number, SIG_DFL) }
    }
}
