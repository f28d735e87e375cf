/// A sum of float64 without rounding: what is added and later subtracted leaves nothing behind, in whatever order.
///
/// The significands of all terms with the same exponent are added as integers; so there is a sum for each exponent that
/// occurred, and `value` puts them together. A total that is kept this way is the same after recovery, which adds up the
/// counts in another order, bit for bit; and deleting an id that held nearly all of it leaves an exact rest.
package struct ExactSum: Sendable {
    /// The significands of the terms of an exponent, in units of 2^(exponent − 52): 2^32 terms take 85 of the 128 bits.
    private struct Part: Sendable {
        let exponent: Int
        var sum: Int128
    }

    /// By ascending exponent; none is 0.
    private var parts: [Part] = []

    package init() {}

    /// The sum divided by 2^exponentOffset, rounded once for each exponent that occurs: exact where the terms are whole
    /// numbers and their sum is below 2^53. What is 2^256 times smaller than the largest term is left out.
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

    /// Adds a finite number of 0 or more, times 2^exponentOffset.
    package mutating func add(_ term: Double, exponentOffset: Int = 0) { accumulate(term, exponentOffset, 1) }

    /// Takes back what was added.
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

    /// Where the part of an exponent is or belongs.
    private func place(of exponent: Int) -> Int {
        // Most sums have a part for every exponent between the lowest and the highest.
        if let first = parts.first {
            let guess = exponent &- first.exponent
            if guess >= 0, guess < parts.count, parts[guess].exponent == exponent { return guess }
        }
        return parts.partitioningIndex { $0.exponent >= exponent }
    }
}
