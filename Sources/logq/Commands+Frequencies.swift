import ArgumentParser
import LogQClient

struct ObserveCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "observe",
        abstract: "Count a batch of the trainer: these ids were in the batch of this step.",
        discussion: "With --return logq it prints what logq would print right after, and takes the options of logq."
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument var collection: String
    @Argument(help: "The trainer's step; - for one more than the last.") var step: StepArgument
    @Argument(help: "Repeat an id that is twice in the batch.") var ids: [String]

    @Option(help: ArgumentHelp("Makes it safe to send the request again.", valueName: "writer:n"))
    var seq: String?

    @OptionGroup var run: RunOptions

    enum Returned: String, CaseIterable, ExpressibleByArgument {
        case logq
    }

    @Option(name: .customLong("return"), help: "logq: what a trainer subtracts from the logits of this batch.")
    var returned: Returned?

    enum WhenFull: String, CaseIterable, ExpressibleByArgument {
        case refuse, skip
    }

    @Option(help: "No room for new ids: refuse the batch, or skip the new ids and print which.")
    var full = WhenFull.refuse

    @OptionGroup var correction: CorrectionOptions

    mutating func validate() throws {
        _ = try sequence()
        guard returned != nil || correction.given.isEmpty else {
            throw ValidationError("got \(correction.given) without --return, expected --return logq with it")
        }
    }

    private func sequence() throws -> ProducerSequence? {
        guard let seq else { return nil }
        let parts = seq.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let number = Int64(parts[1]), number > 0 else {
            throw ValidationError("got --seq \(seq), expected writer:n with n from 1")
        }
        return ProducerSequence(producer: String(parts[0]), number: number)
    }

    func report(_ client: LogQClient) async throws -> Report {
        let ids = try global.ids(ids)
        let sequence = try sequence()
        guard returned != nil else {
            guard full == .skip else {
                try await client.observe(
                    collection,
                    step: step.step,
                    ids: ids,
                    sequence: sequence,
                    run: run.run,
                    jumps: run.jump
                )
                return .done
            }
            let skipped = try await client.observeSkippingWhenFull(
                collection,
                step: step.step,
                ids: ids,
                sequence: sequence,
                run: run.run,
                jumps: run.jump
            )
            return .lines(skipped.map { "\($0)" })
        }
        let values = try await client.observe(
            collection,
            step: step.step,
            ids: ids,
            returning: correction.frequencyUnit,
            strength: correction.strength,
            sequence: sequence,
            run: run.run,
            jumps: run.jump,
            skippingWhenFull: full == .skip
        )
        return .logQ(ids, values, unit: correction.unitName)
    }
}

struct SetFrequenciesCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "freqset",
        abstract: "Store a trainer's own estimates.",
        discussion: "logq freqset items 200 sku-1 4 9 sku-2 2.5 -"
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument var collection: String
    @Argument(help: "The step in which these ids were last seen; - for one more than the last.") var step: StepArgument
    @Argument(help: ArgumentHelp("Triples; - leaves a gap or count unchanged.", valueName: "id gap count"))
    var triples: [String]

    @OptionGroup var run: RunOptions

    mutating func validate() throws {
        _ = try updates()
    }

    private func updates() throws -> [FrequencyUpdate] {
        guard triples.count % 3 == 0 else {
            throw ValidationError("got \(triples.count) words, expected triples: id gap count")
        }
        let ids = try global.ids(stride(from: 0, to: triples.count, by: 3).map { triples[$0] })
        return try ids.enumerated().map { index, id in
            FrequencyUpdate(id, gap: try number(triples[index * 3 + 1]), count: try number(triples[index * 3 + 2]))
        }
    }

    private func number(_ text: String) throws -> Double? {
        if text == "-" { return nil }
        guard let number = Double(text), number.isFinite else {
            throw ValidationError("got '\(text)', expected a number or -")
        }
        return number
    }

    func report(_ client: LogQClient) async throws -> Report {
        try await client.setFrequencies(collection, step: step.step, try updates(), run: run.run, jumps: run.jump)
        return .done
    }
}

/// The options that place a step on the clock of the collection.
struct RunOptions: ParsableArguments {
    @Option(help: "The run of the trainer. The first step of a new run is the collection's next step.")
    var run: String?

    @Flag(help: "The step is meant, however late or far ahead it is.")
    var jump = false
}

struct ClockCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "clock",
        abstract: "The steps that a collection has seen, its runs and its producers."
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument var collection: String

    func report(_ client: LogQClient) async throws -> Report {
        .namedValues(try await client.clock(collection))
    }
}

struct SetClockCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "clockset",
        abstract: "Set a collection's last step, to undo a mistake. Counts and gaps stay."
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument var collection: String
    @Argument(help: "The new last step, 0 or more.") var step: Int64

    mutating func validate() throws {
        guard step >= 0 else { throw ValidationError("got step \(step), expected 0 or more") }
    }

    func report(_ client: LogQClient) async throws -> Report {
        try await client.setClock(collection, to: step)
        return .done
    }
}

/// The options that choose the frequency and scale its logarithm.
struct CorrectionOptions: ParsableArguments {
    enum Unit: String, CaseIterable, ExpressibleByArgument {
        case q
        case p
        case expected
    }

    @Option(help: "The probability per draw (q) or of being in a batch (p), or the expected count (default: q).")
    var unit: Unit?

    @Option(help: "The number of draws in a batch, for --unit expected.")
    var batch: Int?

    @Option(parsing: .unconditional, help: "A factor for the logarithm (default: 1).")
    var strength: Double?

    mutating func validate() throws {
        guard (unit == .expected) == (batch != nil) else {
            let got = unit == .expected ? "--unit expected without --batch" : "--batch with --unit \(unitName)"
            throw ValidationError("got \(got), expected both --unit expected and --batch, or neither")
        }
    }

    /// The options that were given, for messages. Empty if there are none.
    var given: String {
        let all = [("--unit", unit != nil), ("--batch", batch != nil), ("--strength", strength != nil)]
        return all.filter(\.1).map(\.0).joined(separator: " and ")
    }

    var unitName: String { (unit ?? .q).rawValue }

    var frequencyUnit: FrequencyUnit {
        switch unit ?? .q {
        case .q: .q
        case .p: .p
        case .expected: .expected(batch: batch ?? 0)
        }
    }
}

struct LogFrequencyCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "logq",
        abstract: "The logarithm of the sampling frequency: what a trainer subtracts from the logits."
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument var collection: String
    @Argument var ids: [String]

    @OptionGroup var correction: CorrectionOptions

    func report(_ client: LogQClient) async throws -> Report {
        let ids = try global.ids(ids)
        let values = try await client.logQ(
            collection,
            ids: ids,
            unit: correction.frequencyUnit,
            strength: correction.strength
        )
        return .logQ(ids, values, unit: correction.unitName)
    }
}

struct FrequenciesCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "freq",
        abstract: "Show the statistics and sampling frequencies of ids."
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument var collection: String
    @Argument var ids: [String]

    @Option(help: "The number of draws in a batch, for the expected count.")
    var batch: Int?

    func report(_ client: LogQClient) async throws -> Report {
        let ids = try global.ids(ids)
        return .frequencies(ids, try await client.frequencies(collection, ids: ids, batch: batch))
    }
}

struct PopularCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "popular",
        abstract: "List all ids by count, the highest first, with or without an embedding.",
        discussion: """
            A page with fewer than n ids is the last. For the next page: --after the last row, as id,count,step.

            logq popular items 10
            logq popular items 10 --after sku-7,12.5,2041
            logq popular items 16384 --all --json
            """
    )
    @OptionGroup(title: "Connection and output") var global: GlobalOptions

    @Argument var collection: String
    @Argument(help: "How many, 1 to 16384; with --all, ids a page.") var n: Int

    @Option(help: ArgumentHelp("Begin after this row.", valueName: "id,count,step"))
    var after: String?

    @Flag(help: "All pages.")
    var all = false

    @Option(help: "Give up on a page after this many milliseconds, 1 to 60000 (default: the daemon's, usually 1000).")
    var timeoutMs: Int?

    mutating func validate() throws {
        guard n > 0 else { throw ValidationError("got \(n), expected 1 to 16384 ids") }
        _ = try place()
    }

    /// The id comes first and may have commas.
    func place() throws -> PopularID? {
        guard let after else { return nil }
        let parts = after.split(separator: ",", omittingEmptySubsequences: false)
        let step = parts.last.flatMap { Int64($0) }
        guard parts.count >= 3, let count = Double(parts[parts.count - 2]), count.isFinite, count >= 0,
            step.map({ $0 >= 0 }) ?? (parts.last == "-")
        else {
            throw ValidationError("got --after \(after), expected the last row as id,count,step")
        }
        let id = try global.ids([parts.dropLast(2).joined(separator: ",")])[0]
        return PopularID(id, count: count, step: step)
    }

    func report(_ client: LogQClient) async throws -> Report {
        let timeout = timeoutMs.map { Duration.milliseconds($0) }
        var last = try place()
        var ids: [PopularID] = []
        while true {
            let page = try await client.popular(collection, n, after: last, timeout: timeout)
            ids += page
            guard all, page.count == n else { return .popular(ids) }
            last = page.last
        }
    }
}
