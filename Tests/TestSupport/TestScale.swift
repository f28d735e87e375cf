import Foundation

/// The amount of work of random tests: little by default, all of it with `LOGQD_TEST_SCALE=full`. `LOGQD_TEST_SEED`
/// repeats a run.
package enum TestScale {
    package static let isFull = variable("SCALE") == "full"

    /// The time limit of waits in tests, in seconds. For slow builds with sanitizers, set `LOGQD_TEST_PATIENCE`.
    package static let patienceSeconds = variable("PATIENCE").flatMap { Double($0) } ?? 60

    package static func seed(or usual: UInt64) -> UInt64 {
        variable("SEED").flatMap { UInt64($0) } ?? usual
    }

    private static func variable(_ name: String) -> String? {
        ProcessInfo.processInfo.environment["LOGQD_TEST_" + name]
    }
}
