import TestSupport
import Testing

@testable import WireProtocol

struct NumberTextTests {
    @Test(arguments: [
        (0.0, "0"), (-0.0, "-0"), (1, "1"), (-1, "-1"), (0.1, "0.1"), (0.5, "0.5"), (1e-5, "1e-5"), (1.5e-7, "1.5e-7"),
        (1e300, "1e300"), (1.25e22, "1.25e22"), (100_000, "100000"), (9_007_199_254_740_991, "9007199254740991"),
        (.leastNonzeroMagnitude, "5e-324"), (-9.210340371976182, "-9.210340371976182"), (0.0001, "0.0001"),
        (1.7976931348623157e308, "1.7976931348623157e308"),
    ])
    func writesTheShortestDecimal(value: Double, text: String) {
        #expect(NumberText.text(value) == text)
        #expect(text.withBytes { NumberText.double($0) }?.bitPattern == value.bitPattern)
    }

    @Test(arguments: [
        (Float(0.1), "0.1"), (1, "1"), (-0.0, "-0"), (16_777_215, "16777215"), (.leastNonzeroMagnitude, "1e-45"),
        (3.4028235e38, "3.4028235e38"), (1e-5, "1e-5"), (0.33333334, "0.33333334"), (1e10, "1e10"),
    ])
    func writesTheShortestDecimalOfFloat32(value: Float, text: String) {
        #expect(NumberText.text(value) == text)
        #expect(text.withBytes { NumberText.float($0) }?.bitPattern == value.bitPattern)
    }

    @Test(arguments: [
        (1e15 + 0.5, "1000000000000000.5"), (0.1 + 0.2, "0.30000000000000004"),
        (9_007_199_254_740_992, "9007199254740992"),
        (9_007_199_254_740_994, "9.007199254740994e15"), (123.456, "123.456"), (0.00012, "0.00012"),
        (0.000012, "1.2e-5"),
        (1e21, "1e21"), (2e-7, "2e-7"), (1.5, "1.5"), (100.25, "100.25"), (-0.5, "-0.5"),
    ])
    func choosesANotation(value: Double, text: String) {
        #expect(NumberText.text(value) == text)
    }

    @Test(arguments: ["1", "+1", "1.", ".5", "-.5e-3", "1e5", "1E+05", "00012", "0.000", "1e-400", "1e400"])
    func readsEverySpelling(text: String) {
        #expect(text.withBytes { NumberText.double($0) } == Double(text))
        #expect(text.withBytes { NumberText.float($0) } == Float(text))
    }

    @Test(arguments: [
        "", "-", "+", ".", "e5", "1e", "1e+", "0x10", "nan", "inf", "-inf", "1_000", "1 ", " 1", "1,5", "--1", "1..2",
        "1e5.0", "infinity", "\u{661}",
    ])
    func refusesTextThatIsNotANumber(text: String) {
        #expect(text.withBytes { NumberText.double($0) } == nil)
        #expect(text.withBytes { NumberText.float($0) } == nil)
    }

    @Test func readsIntegersToTheirLimits() {
        #expect("18446744073709551615".withBytes { NumberText.unsigned($0) } == .max)
        #expect("18446744073709551616".withBytes { NumberText.unsigned($0) } == .max)
        #expect("99999999999999999999999999".withBytes { NumberText.unsigned($0) } == .max)
        #expect("9223372036854775807".withBytes { NumberText.integer($0) } == .max)
        #expect("9223372036854775808".withBytes { NumberText.integer($0) } == nil)
        #expect("-9223372036854775808".withBytes { NumberText.integer($0) } == .min)
        #expect("-9223372036854775809".withBytes { NumberText.integer($0) } == nil)
        for text in ["", "-", "+1", "1.0", "1e3", "a"] {
            #expect(text.withBytes { NumberText.integer($0) } == nil)
        }
    }

    @Test func roundTripsRandomBitPatterns() {
        var random = SeededGenerator()
        for _ in 0..<20_000 {
            let float = Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &random))
            if float.isFinite {
                let text = NumberText.text(float)
                #expect(text.withBytes { NumberText.float($0) }?.bitPattern == float.bitPattern, "\(text)")
                // The form that a Python program writes: the digits of the float64 that equals the float32.
                let long = "\(Double(float))"
                #expect(long.withBytes { NumberText.float($0) }?.bitPattern == float.bitPattern, "\(long)")
            }
            let double = Double(bitPattern: UInt64.random(in: 0...UInt64.max, using: &random))
            if double.isFinite {
                let text = NumberText.text(double)
                #expect(text.withBytes { NumberText.double($0) }?.bitPattern == double.bitPattern, "\(text)")
            }
        }
    }

    /// The significant digits of a decimal, without leading and trailing zeros.
    private func digits(_ text: String) -> [UInt8] {
        var digits = text.utf8.prefix { $0 != UInt8(ascii: "e") }.filter { (0x30...0x39).contains($0) }
        digits = Array(digits.drop { $0 == 0x30 })
        while digits.last == 0x30 { digits.removeLast() }
        return digits
    }

    /// The standard library's digits are the fewest, and the closest among those. So it is an independent reference.
    @Test func digitsAreThoseOfTheLibrary() {
        var random = SeededGenerator()
        func check(_ value: Double) {
            guard value.isFinite else { return }
            let text = NumberText.text(value)
            #expect(Double(text)?.bitPattern == value.bitPattern, "\(text)")
            #expect(digits(text) == digits("\(value)"), "\(text)")
        }
        func check(_ value: Float) {
            guard value.isFinite else { return }
            let text = NumberText.text(value)
            #expect(Float(text)?.bitPattern == value.bitPattern, "\(text)")
            #expect(digits(text) == digits("\(value)"), "\(text)")
        }
        // Powers of two and their neighbours, where the interval of rounding is not symmetric.
        for exponent in -1_074...1_023 {
            let power = Double(sign: .plus, exponent: exponent, significand: 1)
            for value in [power, power.nextUp, power.nextDown] { check(value) }
        }
        for exponent in -149...127 {
            let power = Float(sign: .plus, exponent: exponent, significand: 1)
            for value in [power, power.nextUp, power.nextDown] { check(value) }
        }
        for exponent in -323...308 { check(Double("1e\(exponent)")!) }
        for _ in 0..<30_000 {
            check(Double(bitPattern: UInt64.random(in: 0...UInt64.max, using: &random)))
            check(Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &random)))
            check(Double.random(in: -20...20, using: &random))
            check(Float.random(in: -1...1, using: &random))
            // Few digits, as in numbers typed by hand.
            check(Double(Int.random(in: 0...99_999, using: &random)) / 1_000)
            check(Float(Int.random(in: 0...9_999, using: &random)) / 100)
        }
    }

    @Test func noTextIsLongerThanReserved() {
        var random = SeededGenerator()
        for _ in 0..<20_000 {
            let float = Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &random))
            let double = Double(bitPattern: UInt64.random(in: 0...UInt64.max, using: &random))
            if float.isFinite { #expect(NumberText.text(float).utf8.count <= TextCursor.floatBytesMax) }
            if double.isFinite { #expect(NumberText.text(double).utf8.count <= TextCursor.doubleBytesMax) }
        }
    }

    /// Every text is rounded as in the standard library, especially near the middle between two numbers.
    @Test func roundsCorrectlyNearTheMiddle() {
        var random = SeededGenerator()
        func check(_ text: String) {
            #expect(text.withBytes { NumberText.float($0) } == Float(text), "\(text)")
            #expect(text.withBytes { NumberText.double($0) } == Double(text), "\(text)")
        }
        for _ in 0..<10_000 {
            let float = Float(bitPattern: UInt32.random(in: 0..<0x7F7F_FFFF, using: &random))
            let middle = (Double(float) + Double(float.nextUp)) / 2
            check("\(middle)")
            check("\(middle.nextUp)")
            check("\(middle.nextDown)")
            let digits = UInt64.random(in: 0...UInt64.max, using: &random)
            check("\(digits)e\(Int.random(in: -70...30, using: &random))")
            check("\(digits / 1_000)e\(Int.random(in: -345...310, using: &random))")
            check("\(Double(bitPattern: UInt64.random(in: 0..<0x7FF0_0000_0000_0000, using: &random)))")
            check("0.\(digits)")
            // Exactly the middle between two float64 numbers, and its neighbours.
            let wide = UInt64.random(in: (1 << 60)..<(1 << 63), using: &random) & ~0x7FF | 0x200
            for tie in [wide, wide - 1, wide + 1] {
                check("\(tie)")
                check("\(tie / 10)\(tie % 10)0e-1")
            }
            check("\(digits)\(digits).\(digits)")
        }
    }
}
