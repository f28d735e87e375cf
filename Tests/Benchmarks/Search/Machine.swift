import Foundation
import VectorIndex

/// The machine that the benchmark ran on.
struct Machine: Codable, Sendable {
    var processor = Machine.processorLine("model name") ?? "unknown processor"
    var coreCount = ProcessInfo.processInfo.activeProcessorCount
    var memoryGibibytes = Int((Double(ProcessInfo.processInfo.physicalMemory) / Double(1 << 30)).rounded())
    var system = ProcessInfo.processInfo.operatingSystemVersionString
    /// The kernels that logqd uses on this machine.
    var kernels = QueryVector.kernelName
    var date = Date.now.formatted(.iso8601)

    /// The features of the processor, as Linux names them; empty elsewhere.
    static let flags = Set((processorLine("flags") ?? "").split(separator: " ").map(String.init))

    private static func processorLine(_ name: String) -> String? {
        let text = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)
        let line = text?.split(separator: "\n").first { $0.hasPrefix(name) }
        return line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) }
    }
}
