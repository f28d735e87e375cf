/// The shortest decimal that reads back as a given binary number. Of several, it is the one closest to the number.
///
/// The algorithm is Raffaello Giulietti's Schubfach ("The Schubfach way to render doubles", 2020). The numbers that
/// round to v = c·2^q form an interval around v. A power of ten scales the interval to a width of 1 to 10. Then it
/// contains at least one integer and at most one multiple of ten. If it contains a multiple of ten, that is one digit
/// shorter. Otherwise the integers just below and above v are the candidates. The scaled bounds are computed in 128
/// bits and *rounded to odd*, so that every comparison with an integer is exact.
struct ShortestDecimal {
    /// The number is digits · 10^exponent. Digits may end with zeros.
    let digits: UInt64
    let exponent: Int

    /// For the number c·2^q. `isLowerGapHalf` says whether the next lower number is only half as far away as the next
    /// higher one. This is so for a power of two, except at the smallest exponent.
    @inline(__always)
    init(c: UInt64, q: Int, isLowerGapHalf: Bool, powers: UnsafePointer<PowersOfTen.Entry>) {
        // ⌊log10 2^q⌋, or ⌊log10 ¾·2^q⌋ where the interval is narrower.
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

    /// ⌊g·factor / 2^128⌋, with the last bit set if the floor dropped anything.
    @inline(__always)
    private static func roundedToOdd(_ g: PowersOfTen.Entry, _ factor: UInt64) -> UInt64 {
        let low = g.low.multipliedFullWidth(by: factor).high
        let high = g.high.multipliedFullWidth(by: factor)
        let (rest, carry) = high.low.addingReportingOverflow(low)
        return (high.high &+ (carry ? 1 : 0)) | (rest > 1 ? 1 : 0)
    }
}
