import Foundation

/// The libraries that people would use instead, each in a Python process of its own (`peers.py`), so that its memory
/// is gone when the next one is measured.
struct PeerLibraries: Sendable {
    static let names = ["hnswlib", "usearch", "faiss-hnsw", "faiss-ivf", "faiss-flat", "numpy"]
    private static let modules = [
        "numpy": "numpy", "threadpoolctl": "threadpoolctl", "hnswlib": "hnswlib", "faiss": "faiss-cpu",
        "usearch": "usearch",
    ]

    let directory: String
    let core: Int
    let buildThreadCount: Int
    let patience: Duration
    private let python: String

    /// Makes the virtual environment unless it is there, and installs what it lacks. What can not be installed is told
    /// and will fail alone.
    init(directory: String, environment: String, core: Int, buildThreadCount: Int, patience: Duration) async throws {
        self.directory = directory
        self.core = core
        self.buildThreadCount = buildThreadCount
        self.patience = patience
        python = environment + "/bin/python"
        if !FileManager.default.isExecutableFile(atPath: python) {
            tell("making a Python environment in \(environment)")
            let made = try await Self.run("/usr/bin/env", ["python3", "-m", "venv", environment])
            guard made else {
                try? FileManager.default.removeItem(atPath: environment)
                throw BenchmarkError("no Python environment: python3 -m venv failed")
            }
        }
        for (module, package) in Self.modules.sorted(by: { $0.key < $1.key }) {
            if try await Self.run(python, ["-c", "import \(module)"], isQuiet: true) { continue }
            tell("installing \(package)")
            if try await !Self.run(python, ["-m", "pip", "install", "--quiet", package]) {
                tell("could not install \(package)")
            }
        }
    }

    private static func run(_ executable: String, _ arguments: [String], isQuiet: Bool = false) async throws -> Bool {
        let null = FileHandle.nullDevice
        let child = try ChildProcess(executable, arguments, output: null, errors: isQuiet ? null : nil)
        return try await child.waitUntilEnded(within: .seconds(600)) == 0
    }

    func measure(_ name: String, _ data: PreparedDataSet) async throws -> PeerFindings {
        guard let script = Bundle.module.path(forResource: "peers", ofType: "py") else {
            throw BenchmarkError("peers.py is not beside this program")
        }
        let path = "\(directory)/\(data.set.key).\(name).jsonl"
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let output = FileHandle(forWritingAtPath: path)
        else { throw BenchmarkError("could not write to \(path)") }
        defer { try? output.close() }
        let arguments = [
            script, name, "--items", data.items.path, "--queries", data.queries.path, "--truth", data.truth.path,
            "--index", "\(directory)/\(data.set.key).\(name)-M16-efc128-threads\(buildThreadCount).index",
            "--dimension", "\(data.set.dimension)", "--ranks", "\(DataSet.rankCount)",
            "--build-threads", "\(buildThreadCount)", "--core", "\(core)",
        ]
        // The OpenBLAS that faiss brings does not know newer processors by itself.
        let environment = Machine.flags.contains("avx512f") ? ["OPENBLAS_CORETYPE": "SkylakeX"] : [:]
        let child = try ChildProcess(python, arguments, environment: environment, output: output)
        guard let status = try await child.waitUntilEnded(within: patience) else {
            throw BenchmarkError("not done within \(patience), killed")
        }
        guard status == 0 else { throw BenchmarkError("ended with status \(status)") }
        return try PeerFindings(lines: String(contentsOfFile: path, encoding: .utf8), set: data.set.name)
    }
}

/// What a peer has printed.
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
