/// A sum of float64 without rounding: terms that are added and later subtracted leave nothing, in any order.
///
/// The significands of all terms with the same exponent are added as integers. So there is one sum for each exponent
/// that occurs, and `value` combines them. So the total has the same bits when recovery adds the counts in another
/// order. It also stays exact when an id with nearly all of the total is deleted.
package struct ExactSum: Sendable {
    /// The sum of the significands of all terms with one exponent, in units of 2^(exponent − 52): 2^32 terms take 85 of
    /// the 128 bits.
    private struct Part: Sendable {
        let exponent: Int
        var sum: Int128
    }

    /// By ascending exponent. No part has the sum 0.
    private var parts: [Part] = []

    package init() {}

    /// The sum divided by 2^exponentOffset. It is exact if the terms are whole numbers and their sum is below 2^53.
    /// Otherwise it is rounded at most twice for each exponent. Terms that are 2^256 times smaller than the largest one
    /// are ignored.
    package func value(exponentOffset: Int = 0) -> Double {
        guard let last = parts.last else { return 0 }
        var value = 0.0
        let first = parts.partitioningIndex { $0.exponent > last.exponent - 256 }
        for part in parts[first...] {
            let exponent = max(-1_200, min(1_200, part.exponent - 52 - exponentOffset))
            value += Double(sign: .plus, exponent: exponent, significand: Double(part.sum))
        }
        return value
    }

    /// Adds term·2^exponentOffset. `term` is 0 or a normal number above 0.
    package mutating func add(_ term: Double, exponentOffset: Int = 0) { accumulate(term, exponentOffset, 1) }

    /// Subtracts a term that was added before.
    package mutating func subtract(_ term: Double, exponentOffset: Int = 0) { accumulate(term, exponentOffset, -1) }

    private mutating func accumulate(_ term: Double, _ exponentOffset: Int, _ sign: Int128) {
        guard term > 0 else { return }
        assert(term.isNormal, "got \(term), expected a normal number")
        let significand = sign &* Int128(term.significandBitPattern | 1 << 52)
        let exponent = Int(term.exponentBitPattern) - 1_023 + exponentOffset
        let place = place(of: exponent)
        if place == parts.count || parts[place].exponent != exponent {
            parts.insert(Part(exponent: exponent, sum: significand), at: place)
        } else {
            parts[place].sum &+= significand
            if parts[place].sum == 0 { parts.remove(at: place) }
        }
    }

    /// The index of the part with this exponent, or the index at which to insert it.
    private func place(of exponent: Int) -> Int {
        // The first guess is right if there is a part for every exponent from the lowest up to this one. Most sums have
        // them all.
        if let first = parts.first {
            let guess = exponent &- first.exponent
            if guess >= 0, guess < parts.count, parts[guess].exponent == exponent { return guess }
        }
        return parts.partitioningIndex { $0.exponent >= exponent }
    }
}
