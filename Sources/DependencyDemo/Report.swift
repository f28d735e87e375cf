/// What the demo prints in the end.
struct Report: Sendable {
    struct Run: Sendable {
        let training: Trainer<DaemonStore>.Summary
        let evaluation: Evaluation
        let examples: Examples
    }

    let without: Run
    let with: Run
    /// How often each dependency was observed, as `FREQ` tells.
    let counts: [Double]

    var text: String {
        (table + [""] + curve + [""] + judgement).joined(separator: "\n")
    }

    private var table: [String] {
        var lines = [row("", "without", "with log q")]
        for (index, depth) in Evaluation.depths.enumerated() {
            lines.append(row("recall@\(depth)") { $0.evaluation.recalls[index].rounded(to: 3) })
        }
        let truth = percent(with.evaluation.popularShareOfTruth)
        lines += [
            row("most popular 1 % among the first 10 answers") { percent($0.evaluation.popularShare) },
            "  (among the true answers: \(truth))",
            row("training steps/s") { rate($0.training.steps, $0.training.duration) },
            row("embeddings put/s meanwhile") { rate($0.training.puts, $0.training.duration) },
            row("OBSERVE + LOGQ round trip, p50 / p99") { latencies($0.training.roundTrips) },
            row("queries/s, TOPK of 100") { rate($0.evaluation.queryCount, $0.evaluation.duration) },
            row("query, p50 / p99, \(Evaluation.questionsUnderWay) under way") { latencies($0.evaluation.latencies) },
        ]
        return lines
    }

    private var curve: [String] {
        let plot = PopularityPlot(counts: counts)
        return ["How often each dependency was observed (FREQ), by rank; both axes logarithmic:"] + plot.lines
    }

    private var judgement: [String] {
        var lines = ["What packages need, says the model (✓ true, ★ true and never shown to it):"]
        for (without, with) in zip(without.examples.answers, with.examples.answers) {
            lines += ["\(with.package) needs", "  without     \(list(without))", "  with log q  \(list(with))"]
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

    private func row(_ name: String, _ value: (Run) -> String) -> String {
        row(name, value(without), value(with))
    }

    private func row(_ name: String, _ left: String, _ right: String) -> String {
        func pad(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) }
        return name + pad(name, 44) + pad(left, 20) + left + pad(right, 20) + right
    }

    private func percent(_ share: Double) -> String { "\((share * 100).rounded(to: 1)) %" }

    private func rate(_ count: Int, _ duration: Duration) -> String {
        Int((Double(count) / max(duration.inSeconds, 1e-9)).rounded()).grouped
    }

    private func latencies(_ latencies: Latencies) -> String {
        let milliseconds = [0.5, 0.99].map { (latencies.percentile($0).inSeconds * 1_000).rounded(to: 2) }
        return milliseconds.joined(separator: " / ") + " ms"
    }
}
