import ArgumentParser
import Foundation
import TestSupport

/// Repeats the simulation of the paper that the estimator comes from. Prints a table on standard output, and draws a
/// plot in a file.
struct SimulationBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulation",
        abstract: "How well the estimators follow a distribution that is turned round at step 10,000 (Yi et al., §6.1)."
    )

    @Option(help: "Runs to average over, each with batches and hashes of its own.") var runs = 10
    @Option(help: "What all random numbers follow from.") var seed: UInt64 = 1
    @Option(help: "Buckets of all hashes together.") var buckets = 5_000
    @Option(help: "Where the plot goes.") var plot = "Tests/Benchmarks/Simulation/estimation-error.svg"

    private typealias Contender = EstimationSimulation.Contender
    private typealias Curve = EstimationSimulation.Curve

    private static let shownSteps: [Int64] = [100, 500, 1_000, 5_000, 10_000, 10_100, 11_000, 12_000, 15_000, 20_000]
    private static let colors = ["#e5534b", "#c08400", "#3b8eea", "#2da44e"]

    func run() throws {
        let simulation = EstimationSimulation()
        let estimators: [EstimationSimulation.Estimator] =
            [1, 2, 4].map { .sketch(hashCount: $0, totalBucketCount: buckets) } + [.exact]
        let contenders = [EstimationSimulation.Rules.paper, .house].flatMap { rules in
            estimators.map { Contender($0, rules) }
        }
        var sums: [Contender: Curve] = [:]
        for run in 0..<runs {
            tell("run \(run + 1) of \(runs)")
            let curves = simulation.run(contenders, seed: seed &+ UInt64(run))
            sums.merge(curves) { sum, curve in
                Curve(printed: zip(sum.printed, curve.printed).map(+), truth: zip(sum.truth, curve.truth).map(+))
            }
        }
        let means = sums.mapValues { sum in
            Curve(printed: sum.printed.map { $0 / Double(runs) }, truth: sum.truth.map { $0 / Double(runs) })
        }
        print(
            """
            \(simulation.itemCount) items, batches of \(simulation.batchCount) without replacement, weights i², turned \
            round after step \(simulation.switchStep); α = \(simulation.alpha), \(buckets) buckets in all; \
            mean of \(runs) runs, seed \(seed).

            """
        )
        print(table("The paper's start (A = 0, B = 100) and its p = B·q", contenders, .paper) { means[$0]!.printed })
        print(table("The paper's start, the true p", contenders, .paper) { means[$0]!.truth })
        print(table("logqd's rules, the true p", contenders, .house) { means[$0]!.truth })
        try Data(picture(contenders, means, simulation).svg().utf8).write(to: URL(fileURLWithPath: plot))
        print("Plot: \(plot)")
    }

    private func name(_ contender: Contender) -> String {
        switch contender.estimator {
        case .exact: "exact"
        case .sketch(let hashCount, _): "sketch, m = \(hashCount)"
        }
    }

    private func table(
        _ title: String,
        _ contenders: [Contender],
        _ rules: EstimationSimulation.Rules,
        _ errors: (Contender) -> [Double]
    ) -> String {
        let steps = EstimationSimulation().pointSteps
        let columns = Self.shownSteps.map { steps.firstIndex(of: $0)! }
        var lines = [
            "| \(title): error at step | " + Self.shownSteps.map { "\($0)" }.joined(separator: " | ") + " |",
            "|---|" + String(repeating: "---|", count: columns.count),
        ]
        for contender in contenders where contender.rules == rules {
            let cells = columns.map { errors(contender)[$0].text(3) }
            lines.append("| \(name(contender)) | " + cells.joined(separator: " | ") + " |")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func picture(
        _ contenders: [Contender],
        _ curves: [Contender: Curve],
        _ simulation: EstimationSimulation
    ) -> LinePlot {
        func panel(
            _ title: String,
            _ rules: EstimationSimulation.Rules,
            _ errors: (Curve) -> [Double]
        ) -> LinePlot.Panel {
            let shown = contenders.filter { $0.rules == rules }
            return LinePlot.Panel(
                title: title,
                curves: zip(shown, Self.colors).map { contender, color in
                    let points = zip(simulation.pointSteps, errors(curves[contender]!)).map { (x: Double($0), y: $1) }
                    return LinePlot.Curve(name: name(contender), color: color, points: points)
                }
            )
        }
        return LinePlot(
            panels: [
                panel("as in the paper (B = 100 at the start)", .paper, \.printed),
                panel("as logqd estimates", .house, \.truth),
            ],
            xLabel: "step",
            yLabel: "error of p",
            xTicks: [0, 5_000, 10_000, 15_000, 20_000],
            yTicks: [0.02, 0.05, 0.1, 0.2, 0.5, 1]
        )
    }
}
