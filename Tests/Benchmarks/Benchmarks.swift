import ArgumentParser

/// Measurements, separate from the tests: `swift run -c release Benchmarks <name>`. Each prints its results and the
/// machine. Nothing is asserted, because a time is a property of a machine.
@main
struct Benchmarks: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures logqd.",
        subcommands: [
            StoreBenchmark.self, DaemonBenchmark.self, SearchBenchmark.self, FrequencyBenchmark.self,
            SimulationBenchmark.self,
        ]
    )
}
