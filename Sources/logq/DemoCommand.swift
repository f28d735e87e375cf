import ArgumentParser
import DependencyDemo
import LogQClient

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Train a recommender of Debian packages against a logqd of its own, without and with log q.",
        discussion: """
            Starts a logqd on a temporary directory, streams embeddings and observations into it as a trainer does, asks \
            it for log q and for the nearest items, and prints how much better the answers are with log q. Takes some \
            minutes and no network; nothing stays behind.

            Negatives are the rest of the batch (in-batch), those and 512 items drawn uniformly by SAMPLE, each column \
            corrected by log q*, its probability in the mixed batch (mixed), or those and items from ranks 101 to 500 \
            of a TOPK, one to about 100 of the others, each corrected by the log of its chance to be drawn from those \
            ranks (hard).
            """
    )

    @Option(help: "Everything random comes from it.")
    var seed: UInt64 = 1

    @Option(
        help: .init(
            "Where negatives come from, one run each: in-batch, mixed, hard (default: in-batch).",
            valueName: "a,b,..."
        )
    )
    var negatives: [NegativesList] = []

    @Option(help: "Passes over the training pairs.")
    var epochs = 2

    @Option(help: "At most so many steps a run, for a quick look (default: all).")
    var steps: Int?

    @Option(help: "Packages that are asked about.")
    var questions = 8_000

    @Option(help: "The daemon to start (default: the logqd beside this program).")
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

    /// All that were named, each once.
    static func joined(_ lists: [NegativesList]) -> [Negatives] {
        var joined: [Negatives] = []
        for name in lists.flatMap(\.names) where !joined.contains(name) { joined.append(name) }
        return joined
    }
}
