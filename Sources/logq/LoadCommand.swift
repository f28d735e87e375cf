import ArgumentParser
import Foundation
import LogQClient

struct LoadCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Put many items: JSON lines from a file or standard input.",
        discussion: """
            A line is {"id": "sku-1", "vector": [0.1, -2], "features": {"price": 3}}; features may be left out.

            A bad line stops the load; with --skip-errors it is counted and left out. Lines are acknowledged in order, \
            so after a failure the message says from which line to go on. Putting a line twice does no harm.
            """
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument(help: "The collection.") var collection: String
    @Argument(help: "A file; - for standard input.") var file = "-"

    @Flag(help: "Make the collection if it is not there.")
    var create = false

    @Option(help: "With --create: the dimension (default: that of the first line).")
    var dim: Int?

    @Option(help: "With --create: dot, cosine or l2 (default: dot).")
    var metric: MetricArgument?

    @Option(help: "With --create: the weight of the newest gap in the frequency estimate (default: 0.01).")
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
        return loader.report(seconds: seconds)
    }
}

/// Ctrl-C lets the load finish what is under way and say how far it came; a second one ends it at once.
final class Interruption {
    private let source: any DispatchSourceSignal
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
        signal(SIGINT, SIG_IGN)
        source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        source.setEventHandler { [count] in
            if count.increment() > 1 { exit(ExitStatus.interrupted.rawValue) }
        }
        source.resume()
    }

    var isRequested: Bool { !count.isZero }

    func end() {
        source.cancel()
        signal(SIGINT, SIG_DFL)
    }
}
