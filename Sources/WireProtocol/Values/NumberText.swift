/// Reads and writes numbers as decimal text.
///
/// Writing produces the shortest decimal that reads back as the same number (`1`, `0.1`, `1e-5`). So no bit is lost
/// between trainer and service. Reading accepts an optional sign, digits with an optional point, and an optional
/// exponent, and always rounds correctly. `NumberText+Writing.swift` has the writing side.
package enum NumberText {
    /// A scanned number: ±mantissa × 10^exponent, negative if `isNegative`. If `isInexact`, the true magnitude is
    /// slightly greater.
    struct Decimal {
        var mantissa: UInt64 = 0
        var exponent = 0
        var isNegative = false
        /// Whether a digit other than 0 was dropped after the first 19 significant digits.
        var isInexact = false
    }

    /// Reads an unsigned integer. A value that is too large reads as `UInt64.max`. Nil if `word` is not an unsigned
    /// integer.
    package static func unsigned(_ word: UnsafeRawBufferPointer) -> UInt64? {
        guard let (value, isTooLarge) = scanUnsigned(word) else { return nil }
        return isTooLarge ? .max : value
    }

    /// Whether `word` is an unsigned integer above `UInt64.max`.
    package static func isTooLarge(_ word: UnsafeRawBufferPointer) -> Bool {
        scanUnsigned(word)?.isTooLarge ?? false
    }

    private static func scanUnsigned(_ word: UnsafeRawBufferPointer) -> (value: UInt64, isTooLarge: Bool)? {
        guard !word.isEmpty else { return nil }
        var value: UInt64 = 0
        var isTooLarge = false
        for byte in word {
            let digit = byte &- 0x30
            guard digit < 10 else { return nil }
            let (tens, overflowTens) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflowSum) = tens.addingReportingOverflow(UInt64(digit))
            isTooLarge = isTooLarge || overflowTens || overflowSum
            value = sum
        }
        return (value, isTooLarge)
    }

    /// Reads a signed integer. Nil if `word` is not an integer or does not fit.
    package static func integer(_ word: UnsafeRawBufferPointer) -> Int64? {
        let isNegative = word.first == UInt8(ascii: "-")
        let digits = isNegative ? UnsafeRawBufferPointer(rebasing: word.dropFirst()) : word
        guard let magnitude = unsigned(digits) else { return nil }
        if isNegative {
            return magnitude <= Int64.min.magnitude ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil
        }
        return Int64(exactly: magnitude)
    }

    /// Reads a number, rounded to float64. Infinite if it is too large. Nil if `word` is not a number.
    package static func double(_ word: UnsafeRawBufferPointer) -> Double? {
        var position = 0
        guard let decimal = scan(word, from: &position), position == word.count else { return nil }
        return double(decimal, spelled: word)
    }

    /// Reads a number, rounded once to float32. Infinite if it is too large. Nil if `word` is not a number.
    package static func float(_ word: UnsafeRawBufferPointer) -> Float? {
        var position = 0
        guard let decimal = scan(word, from: &position), position == word.count else { return nil }
        return powersOfTen.withUnsafeBufferPointer { powers in
            float(decimal, spelled: word, powers: powers.baseAddress!)
        }
    }

    /// Scans the number that begins at `position`, and moves `position` to its end. If there is no number, returns nil
    /// and moves `position` to the place where the scan failed.
    @inline(__always)
    static func scan(_ text: UnsafeRawBufferPointer, from position: inout Int) -> Decimal? {
        var decimal = Decimal()
        var at = position
        let end = text.count
        defer { position = at }
        if at < end, text[at] == UInt8(ascii: "-") || text[at] == UInt8(ascii: "+") {
            decimal.isNegative = text[at] == UInt8(ascii: "-")
            at += 1
        }
        let firstDigit = at
        var significantCount = 0
        var digitCount = 0
        while at < end {
            let digit = text[at] &- 0x30
            guard digit < 10 else { break }
            take(digit, isFraction: false, &significantCount, &decimal)
            at += 1
        }
        digitCount = at - firstDigit
        if at < end, text[at] == UInt8(ascii: ".") {
            at += 1
            let firstFractionDigit = at
            while at < end {
                let digit = text[at] &- 0x30
                guard digit < 10 else { break }
                take(digit, isFraction: true, &significantCount, &decimal)
                at += 1
            }
            digitCount += at - firstFractionDigit
        }
        guard digitCount > 0 else { return nil }
        if at < end, text[at] | 0x20 == UInt8(ascii: "e") {
            at += 1
            guard let exponent = scanExponent(text, from: &at) else { return nil }
            decimal.exponent += exponent
        }
        return decimal
    }

    @inline(__always)
    private static func take(_ digit: UInt8, isFraction: Bool, _ significantCount: inout Int, _ decimal: inout Decimal)
    {
        if significantCount < 19 {
            decimal.mantissa = decimal.mantissa &* 10 &+ UInt64(digit)
            if decimal.mantissa != 0 { significantCount += 1 }
            if isFraction { decimal.exponent -= 1 }
        } else {
            decimal.isInexact = decimal.isInexact || digit != 0
            if !isFraction { decimal.exponent += 1 }
        }
    }

    private static func scanExponent(_ text: UnsafeRawBufferPointer, from at: inout Int) -> Int? {
        let end = text.count
        var isNegative = false
        if at < end, text[at] == UInt8(ascii: "-") || text[at] == UInt8(ascii: "+") {
            isNegative = text[at] == UInt8(ascii: "-")
            at += 1
        }
        let firstDigit = at
        var exponent = 0
        while at < end {
            let digit = text[at] &- 0x30
            guard digit < 10 else { break }
            // An exponent this large is beyond the range of all numbers, so further digits change nothing.
            if exponent < 1_000_000 { exponent = exponent * 10 + Int(digit) }
            at += 1
        }
        guard at > firstDigit else { return nil }
        return isNegative ? -exponent : exponent
    }

    /// 10^0 to 10^60, each rounded to float64 (exact up to 10^22).
    static let powersOfTen: [Double] = (0...60).map { Double("1e\($0)")! }

    /// Rounds `decimal`, spelled `text`, to float32.
    ///
    /// After three roundings in float64 (mantissa, power, product or quotient) the error is at most 2 units of the last
    /// place. Rounding the result to float32 is then right, unless it is that close to the middle between two float32
    /// numbers. In that case, and for subnormal and out-of-range numbers, the standard library rounds the text.
    @inline(__always)
    static func float(
        _ decimal: Decimal,
        spelled text: @autoclosure () -> UnsafeRawBufferPointer,
        powers: UnsafePointer<Double>
    ) -> Float {
        if decimal.mantissa == 0 { return decimal.isNegative ? -0.0 : 0 }
        if decimal.exponent >= -60, decimal.exponent <= 60 {
            let mantissa = Double(decimal.mantissa)
            let value =
                decimal.exponent < 0 ? mantissa / powers[-decimal.exponent] : mantissa * powers[decimal.exponent]
            let middle: Int64 = 0x1000_0000
            let distance = Int64(value.bitPattern & 0x1FFF_FFFF) - middle
            if distance.magnitude > 4, value >= 0x1p-126, value < 0x1p128 {
                return Float(decimal.isNegative ? -value : value)
            }
        }
        return Float(String(decoding: text(), as: UTF8.self)) ?? .nan
    }

    /// Rounds `decimal`, spelled `text`, to float64.
    ///
    /// If the mantissa and the power of ten are both exact in float64, one operation rounds correctly (Clinger 1990).
    /// Otherwise the product with a power of 128 bits decides (Lemire, "Number parsing at a gigabyte per second",
    /// 2021). If that product is not certain either, the standard library rounds the text.
    @inline(__always)
    static func double(_ decimal: Decimal, spelled text: @autoclosure () -> UnsafeRawBufferPointer) -> Double {
        if decimal.mantissa == 0 { return decimal.isNegative ? -0.0 : 0 }
        if decimal.mantissa <= 1 << 53, !decimal.isInexact, decimal.exponent >= -22, decimal.exponent <= 22 {
            let mantissa = Double(decimal.mantissa)
            let power = powersOfTen[Int(decimal.exponent.magnitude)]
            let value = decimal.exponent < 0 ? mantissa / power : mantissa * power
            return decimal.isNegative ? -value : value
        }
        if !decimal.isInexact, let value = product(decimal.mantissa, exponent: decimal.exponent) {
            return decimal.isNegative ? -value : value
        }
        return Double(String(decoding: text(), as: UTF8.self)) ?? .nan
    }

    /// mantissa · 10^exponent, rounded. Nil if 128 bits do not decide the rounding, or if the result is outside the
    /// range of exponents that certainly have full precision.
    private static func product(_ mantissa: UInt64, exponent: Int) -> Double? {
        guard exponent >= -300, exponent <= 290 else { return nil }
        let power = PowersOfTen.table[exponent - PowersOfTen.range.lowerBound]
        let shift = mantissa.leadingZeroBitCount
        let factor = mantissa << UInt64(shift)
        // The first 128 bits of the product. The power is at most one unit too large, so the product is at most one
        // unit of `low` too large, and never too small.
        let upper = power.high.multipliedFullWidth(by: factor)
        let (sum, carry) = upper.low.addingReportingOverflow(power.low.multipliedFullWidth(by: factor).high)
        var high = upper.high + (carry ? 1 : 0)
        var low = sum
        let isTopBitSet = high >> 63 == 1
        if !isTopBitSet {
            high = high << 1 | low >> 63
            low <<= 1
        }
        let rest = high & 0x7FF
        if rest == 0x400, low < 4 { return nil }
        // 53 bits, rounded. A carry out of them correctly increments the exponent below.
        let rounded = (high >> 11) + (rest >= 0x400 ? 1 : 0)
        let power2 = PowersOfTen.floorLog2(exponent) + 63 - shift + (isTopBitSet ? 1 : 0)
        guard power2 > -1_022, power2 < 1_023 else { return nil }
        return Double(bitPattern: UInt64(power2 + 1_022) << 52 + rounded)
    }
}
