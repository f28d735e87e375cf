internal import Foundation
internal import LogQClient

/// `logq demo`, which runs a real trainer against a real daemon, on real input.
///
/// It starts `logqd` on a temporary directory. It trains the same two-tower model several times: once without log q,
/// then with it for each choice of negatives. After each training it asks the daemon for the dependencies of Debian
/// packages, and counts the right answers.
package enum DependencyDemo {
    package struct Options: Sendable {
        /// The seed of all random numbers. The same seed gives the same model.
        package var seed: UInt64 = 1
        /// Passes over the training pairs.
        package var epochs = 2
        /// The most steps of each run, for a quick check that everything works; nil for all.
        package var stepCountMax: Int?
        /// The number of packages to evaluate.
        package var questionCount = 8_000
        /// The negatives to train with, one run each. A run without log q, on in-batch negatives, comes first.
        package var negatives: [Negatives] = [.inBatch]
        /// The daemon to start; nil for the `logqd` beside the running program.
        package var daemon: String?

        package init() {}
    }

    /// Runs the demo. Progress goes to standard error, results to standard output. On Ctrl-C, SIGTERM or SIGHUP it
    /// cleans up, and that signal then ends the process.
    package static func run(_ options: Options = Options()) async throws {
        do {
            try await interruptible { try await runToTheEnd(options) }
        } catch let interruption as Interruption {
            ProgressBar.clear()
            note("Interrupted: the daemon is stopped, its directory removed.")
            // The default action is restored, so the signal ends the process, and the shell sees which one it was.
            kill(getpid(), interruption.signal)
            exit(128 + interruption.signal)
        }
    }

    private static func runToTheEnd(_ options: Options) async throws {
        let executable = try options.daemon ?? DaemonProcess.executableBesideThis()
        let start = ContinuousClock.now
        let experiment = try Experiment(options)
        let daemon = try await DaemonProcess.start(executable: executable)
        do {
            let report = try await experiment.run(against: daemon)
            daemon.stop()
            print(report.text)
            print("\nAll of it took \((ContinuousClock.now - start).inSeconds.rounded(to: 0)) s.")
        } catch {
            daemon.stop()
            throw error
        }
    }
}

/// All runs, on the same pairs, the same batches and the same initial embeddings.
private struct Experiment: Sendable {
    static let alpha = 0.01

    let options: DependencyDemo.Options
    let data: DependencyData
    let vocabulary: Vocabulary
    let training: [Pair]
    let heldOut: [Pair]

    init(_ options: DependencyDemo.Options) throws {
        self.options = options
        data = try DependencyData.bundled()
        vocabulary = Vocabulary(data.packages)
        (training, heldOut) = data.split(seed: options.seed)
        note(
            "Debian 12: \(data.packages.count.grouped) packages, \(data.pairCount.grouped) pairs on "
                + "\(data.dependencyNames.count.grouped) dependencies; \(heldOut.count.grouped) pairs held out"
        )
    }

    func run(against daemon: DaemonProcess) async throws -> Report {
        let trainer = try await LogQClient.connect(unixSocketPath: daemon.unixSocketPath)
        let stream = try await LogQClient.connect(unixSocketPath: daemon.unixSocketPath)
        let service = try await LogQClient.connect(host: "127.0.0.1", port: daemon.port)
        note("logqd is ready on 127.0.0.1:\(daemon.port) and \(daemon.unixSocketPath)")
        func store(_ name: String) -> DaemonStore {
            DaemonStore(
                collection: name,
                dependencies: data.dependencyNames,
                trainer: trainer,
                stream: stream,
                service: service
            )
        }
        let plain = NegativeSampling(negatives: .inBatch, usesLogQ: false)
        var runs = [try await run("without log q", store("plain"), plain)]
        for negatives in options.negatives {
            let sampling = NegativeSampling(negatives: negatives, usesLogQ: true)
            runs.append(try await run("\(negatives.rawValue), log q", store("logq-\(negatives.rawValue)"), sampling))
        }
        // Every run observed the same batches, so one run has the counts of all.
        let counts = try await store("plain").counts(of: Array(0..<Int32(data.dependencyNames.count)))
        for client in [trainer, stream, service] { await client.close() }
        return Report(runs: runs, counts: counts)
    }

    private func run(_ title: String, _ store: DaemonStore, _ sampling: NegativeSampling) async throws -> Report.Run {
        var settings = TwoTowerModel.Settings()
        settings.extraColumnsMax = sampling.extraColumnsMax
        let model = TwoTowerModel(data, vocabulary, settings: settings, seed: options.seed)
        let trainer = Trainer(
            model: model,
            store: store,
            sampling: sampling,
            stepCountMax: options.stepCountMax ?? .max
        )
        try await store.create(dimension: model.settings.dimension, alpha: Self.alpha)

        var bar = ProgressBar("\(title): load")
        try await trainer.load { bar.update($0, "") }
        bar.finish("\(data.dependencyNames.count.grouped) embeddings")

        bar = ProgressBar("\(title): train")
        let summary = try await trainer.train(on: training, epochs: options.epochs, seed: options.seed) { now in
            let share = Double(now.step) / Double(now.stepCount)
            bar.update(share, "step \(now.step) of \(now.stepCount), loss \(now.loss.rounded(to: 2))")
        }
        bar.finish("\(summary.steps) steps, loss \(summary.losses.last?.rounded(to: 2) ?? "-")")

        let questions = Evaluation.questions(training: training, heldOut: heldOut, limit: options.questionCount)
        let popular = Evaluation.mostPopular(training: training, dependencyCount: data.dependencyNames.count)
        bar = ProgressBar("\(title): ask")
        let evaluation = try await Evaluation.ask(questions, model, store, popular: popular) { count in
            bar.update(Double(count) / Double(questions.count), "\(count) of \(questions.count) queries")
        }
        bar.finish("\(questions.count.grouped) queries, recall@10 \(evaluation.recalls[0].rounded(to: 3))")

        let examples = try await Examples.ask(data, vocabulary, heldOut: heldOut, model, store)
        return Report.Run(title: title, training: summary, evaluation: evaluation, examples: examples)
    }
}

extension TwoTowerModel {
    convenience init(_ data: DependencyData, _ vocabulary: Vocabulary, settings: Settings, seed: UInt64) {
        self.init(
            packageTokens: data.packages.map(vocabulary.numbers(of:)),
            tokenCount: vocabulary.count,
            dependencyCount: data.dependencyNames.count,
            settings: settings,
            seed: seed
        )
    }
}

/// Writes a line of progress to standard error.
private func note(_ text: String) {
    FileHandle.standardError.write(Data((text + "\n").utf8))
}
