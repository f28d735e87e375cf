/// A sum of float64 without rounding: what is added and later subtracted leaves nothing behind, in whatever order.
///
/// The significands of all terms with the same exponent are added as integers; so there is a sum for each exponent that
/// occurred, and `value` puts them together. A total that is kept this way is the same after recovery, which adds up the
/// counts in another order, bit for bit; and deleting an id that held nearly all of it leaves an exact rest.
package struct ExactSum: Sendable {
    /// `sums[i]`: the significands of the terms of exponent `firstExponent + i`, in units of 2^(exponent − 52). 2^32 terms
    /// take 85 of the 128 bits.
    private var sums: [Int128] = []
    private var firstExponent = 0

    package init() {}

    /// The sum divided by 2^exponentOffset, rounded once for each exponent that occurs: exact where the terms are whole
    /// numbers and their sum is below 2^53. What is 2^256 times smaller than the largest term is left out.
    package func value(exponentOffset: Int = 0) -> Double {
        guard let last = sums.lastIndex(where: { $0 != 0 }) else { return 0 }
        var value = 0.0
        for index in max(0, last - 256)...last where sums[index] != 0 {
            let exponent = firstExponent + index - 52 - exponentOffset
            value += Double(sign: .plus, exponent: exponent, significand: Double(sums[index]))
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
        let significand = term.significandBitPattern | 1 << 52
        let place = place(of: Int(term.exponent) + exponentOffset)
        sums[place] &+= sign &* Int128(significand)
    }

    private mutating func place(of exponent: Int) -> Int {
        if sums.isEmpty { firstExponent = exponent }
        if exponent < firstExponent {
            sums.insert(contentsOf: repeatElement(0, count: firstExponent - exponent), at: 0)
            firstExponent = exponent
        }
        let place = exponent - firstExponent
        if place >= sums.count { sums.append(contentsOf: repeatElement(0, count: place + 1 - sums.count)) }
        return place
    }
}
