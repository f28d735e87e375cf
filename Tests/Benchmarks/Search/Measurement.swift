/// A row of the table: one index, queried in one way.
struct Measurement: Codable, Sendable {
    /// The data set.
    var set: String?
    /// The engine, the daemon or a library.
    var subject: String
    /// How it was queried.
    var setting: String
    var buildSeconds: Double?
    var recall10: Double?
    var recall100: Double?
    /// At k = 10, like the latencies.
    var queriesPerSecond: Double?
    var p50Milliseconds: Double?
    var p99Milliseconds: Double?
    var bytesPerItem: Double?
    /// Vectors replaced per second.
    var updatesPerSecond: Double?
}

/// A figure that fits no column of the table.
struct Fact: Codable, Sendable {
    var set: String
    var name: String
    var value: Double
    var unit: String
}

/// The results of one part of the benchmark.
struct Findings: Codable, Sendable {
    var measurements: [Measurement] = []
    var facts: [Fact] = []
    var messages: [String] = []

    mutating func add(_ other: Findings) {
        measurements += other.measurements
        facts += other.facts
        messages += other.messages
    }
}

extension [Measurement] {
    /// The rows to show for one subject. Of several settings: the usual one, and the cheapest ones that reach a recall.
    func highlights() -> [Measurement] {
        guard allSatisfy({ $0.setting.hasPrefix("ef=") || $0.setting.hasPrefix("nprobe=") }), !isEmpty else {
            return self
        }
        var indices: Set<Int> = []
        if let usual = firstIndex(where: { $0.setting == "ef=64" }) { indices.insert(usual) }
        for recall in [0.99, 0.997] {
            indices.insert(firstIndex { ($0.recall10 ?? 0) >= recall } ?? count - 1)
        }
        return indices.sorted().map { self[$0] } + (interpolated(recall: 0.997).map { [$0] } ?? [])
    }

    /// The rate at exactly this recall, interpolated between the settings below and above it; nil if there are no such
    /// two.
    private func interpolated(recall: Double) -> Measurement? {
        guard let above = firstIndex(where: { ($0.recall10 ?? 0) >= recall }), above > 0,
            let low = self[above - 1].recall10, let high = self[above].recall10, high > recall,
            let fast = self[above - 1].queriesPerSecond, let slow = self[above].queriesPerSecond
        else { return nil }
        let share = (recall - low) / (high - low)
        var result = Measurement(subject: self[above].subject, setting: "interpolated")
        result.set = self[above].set
        result.recall10 = recall
        result.queriesPerSecond = fast + (slow - fast) * share
        return result
    }
}
