import Foundation

/// How much a random test does: quick by default, everything with `LOGQD_TEST_SCALE=full`. `LOGQD_TEST_SEED` repeats a run.
enum TestScale {
    static let isFull = ProcessInfo.processInfo.environment["LOGQD_TEST_SCALE"] == "full"

    /// How long anything may take before a test gives it up. A sanitizer needs more: `LOGQD_TEST_PATIENCE`, in seconds.
    static let patienceSeconds =
        ProcessInfo.processInfo.environment["LOGQD_TEST_PATIENCE"].flatMap { Double($0) } ?? 60

    static func seed(or usual: UInt64) -> UInt64 {
        ProcessInfo.processInfo.environment["LOGQD_TEST_SEED"].flatMap { UInt64($0) } ?? usual
    }
}

/// xorshift64*: the same numbers on every platform.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    }

    mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_F491_4F6C_DD1D
    }
}
