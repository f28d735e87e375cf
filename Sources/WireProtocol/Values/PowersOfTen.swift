/// 10^k to 128 bits, for every k that reading and writing float64 needs.
///
/// An entry is g(k) = ⌈10^k · 2^(127 − ⌊log2 10^k⌋)⌉. Its top bit is set. It is at most one unit of its last place too
/// large, and exact for k from 0 to 55. Plain long arithmetic computes the table on first use, in tens of microseconds.
/// That is easier to verify than 1,300 constants.
enum PowersOfTen {
    static let range = -342...324

    struct Entry {
        let high: UInt64
        let low: UInt64
    }

    static let table: [Entry] = {
        var entries = [Entry](repeating: Entry(high: 0, low: 0), count: range.count)
        // Upward: 10^k, with all its bits.
        var limbs = [UInt64](repeating: 0, count: 20)
        limbs[0] = 1
        for k in 0...range.upperBound {
            if k > 0 { multiplyByTen(&limbs) }
            entries[k - range.lowerBound] = leading(limbs, isExact: true)
        }
        // Downward: ⌊2^1279 / 10^k⌋. Dividing by 10 k times, rounding down each time, gives the same as one division.
        limbs = [UInt64](repeating: 0, count: 20)
        limbs[19] = 1 << 63
        for k in 1...(-range.lowerBound) {
            divideByTen(&limbs)
            entries[-k - range.lowerBound] = leading(limbs, isExact: false)
        }
        return entries
    }()

    /// ⌊log2 10^k⌋, for |k| up to 1,233.
    @inline(__always)
    static func floorLog2(_ k: Int) -> Int { (k &* 1_741_647) >> 19 }

    private static func multiplyByTen(_ limbs: inout [UInt64]) {
        var carry: UInt64 = 0
        for index in limbs.indices {
            let (high, low) = limbs[index].multipliedFullWidth(by: 10)
            let (sum, overflow) = low.addingReportingOverflow(carry)
            limbs[index] = sum
            carry = high + (overflow ? 1 : 0)
        }
    }

    private static func divideByTen(_ limbs: inout [UInt64]) {
        var rest: UInt64 = 0
        for index in limbs.indices.reversed() {
            (limbs[index], rest) = UInt64(10).dividingFullWidth((rest, limbs[index]))
        }
    }

    /// The first 128 bits, rounded up. If the limbs are not exact, the true number is slightly greater than they are.
    private static func leading(_ limbs: [UInt64], isExact: Bool) -> Entry {
        let top = limbs.lastIndex { $0 != 0 }!
        func limb(_ index: Int) -> UInt64 { index >= 0 ? limbs[index] : 0 }
        let shift = UInt64(limbs[top].leadingZeroBitCount)
        func shifted(_ index: Int) -> UInt64 {
            shift == 0 ? limb(index) : limb(index) << shift | limb(index - 1) >> (64 - shift)
        }
        var value = UInt128(shifted(top)) << 64 | UInt128(shifted(top - 1))
        let hasRest = shifted(top - 2) != 0 || limbs[..<max(0, top - 2)].contains { $0 != 0 }
        if hasRest || !isExact { value += 1 }
        return Entry(high: UInt64(truncatingIfNeeded: value >> 64), low: UInt64(truncatingIfNeeded: value))
    }
}
