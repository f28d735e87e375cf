#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The random numbers behind a draw: xoshiro256++ (Blackman and Vigna, 2019), seeded through SplitMix64. Written out, not
/// left to the standard library, because a seed has to draw the same on every machine and with every version.
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

    /// Uniform in [0, 1), in steps of 2^−53.
    package mutating func unit() -> Double {
        Double(next() >> 11) * 0x1p-53
    }

    /// How many tries fail before the first one that succeeds, each with this probability: by inversion. 2^62 at most.
    package mutating func failures(beforeSuccessWith probability: Double) -> Int {
        guard probability < 1 else { return 0 }
        let count = (log1p(-unit()) / log1p(-probability)).rounded(.down)
        // Not a number where nothing ever succeeds.
        return count < 0x1p62 ? Int(count) : 1 << 62
    }

    /// Uniform in 0 ..< bound, which is above 0, without bias: the high half of a product, and another try for the few
    /// low halves that would favour some results (Lemire, 2019).
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
