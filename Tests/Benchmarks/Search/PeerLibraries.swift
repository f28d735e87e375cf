import Foundation
import TestSupport

/// The libraries that logqd is compared with. Each runs in its own Python process (`peers.py`), so that its memory is
/// freed before the next one is measured.
struct PeerLibraries: Sendable {
    static let names = ["hnswlib", "usearch", "faiss-hnsw", "faiss-ivf", "faiss-flat", "numpy"]
    private static let modules = [
        "numpy": "numpy", "threadpoolctl": "threadpoolctl", "hnswlib": "hnswlib", "faiss": "faiss-cpu",
        "usearch": "usearch",
    ]

    let directory: String
    let core: Int
    let buildThreadCount: Int
    let patienceSeconds: Double
    private let python: String

    /// Creates the virtual environment if needed, and installs missing libraries. It reports a library that cannot be
    /// installed; only the measurement of that library then fails.
    init(directory: String, environment: String, core: Int, buildThreadCount: Int, patienceSeconds: Double) throws {
        self.directory = directory
        self.core = core
        self.buildThreadCount = buildThreadCount
        self.patienceSeconds = patienceSeconds
        python = environment + "/bin/python"
        if !FileManager.default.isExecutableFile(atPath: python) {
            tell("making a Python environment in \(environment)")
            let made = try Self.run("/usr/bin/env", ["python3", "-m", "venv", environment])
            guard made else {
                try? FileManager.default.removeItem(atPath: environment)
                throw BenchmarkError("no Python environment: python3 -m venv failed")
            }
        }
        for (module, package) in Self.modules.sorted(by: { $0.key < $1.key }) {
            if try Self.run(python, ["-c", "import \(module)"], isQuiet: true) { continue }
            tell("installing \(package)")
            if try !Self.run(python, ["-m", "pip", "install", "--quiet", package]) {
                tell("could not install \(package)")
            }
        }
    }

    private static func run(_ executable: String, _ arguments: [String], isQuiet: Bool = false) throws -> Bool {
        let child = try ChildProcess([executable] + arguments, forwardsErrors: !isQuiet)
        return (try? child.waitForExit(within: 600)) == .exited(0)
    }

    func measure(_ name: String, _ data: PreparedDataSet) throws -> PeerFindings {
        guard let script = Bundle.module.path(forResource: "peers", ofType: "py") else {
            throw BenchmarkError("peers.py is not beside this program")
        }
        let arguments = [
            python, script, name, "--items", data.items.path, "--queries", data.queries.path, "--truth",
            data.truth.path,
            "--index", "\(directory)/\(data.set.key).\(name)-M16-efc128-threads\(buildThreadCount).index",
            "--dimension", "\(data.set.dimension)", "--ranks", "\(DataSet.rankCount)",
            "--build-threads", "\(buildThreadCount)", "--core", "\(core)",
        ]
        // The OpenBLAS in the faiss package does not recognise newer processors.
        var environment = ProcessInfo.processInfo.environment
        if Machine.flags.contains("avx512f") { environment["OPENBLAS_CORETYPE"] = "SkylakeX" }
        let child = try ChildProcess(arguments, environment: environment, forwardsErrors: true)
        let status = try child.waitForExit(within: patienceSeconds)
        guard status == .exited(0) else { throw BenchmarkError("ended with \(status)") }
        return try PeerFindings(lines: child.output, set: data.set.name)
    }
}

/// The parsed output of a peer.
struct PeerFindings {
    private(set) var findings = Findings()
    private(set) var versions: [String: String] = [:]

    private struct Line: Decodable {
        var measurement: Measurement?
        var message: String?
        var libraries: [String: String]?
    }

    init(lines: String, set: String) throws {
        for text in lines.split(separator: "\n") {
            let line = try JSONDecoder().decode(Line.self, from: Data(text.utf8))
            if var measurement = line.measurement {
                measurement.set = set
                findings.measurements.append(measurement)
            }
            if let message = line.message { findings.messages.append(message) }
            versions.merge(line.libraries ?? [:]) { $1 }
        }
    }
}
