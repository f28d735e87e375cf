import Foundation

/// How much a random test does: quick by default, everything with `LOGQD_TEST_SCALE=full`. `LOGQD_TEST_SEED` repeats
/// a run.
package enum TestScale {
    package static let isFull = variable("SCALE") == "full"

    /// How long anything may take before a test gives it up. A sanitizer needs more: `LOGQD_TEST_PATIENCE`, in seconds.
    package static let patienceSeconds = variable("PATIENCE").flatMap { Double($0) } ?? 60

    package static func seed(or usual: UInt64) -> UInt64 {
        variable("SEED").flatMap { UInt64($0) } ?? usual
    }

    private static func variable(_ name: String) -> String? {
        ProcessInfo.processInfo.environment["LOGQD_TEST_" + name]
    }
}
