/// Random numbers that are the same for the same seed on every machine: SplitMix64 (Steele, Lea, Flood 2014).
package struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    package init(seed: UInt64) {
        state = seed
    }

    /// Uses a different seed in every run, unless `LOGQD_TEST_SEED` gives one. It prints the seed, so that a failure
    /// can be repeated.
    package init(test: String = #function) {
        let seed = TestScale.seed(or: .random(in: 0...UInt64.max))
        print("\(test): LOGQD_TEST_SEED=\(seed)")
        self.init(seed: seed)
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number in (0, 1].
    package mutating func nextUnit() -> Double {
        Double(next() >> 11 &+ 1) * 0x1p-53
    }
}
