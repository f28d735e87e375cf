internal import Foundation

/// Random numbers that are the same for the same seed on every machine (SplitMix64).
struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number from N(0, 1), by the method of Box and Muller. It discards the second number of the pair.
    mutating func gaussian() -> Float {
        let radius = (-2 * log(1 - uniform())).squareRoot()
        return Float(radius * cos(2 * .pi * uniform()))
    }

    /// A number that is at least 0 and below 1.
    private mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }
}
