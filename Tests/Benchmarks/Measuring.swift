import Foundation

/// What went wrong, for people.
struct BenchmarkError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// How long some requests took.
struct Latencies: Sendable {
    private(set) var milliseconds: [Double] = []

    mutating func append(since start: ContinuousClock.Instant) {
        milliseconds.append(start.secondsSince * 1_000)
    }

    mutating func append(contentsOf other: Latencies) {
        milliseconds += other.milliseconds
    }

    /// Nil if there are none. `share`: 0.5 is the median.
    func quantile(_ share: Double) -> Double? {
        let sorted = milliseconds.sorted()
        return sorted.isEmpty ? nil : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
    }
}

extension ContinuousClock.Instant {
    var secondsSince: Double { (ContinuousClock.now - self) / .seconds(1) }
}

extension Double {
    /// With so many digits behind the point.
    func text(_ digits: Int) -> String { String(format: "%.\(digits)f", self) }
}

/// Says what is going on, on standard error: standard output is for results.
func tell(_ text: String) {
    FileHandle.standardError.write(Data((text + "\n").utf8))
}
