/// The shortest decimal that reads back as a given binary number; of several, the one closest to it.
///
/// The algorithm is Raffaello Giulietti's Schubfach ("The Schubfach way to render doubles", 2020). The numbers that
/// round to v = c·2^q form an interval around it. Scale the interval by a power of ten so that it is between 1 and 10
/// integers wide: then it holds at least one integer, and at most one multiple of ten. A multiple of ten, if there is
/// one, is a digit shorter; else the integers just below and above v are the candidates. The scaled bounds are
/// computed in 128 bits and *rounded to odd*, which keeps every comparison with an integer exact.
struct ShortestDecimal {
    /// The number is digits · 10^exponent. Digits may end with zeros.
    let digits: UInt64
    let exponent: Int

    /// For the number c·2^q. `isLowerGapHalf`: c is a power of two and not the smallest, so that the next number below is
    /// only half as far away as the one above.
    @inline(__always)
    init(c: UInt64, q: Int, isLowerGapHalf: Bool, powers: UnsafePointer<PowersOfTen.Entry>) {
        // ⌊log10 2^q⌋, or of ¾·2^q where the interval is narrower.
        let k = (q &* 1_262_611 &- (isLowerGapHalf ? 524_031 : 0)) >> 22
        let h = UInt64(q + PowersOfTen.floorLog2(-k) + 1)
        let g = powers[-k - PowersOfTen.range.lowerBound]
        let isOdd = c & 1
        let lower = Self.roundedToOdd(g, (4 * c - 2 + (isLowerGapHalf ? 1 : 0)) << h) + isOdd
        let middle = Self.roundedToOdd(g, 4 * c << h)
        let upper = Self.roundedToOdd(g, (4 * c + 2) << h) - isOdd

        let floor = middle / 4
        if floor >= 10 {
            let tens = floor / 10
            let isBelowInside = lower <= 40 * tens
            let isAboveInside = 40 * tens + 40 <= upper
            if isBelowInside != isAboveInside {
                digits = tens + (isAboveInside ? 1 : 0)
                exponent = k + 1
                return
            }
        }
        exponent = k
        let isBelowInside = lower <= 4 * floor
        let isAboveInside = 4 * floor + 4 <= upper
        if isBelowInside != isAboveInside {
            digits = floor + (isAboveInside ? 1 : 0)
        } else {
            let half = 4 * floor + 2
            digits = floor + (middle > half || (middle == half && floor & 1 == 1) ? 1 : 0)
        }
    }

    /// ⌊g·factor / 2^128⌋, its last bit set if anything was cut off.
    @inline(__always)
    private static func roundedToOdd(_ g: PowersOfTen.Entry, _ factor: UInt64) -> UInt64 {
        let low = g.low.multipliedFullWidth(by: factor).high
        let high = g.high.multipliedFullWidth(by: factor)
        let (rest, carry) = high.low.addingReportingOverflow(low)
        return (high.high &+ (carry ? 1 : 0)) | (rest > 1 ? 1 : 0)
    }
}
