/// A random number generator whose seed is printed, so that a failure can be repeated: `LOGQD_TEST_SEED=n swift test`.
import Foundation

struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(test: String = #function) {
        let seed =
            ProcessInfo.processInfo.environment["LOGQD_TEST_SEED"].flatMap { UInt64($0) }
            ?? UInt64.random(in: 0...UInt64.max)
        print("\(test): LOGQD_TEST_SEED=\(seed)")
        state = seed
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
