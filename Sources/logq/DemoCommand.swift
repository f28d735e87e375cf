import ArgumentParser
import DependencyDemo
import LogQClient

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Train a recommender of Debian packages against its own logqd, without and with log q.",
        discussion: """
            Starts a logqd on a temporary directory, and streams embeddings and observations into it as a trainer \
            does. Asks it for log q and for the nearest items, and prints how much better the answers are with log q. \
            It takes a few minutes, uses no network, and leaves nothing on the disk.

            The negatives of a run are:
            in-batch: the other pairs of the batch.
            mixed: those, and 512 items drawn uniformly by SAMPLE. Each column is corrected by log q*, where q* is \
            its probability in the mixed batch.
            hard: those of in-batch, and about one item from ranks 101 to 500 of a TOPK for every 100 of them. Each \
            such item is corrected by the logarithm of its chance to be drawn from those ranks.
            """
    )

    @Option(help: "The seed of all random numbers.")
    var seed: UInt64 = 1

    @Option(
        help: .init(
            "The negatives to train with, one run each: in-batch, mixed, hard (default: in-batch).",
            valueName: "a,b,..."
        )
    )
    var negatives: [NegativesList] = []

    @Option(help: "Passes over the training pairs.")
    var epochs = 2

    @Option(help: "The most steps of each run, for a quick look (default: all).")
    var steps: Int?

    @Option(help: "The number of packages to evaluate.")
    var questions = 8_000

    @Option(help: "The path of the daemon to start (default: the logqd beside this program).")
    var daemon: String?

    mutating func validate() throws {
        guard epochs >= 1 else { throw ValidationError("got --epochs \(epochs), expected 1 or more") }
        if let steps, steps < 1 { throw ValidationError("got --steps \(steps), expected 1 or more") }
        guard questions >= 1 else { throw ValidationError("got --questions \(questions), expected 1 or more") }
    }

    func run() async throws {
        var options = DependencyDemo.Options()
        options.seed = seed
        if !negatives.isEmpty { options.negatives = NegativesList.joined(negatives) }
        options.epochs = epochs
        options.stepCountMax = steps
        options.questionCount = questions
        options.daemon = daemon
        do {
            try await DependencyDemo.run(options)
        } catch let error as LogQError {
            throw error
        } catch {
            throw Failure(.failed, "demo: \(error)")
        }
    }
}

/// The value of one `--negatives`.
struct NegativesList: ExpressibleByArgument {
    let names: [Negatives]

    init?(argument: String) {
        let words = argument.split(separator: ",", omittingEmptySubsequences: false)
        names = words.compactMap { Negatives(rawValue: String($0)) }
        guard names.count == words.count else { return nil }
    }

    /// The values of all lists in order, without repeats.
    static func joined(_ lists: [NegativesList]) -> [Negatives] {
        var joined: [Negatives] = []
        for name in lists.flatMap(\.names) where !joined.contains(name) { joined.append(name) }
        return joined
    }
}
