import SystemSupport

/// A summary of numbers m in [1, 2): the significands of counts that have the same exponent. It gives Σ m^power for any
/// power in [0, 1] without reading the numbers again.
///
/// On [1, 2), m^power is nearly a polynomial of degree 8. With Chebyshev polynomials T_j and x = 2m − 3:
///
///     m^power ≈ Σ a_j(power)·T_j(x)
///
/// The error is below 1e-8, because the nearest singularity, m = 0, is at x = −3, so each degree divides the error by 3
/// + √8. So it is enough to keep Σ T_j(x) for j = 0 ... 8.
///
/// The sums are integers in units of 2^−51. Removing a count subtracts exactly the amount that adding it added, so no
/// error accumulates in years of updates. The result is exact for the powers 0 and 1.
struct CountMoments: Sendable, Equatable {
    private typealias Values = SIMD8<Int64>

    private(set) var count = 0
    /// Σ T_1 ... Σ T_8.
    private var sums: (Int128, Int128, Int128, Int128, Int128, Int128, Int128, Int128) = (0, 0, 0, 0, 0, 0, 0, 0)

    static func == (a: CountMoments, b: CountMoments) -> Bool {
        a.count == b.count && a.list == b.list
    }

    private var list: [Int128] {
        [sums.0, sums.1, sums.2, sums.3, sums.4, sums.5, sums.6, sums.7]
    }

    /// Adds a count with this significand.
    mutating func add(_ significand: Double) {
        count += 1
        accumulate(Self.values(significand, significand).0)
    }

    mutating func remove(_ significand: Double) {
        count -= 1
        accumulate(0 &- Self.values(significand, significand).0)
    }

    /// The same as removing `old` and adding `new`.
    mutating func replace(_ old: Double, with new: Double) {
        let (old, new) = Self.values(old, new)
        // Each is below 2^52, so the difference does not overflow.
        accumulate(new &- old)
    }

    init() {}

    /// The summary of `count` counts with significand 1.
    init(ones count: Int) {
        self.count = count
        let values = Self.values(1, 1).0
        let factor = Int128(count)
        sums.0 = factor * Int128(values[0])
        sums.1 = factor * Int128(values[1])
        sums.2 = factor * Int128(values[2])
        sums.3 = factor * Int128(values[3])
        sums.4 = factor * Int128(values[4])
        sums.5 = factor * Int128(values[5])
        sums.6 = factor * Int128(values[6])
        sums.7 = factor * Int128(values[7])
    }

    mutating func add(_ other: CountMoments) { accumulate(other, 1) }

    mutating func subtract(_ other: CountMoments) { accumulate(other, -1) }

    private mutating func accumulate(_ other: CountMoments, _ sign: Int) {
        count += sign * other.count
        let factor = Int128(sign)
        sums.0 += factor * other.sums.0
        sums.1 += factor * other.sums.1
        sums.2 += factor * other.sums.2
        sums.3 += factor * other.sums.3
        sums.4 += factor * other.sums.4
        sums.5 += factor * other.sums.5
        sums.6 += factor * other.sums.6
        sums.7 += factor * other.sums.7
    }

    private mutating func accumulate(_ values: Values) {
        sums.0 &+= Int128(values[0])
        sums.1 &+= Int128(values[1])
        sums.2 &+= Int128(values[2])
        sums.3 &+= Int128(values[3])
        sums.4 &+= Int128(values[4])
        sums.5 &+= Int128(values[5])
        sums.6 &+= Int128(values[6])
        sums.7 &+= Int128(values[7])
    }

    /// T_1 ... T_8 of two significands, computed together. T_1 = x has at most 51 fractional bits, so it is exact.
    private static func values(_ first: Double, _ second: Double) -> (Values, Values) {
        // Adding 1.5·2^52 to a number in [−2^51, 2^51] rounds it to an integer, which is then in the low bits. A number
        // slightly outside this range may be rounded more. That does no harm, because its result is always the same.
        let integers = SIMD2(repeating: 0x1.8p52)
        let zero = SIMD2(repeating: Int64(bitPattern: (0x1.8p52).bitPattern))
        let x = 2 * SIMD2(first, second) - 3
        var values = (Values(), Values())
        var (before, now) = (SIMD2(repeating: 1.0), x)
        for index in 0..<8 {
            let integer = unsafeBitCast(now * 0x1p51 + integers, to: SIMD2<Int64>.self) &- zero
            values.0[index] = integer[0]
            values.1[index] = integer[1]
            (before, now) = (now, 2 * x * now - before)
        }
        return values
    }

    /// Σ significand^power.
    func sum(_ power: PowerSeries) -> Double {
        var sum = power.coefficients[0] * Double(count)
        for (index, moment) in list.enumerated() {
            sum += power.coefficients[index + 1] * (Double(moment) * 0x1p-51)
        }
        return sum
    }

    /// m^power on [1, 2) as a sum of Chebyshev polynomials of 2m − 3.
    struct PowerSeries: Sendable {
        let coefficients: [Double]

        /// Interpolates at many more points than the degree, so nearly all of the error is the truncation of the
        /// series.
        init(power: Double) {
            switch power {
            case 0: coefficients = [1] + Array(repeating: 0, count: 8)
            case 1: coefficients = [1.5, 0.5] + Array(repeating: 0, count: 7)
            default:
                let pointCount = 64
                coefficients = (0...8).map { degree in
                    var sum = 0.0
                    for point in 0..<pointCount {
                        let angle = Double.pi * (Double(point) + 0.5) / Double(pointCount)
                        sum += pow((cos(angle) + 3) / 2, power) * cos(Double(degree) * angle)
                    }
                    return sum * (degree == 0 ? 1 : 2) / Double(pointCount)
                }
            }
        }
    }
}
