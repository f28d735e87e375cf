/// The results that the demo prints at the end.
struct Report: Sendable {
    struct Run: Sendable {
        let title: String
        let training: Trainer<DaemonStore>.Summary
        let evaluation: Evaluation
        let examples: Examples
    }

    /// All runs. The first one is without log q.
    let runs: [Run]
    /// The number of observations of each dependency, as `FREQ` returns it.
    let counts: [Double]

    var text: String {
        (recalls + [""] + speeds + [""] + curve + [""] + judgement).joined(separator: "\n")
    }

    private static let recallWidths = [11, 11, 12, 24]
    private static let speedWidths = [11, 11, 24, 12, 16]

    private var recalls: [String] {
        let titles = Evaluation.depths.map { "recall@\($0)" } + ["popular among first 10"]
        var lines = [row("", titles, Self.recallWidths)]
        for run in runs {
            let evaluation = run.evaluation
            let recalls = evaluation.recalls.map { $0.rounded(to: 3) }
            lines.append(row(run.title, recalls + [percent(evaluation.popularShare)], Self.recallWidths))
        }
        let truth = percent(runs[0].evaluation.popularShareOfTruth)
        return lines + ["  (popular: the 1 % in most pairs; among the true answers \(truth))"]
    }

    private var speeds: [String] {
        var lines = [row("", ["steps/s", "put/s", "step's questions, ms", "queries/s", "query, ms"], Self.speedWidths)]
        for run in runs {
            let (training, evaluation) = (run.training, run.evaluation)
            let figures = [
                rate(training.steps, training.duration), rate(training.puts, training.duration),
                latencies(training.roundTrips), rate(evaluation.queryCount, evaluation.duration),
                latencies(evaluation.latencies),
            ]
            lines.append(row(run.title, figures, Self.speedWidths))
        }
        let explanation = "times are p50 / p99; a query is a TOPK of 100, \(Evaluation.questionsUnderWay) under way"
        return lines + ["  (\(explanation))"]
    }

    private var curve: [String] {
        let plot = PopularityPlot(counts: counts)
        return ["How often each dependency was observed (FREQ), by rank; both axes logarithmic:"] + plot.lines
    }

    private var judgement: [String] {
        var lines = ["What packages need, says the model (✓ true, ★ true and never shown to it):"]
        for (number, answer) in runs[0].examples.answers.enumerated() {
            lines.append("\(answer.package) needs")
            lines += runs.map { "  " + padded($0.title, 16) + list($0.examples.answers[number]) }
        }
        return lines
    }

    private func list(_ answer: Examples.Answer) -> String {
        let words = answer.needs.map { need in
            switch need.truth {
            case .learned: need.name + " ✓"
            case .heldOut: need.name + " ★"
            case .none: need.name
            }
        }
        return words.joined(separator: ", ")
    }

    private func row(_ name: String, _ figures: [String], _ widths: [Int]) -> String {
        let columns = zip(figures, widths).map { String(repeating: " ", count: max(1, $1 - $0.count)) + $0 }
        return padded(name, 16) + columns.joined()
    }

    private func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private func percent(_ share: Double) -> String { "\((share * 100).rounded(to: 1)) %" }

    private func rate(_ count: Int, _ duration: Duration) -> String {
        Int((Double(count) / max(duration.inSeconds, 1e-9)).rounded()).grouped
    }

    private func latencies(_ latencies: Latencies) -> String {
        let milliseconds = [0.5, 0.99].map { (latencies.percentile($0).inSeconds * 1_000).rounded(to: 2) }
        return milliseconds.joined(separator: " / ")
    }
}
