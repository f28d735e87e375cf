import SystemSupport

/// The source of random numbers for draws: xoshiro256++ (Blackman and Vigna, 2019), seeded by SplitMix64. It is defined
/// here, because a seed must give the same draws on every machine and in every version.
package struct DrawGenerator: Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    package init(seed: UInt64) {
        var seeds = SplitMix64(seed: seed)
        state = (seeds.next(), seeds.next(), seeds.next(), seeds.next())
    }

    package mutating func next() -> UInt64 {
        let sum = state.0 &+ state.3
        let result = (sum << 23 | sum >> 41) &+ state.0
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = state.3 << 45 | state.3 >> 19
        return result
    }

    /// Uniform in [0, 1), a multiple of 2^−53.
    package mutating func unit() -> Double {
        Double(next() >> 11) * 0x1p-53
    }

    /// The number of failures before the first success, if each try succeeds with this probability. At most 2^62. Drawn
    /// by inversion.
    package mutating func failures(beforeSuccessWith probability: Double) -> Int {
        guard probability < 1 else { return 0 }
        let count = (log1p(-unit()) / log1p(-probability)).rounded(.down)
        // `count` is not a number or infinite if the probability of success is 0.
        return count < 0x1p62 ? Int(count) : 1 << 62
    }

    /// Uniform in 0 ..< bound, without bias; `bound` is above 0. The result is the high half of a product. If the low
    /// half is one of the few that would favour some results, the draw is repeated (Lemire, 2019).
    package mutating func below(_ bound: Int) -> Int {
        let bound = UInt64(bound)
        var product = next().multipliedFullWidth(by: bound)
        if product.low < bound {
            let unfair = (0 &- bound) % bound
            while product.low < unfair { product = next().multipliedFullWidth(by: bound) }
        }
        return Int(product.high)
    }
}
