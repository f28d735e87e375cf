import ArgumentParser
import Foundation

/// Compares exact top-k with popular libraries, on the same vectors, the same queries and the same core, in one run.
struct SearchBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "search",
        abstract: "Exact top-k beside hnswlib, faiss, usearch and numpy.",
        discussion: """
            Makes data sets, finds the true answers by brute force, and measures each part on them; the libraries in a \
            Python environment of its own. Everything stands in the working directory and is used again by the next \
            run: vectors, answers, indexes, the environment. Prints a table a data set and writes results.json (every \
            setting of every sweep) and results.md there.

            \(SearchReport.legend)
            """
    )

    private static let parts = ["in-process", "daemon"] + PeerLibraries.names

    @Option(help: "The working directory.") var directory = NSTemporaryDirectory() + "logqd-search-benchmark"
    @Option(help: "Data sets, of \(DataSet.names.joined(separator: ",")).", transform: Self.list)
    var sets = DataSet.names
    @Option(help: "What is measured, of \(Self.parts.joined(separator: ",")).", transform: Self.list)
    var parts = Self.parts
    @Option(help: "How much of the items is used, for a quick run.") var itemsScale = 1.0
    @Option(help: "The core that runs queries (default: the last).") var core: Int?
    @Option(help: "Threads that build the indexes of the libraries.") var buildThreads = 1
    @Option(help: "Seconds of each phase with clients.") var phaseSeconds = 5
    @Option(help: "Minutes after which a library is given up.") var peerMinutes = 60
    @Option(help: "A Python environment to use instead of one in the working directory.") var environment: String?

    /// The last core by default, because the first ones tend to serve interrupts.
    private var usedCore: Int { core ?? Affinity.current?.lastCore ?? 0 }

    private static func list(_ text: String) -> [String] { text.split(separator: ",").map(String.init) }

    func validate() throws {
        for set in sets where !DataSet.names.contains(set) { throw ValidationError("there is no data set '\(set)'") }
        for part in parts where !Self.parts.contains(part) { throw ValidationError("there is no part '\(part)'") }
        guard itemsScale > 0, itemsScale <= 1 else { throw ValidationError("got a scale outside of 0 to 1") }
        guard phaseSeconds > 0, peerMinutes > 0, buildThreads > 0 else { throw ValidationError("expected above 0") }
    }

    func run() async throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let lock = open(directory + "/lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard lock >= 0, flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            throw BenchmarkError("can not lock \(directory): is another run using it?")
        }
        defer { close(lock) }
        let sets = sets.compactMap { DataSet(named: $0, scale: itemsScale) }
        var report = SearchReport()
        let libraries = libraries(&report)
        for set in sets {
            let data = try set.prepare(in: directory)
            for part in Self.parts where parts.contains(part) {
                await measure(part, data, libraries, &report)
            }
            print("\n" + report.text(set))
            fflush(nil)
            try report.write(to: directory, sets: sets)
        }
        print("\n" + report.header)
        for failure in report.failures { print("not measured: \(failure)") }
        print("In \(directory): results.md, results.json.")
        if !report.failures.isEmpty { throw ExitCode.failure }
    }

    private func libraries(_ report: inout SearchReport) -> PeerLibraries? {
        guard !Set(parts).isDisjoint(with: PeerLibraries.names) else { return nil }
        do {
            return try PeerLibraries(
                directory: directory,
                environment: environment ?? directory + "/python",
                core: usedCore,
                buildThreadCount: buildThreads,
                patienceSeconds: Double(60 * peerMinutes)
            )
        } catch {
            report.failures.append("all libraries: \(error)")
            tell("skipping all libraries: \(error)")
            return nil
        }
    }

    private func measure(
        _ part: String,
        _ data: PreparedDataSet,
        _ libraries: PeerLibraries?,
        _ report: inout SearchReport
    ) async {
        let start = ContinuousClock.now
        do {
            switch part {
            case "in-process":
                report.findings.add(try EngineMeasurement(data: data, directory: directory, core: usedCore).run())
            case "daemon":
                let daemon = DaemonMeasurement(data: data, directory: directory, phaseSeconds: phaseSeconds)
                report.findings.add(try await daemon.run())
            default:
                guard let peer = try libraries?.measure(part, data) else { return }
                report.findings.add(peer.findings)
                report.libraries.merge(peer.versions) { $1 }
            }
            tell("\(data.set.key), \(part): done in \(start.secondsSince.text(1)) s")
        } catch {
            report.failures.append("\(data.set.name), \(part): \(error)")
            tell("\(data.set.key), \(part): \(error)")
        }
    }
}
