import ArgumentParser

/// Measurements, apart from the tests: `swift run -c release Benchmarks <name>`. Each prints what it measured and on
/// what; nothing is asserted, for a time is a property of a machine.
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
