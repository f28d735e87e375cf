import Foundation

/// All results, and their output: a table for each data set, `results.json`, `results.md`.
struct SearchReport: Codable, Sendable {
    var machine = Machine()
    var libraries: [String: String] = [:]
    var findings = Findings()
    /// Parts that could not be measured, and why.
    var failures: [String] = []

    /// If a graph at the usual setting has at least this recall, the data set is too easy.
    private static let hardRecallMax = 0.93
    private static let headings = [
        "", "asked", "build s", "recall@10", "recall@100", "queries/s", "p50 ms", "p99 ms", "B/item", "updates/s",
    ]

    func write(to directory: String, sets: [DataSet]) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf",
            negativeInfinity: "-inf",
            nan: "nan"
        )
        let url = URL(fileURLWithPath: directory)
        try encoder.encode(self).write(to: url.appendingPathComponent("results.json"), options: .atomic)
        let sections =
            [header, Self.legend] + sets.map { markdown($0) } + (failures.isEmpty ? [] : ["Not measured: \(failures)"])
        try Data(sections.joined(separator: "\n\n").utf8)
            .write(to: url.appendingPathComponent("results.md"), options: .atomic)
    }

    /// Explains the columns whose meaning depends on the subject.
    static let legend = """
        Every figure is of one thread that runs queries, pinned to one core (the daemon: one query thread, not pinned; \
        its clients run on the same machine). Rates and latencies are those at k = 10. A library's rate is that of one \
        call with all queries or of single calls, whichever is better, and its latencies are those of single calls; \
        where the setting names a batch, both are of batches, and so are logqd's in process. recall@100 is that of a \
        search for 100, with ef at least 100. Build and updates of logqd are durable on disk; those of the libraries \
        are in memory. Bytes an item: of logqd all memory of the collection, with vectors, codes, ids and statistics; \
        of the libraries the size of the saved index.
        """

    var header: String {
        let versions =
            libraries.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" } + Set(findings.messages).sorted()
        return """
            \(machine.date), \(machine.processor), \(machine.coreCount) cores, \(machine.memoryGibibytes) GiB, \
            \(machine.system), \((["logqd kernels \(machine.kernels)"] + versions).joined(separator: ", ")).
            """
    }

    /// The table with aligned columns, for a terminal.
    func text(_ set: DataSet) -> String {
        let rows = [Self.headings] + self.rows(set)
        let widths = Self.headings.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        let lines = rows.map { row in
            row.enumerated().map { column, cell in
                let space = String(repeating: " ", count: widths[column] - cell.count)
                return column < 2 ? cell + space : space + cell
            }.joined(separator: "  ")
        }
        return ([title(set)] + lines + notes(set)).joined(separator: "\n")
    }

    private func markdown(_ set: DataSet) -> String {
        let rows = [Self.headings, ["---", "---"] + Self.headings.dropFirst(2).map { _ in "---:" }] + self.rows(set)
        let lines = rows.map { "| " + $0.joined(separator: " | ") + " |" }
        return "## \(title(set))\n\n" + lines.joined(separator: "\n") + "\n\n"
            + notes(set).map { "- \($0)" }.joined(separator: "\n")
    }

    private func title(_ set: DataSet) -> String {
        "\(set.name): \(set.itemCount) x \(set.dimension), \(DataSet.queryCount) queries"
    }

    private func rows(_ set: DataSet) -> [[String]] {
        let here = findings.measurements.filter { $0.set == set.name }
        var subjects: [String] = []
        for measurement in here where !subjects.contains(measurement.subject) { subjects.append(measurement.subject) }
        return subjects.flatMap { subject in
            here.filter { $0.subject == subject }.highlights().map { row in
                [
                    row.subject, row.setting, cell(row.buildSeconds, 1), cell(row.recall10, 4), cell(row.recall100, 4),
                    cell(row.queriesPerSecond, 0), cell(row.p50Milliseconds, 3), cell(row.p99Milliseconds, 3),
                    cell(row.bytesPerItem, 0), cell(row.updatesPerSecond, 0),
                ]
            }
        }
    }

    private func cell(_ value: Double?, _ digits: Int) -> String {
        value?.text(digits) ?? "-"
    }

    private func notes(_ set: DataSet) -> [String] {
        let facts = findings.facts.filter { $0.set == set.name }.map { fact in
            let digits = fact.unit == "ms" || fact.name.contains("ratio") ? 3 : 0
            return "\(fact.name): \(fact.value.text(digits)) \(fact.unit)".trimmingCharacters(in: .whitespaces)
        }
        return hardness(set) + facts
    }

    /// Whether the set is as hard as intended. The graph must not look good only because the set is too easy.
    private func hardness(_ set: DataSet) -> [String] {
        guard set.name.hasPrefix("hard"),
            let usual = findings.measurements.first(where: {
                $0.set == set.name && $0.subject == "hnswlib" && $0.setting == "ef=64"
            }), let recall = usual.recall10
        else { return [] }
        let verdict = recall < Self.hardRecallMax ? "hard enough" : "TOO EASY"
        let isJudged = set.itemCount == set.fullItemCount
        return [
            "hardness: hnswlib M=16 efc=128 ef=64 finds \(recall.text(4)) of the 10 best; "
                + (isJudged ? "\(verdict), meant to be below \(Self.hardRecallMax)" : "not judged with fewer items")
        ]
    }
}
