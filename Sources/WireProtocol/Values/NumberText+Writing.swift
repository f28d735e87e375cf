/// Writes a number as the shortest decimal that reads back as the same number.
///
/// A whole number up to 2^24 (float32) or 2^53 (float64) is written with all its digits. A larger number has an
/// exponent, and so does one with more than three zeros after the point. Every other number has a point.
extension TextCursor {
    static let floatBytesMax = 16
    static let doubleBytesMax = 26

    /// At most `floatBytesMax` bytes.
    mutating func number(_ value: Float) {
        PowersOfTen.table.withUnsafeBufferPointer { number(value, powers: $0.baseAddress!) }
    }

    /// At most `doubleBytesMax` bytes.
    mutating func number(_ value: Double) {
        PowersOfTen.table.withUnsafeBufferPointer { number(value, powers: $0.baseAddress!) }
    }

    @inline(__always)
    mutating func number(_ value: Float, powers: UnsafePointer<PowersOfTen.Entry>) {
        if value.magnitude <= 0x1p24, Float(Int32(value)) == value {
            return wholeNumber(Int64(value), isNegative: value.sign == .minus)
        }
        let fraction = UInt64(value.significandBitPattern)
        let biased = Int(value.exponentBitPattern)
        let decimal = ShortestDecimal(
            c: biased == 0 ? fraction : fraction | 1 << 23,
            q: max(biased, 1) - 150,
            isLowerGapHalf: fraction == 0 && biased > 1,
            powers: powers
        )
        self.decimal(decimal, isNegative: value.sign == .minus, plainDigitsMax: 7)
    }

    @inline(__always)
    mutating func number(_ value: Double, powers: UnsafePointer<PowersOfTen.Entry>) {
        if value.magnitude <= 0x1p53, Double(Int64(value)) == value {
            return wholeNumber(Int64(value), isNegative: value.sign == .minus)
        }
        let fraction = value.significandBitPattern
        let biased = Int(value.exponentBitPattern)
        let decimal = ShortestDecimal(
            c: biased == 0 ? fraction : fraction | 1 << 52,
            q: max(biased, 1) - 1_075,
            isLowerGapHalf: fraction == 0 && biased > 1,
            powers: powers
        )
        self.decimal(decimal, isNegative: value.sign == .minus, plainDigitsMax: 16)
    }

    private mutating func wholeNumber(_ value: Int64, isNegative: Bool) {
        // The sign is written for minus zero too.
        if isNegative { byte(UInt8(ascii: "-")) }
        unsigned(value.magnitude)
    }

    /// Writes a number that is not whole, or too large for `wholeNumber`.
    private mutating func decimal(_ decimal: ShortestDecimal, isNegative: Bool, plainDigitsMax: Int) {
        if isNegative { byte(UInt8(ascii: "-")) }
        var digits = decimal.digits
        var exponent = decimal.exponent
        while true {
            let (quotient, rest) = digits.quotientAndRemainder(dividingBy: 10)
            guard rest == 0 else { break }
            digits = quotient
            exponent += 1
        }
        let digitCount = Self.digitCount(digits)
        // The number is 0.DIGITS · 10^pointPosition.
        let pointPosition = digitCount + exponent
        if pointPosition > -4, pointPosition <= 0 {
            text("0.")
            for _ in pointPosition..<0 { byte(UInt8(ascii: "0")) }
            put(digits, digitCount: digitCount)
        } else if pointPosition > 0, pointPosition < digitCount, pointPosition <= plainDigitsMax {
            // Write all digits one place to the right, then move the leading ones back before the point.
            let start = next
            next += 1
            put(digits, digitCount: digitCount)
            for index in 0..<pointPosition { start[index] = start[index + 1] }
            start[pointPosition] = UInt8(ascii: ".")
        } else {
            let start = next
            if digitCount > 1 { next += 1 }
            put(digits, digitCount: digitCount)
            if digitCount > 1 {
                start[0] = start[1]
                start[1] = UInt8(ascii: ".")
            }
            byte(UInt8(ascii: "e"))
            integer(Int64(pointPosition - 1))
        }
    }
}

extension NumberText {
    /// `value` as a request or a reply spells it. For messages and tests: it allocates, so hot paths use a
    /// `TextCursor`.
    package static func text(_ value: Double) -> String {
        string(atMost: TextCursor.doubleBytesMax) { $0.number(value) }
    }

    package static func text(_ value: Float) -> String {
        string(atMost: TextCursor.floatBytesMax) { $0.number(value) }
    }

    private static func string(atMost bytesMax: Int, _ body: (inout TextCursor) -> Void) -> String {
        String(unsafeUninitializedCapacity: bytesMax) { room in
            var cursor = TextCursor(next: room.baseAddress!)
            body(&cursor)
            return cursor.next - room.baseAddress!
        }
    }
}
