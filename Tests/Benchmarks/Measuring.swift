import Foundation

/// An error with a text for people.
struct BenchmarkError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// The latencies of some requests.
struct Latencies: Sendable {
    private(set) var milliseconds: [Double] = []

    mutating func append(since start: ContinuousClock.Instant) {
        milliseconds.append(start.secondsSince * 1_000)
    }

    mutating func append(contentsOf other: Latencies) {
        milliseconds += other.milliseconds
    }

    /// Nil if there are no latencies. A `share` of 0.5 gives the median.
    func quantile(_ share: Double) -> Double? {
        let sorted = milliseconds.sorted()
        return sorted.isEmpty ? nil : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
    }
}

extension ContinuousClock.Instant {
    var secondsSince: Double { (ContinuousClock.now - self) / .seconds(1) }
}

extension Double {
    /// The number with `digits` digits after the point.
    func text(_ digits: Int) -> String { String(format: "%.\(digits)f", self) }
}

/// Reports progress on standard error, because standard output is for results.
func tell(_ text: String) {
    FileHandle.standardError.write(Data((text + "\n").utf8))
}
