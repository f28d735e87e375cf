/// The grammar of an option's value. It reads the value from a request, and prints a default in `HELP`.
package struct ValueGrammar<Value: Sendable>: Sendable {
    /// The usual text after the `=` in a usage line.
    let placeholder: String
    let parse: @Sendable (inout OptionText) throws(WireError) -> Value
    /// Spells a value as a request does.
    private(set) var text: @Sendable (Value) -> String = { "\($0)" }

    init(placeholder: String = "n", _ parse: @escaping @Sendable (inout OptionText) throws(WireError) -> Value) {
        self.placeholder = placeholder
        self.parse = parse
    }

    /// The same grammar, for values that a request spells differently from Swift's own description of them.
    func written(_ text: @escaping @Sendable (Value) -> String) -> ValueGrammar {
        var grammar = self
        grammar.text = text
        return grammar
    }

    var read: @Sendable (inout OptionText) throws(WireError) -> any Sendable {
        { [parse] (text: inout OptionText) throws(WireError) in try parse(&text) }
    }
}

/// The text of one option's value, while a grammar reads it.
struct OptionText {
    let bytes: UnsafeRawBufferPointer
    let option: VerbOption
    let limits: Limits
    /// The number of ids in the request's options so far. A grammar of ids adds to it.
    var idCount: Int

    var name: String { option.name }

    /// The parts between commas. An empty text has none: a program writes an empty list that way.
    var listedParts: [UnsafeRawBufferPointer] { bytes.isEmpty ? [] : split(UInt8(ascii: ",")) }

    func split(_ separator: UInt8) -> [UnsafeRawBufferPointer] {
        bytes.split(separator: separator, omittingEmptySubsequences: false)
            .map { UnsafeRawBufferPointer(rebasing: $0) }
    }

    /// The index of the word in `words` that equals the whole value.
    func index(in words: [String]) -> Int? {
        words.firstIndex { bytes.elementsEqual($0.utf8) }
    }

    func refused(expected: String) -> WireError {
        refused(bytes, expected: expected)
    }

    func refused(expected range: ClosedRange<some FixedWidthInteger>) -> WireError {
        refused(expected: "\(range.lowerBound) to \(range.upperBound)")
    }

    func refused(_ part: UnsafeRawBufferPointer, expected: String) -> WireError {
        WireError(.badRequest, "got \(name)=\(quotedNumber(part)), expected \(expected)")
    }
}

// MARK: - Numbers

extension ValueGrammar where Value: FixedWidthInteger {
    /// An integer in this range. A larger one is refused with `LIMIT` if `isLimited`, otherwise with `BADREQUEST`.
    package static func integer(_ range: ClosedRange<Value>, isLimited: Bool = false) -> ValueGrammar {
        ValueGrammar { text throws(WireError) in
            guard let integer = NumberText.unsigned(text.bytes) else { throw text.refused(expected: range) }
            if integer > UInt64(range.upperBound), isLimited {
                let got = "got \(text.name)=\(quotedNumber(text.bytes))"
                throw WireError(.limit, "\(got), expected at most \(range.upperBound)")
            }
            guard let value = Value(exactly: integer), range.contains(value),
                integer < .max || !NumberText.isTooLarge(text.bytes)
            else {
                throw text.refused(expected: range)
            }
            return value
        }
    }
}

extension ValueGrammar<Int> {
    /// An integer from 1 to a configured limit. A larger one is refused with `LIMIT`.
    package static func integer(upTo max: @escaping @Sendable (Limits) -> Int) -> ValueGrammar {
        ValueGrammar { text throws(WireError) in
            try integer(1...max(text.limits), isLimited: true).parse(&text)
        }
    }
}

extension ValueGrammar<Double> {
    /// A finite number for which `isAllowed` returns true. `expected` describes it in the error.
    package static func number(
        expected: String,
        isAllowed: @escaping @Sendable (Double) -> Bool = { _ in true }
    ) -> ValueGrammar {
        let grammar = ValueGrammar(placeholder: "x") { text throws(WireError) in
            guard let number = NumberText.double(text.bytes), number.isFinite, isAllowed(number) else {
                throw text.refused(expected: expected)
            }
            return number
        }
        return grammar.written { NumberText.text($0) }
    }
}

/// The two weights of `mix=B:B'`.
package struct Weights: Sendable, Equatable {
    package let inBatch: Double
    package let uniform: Double
}

extension ValueGrammar<Weights> {
    /// `B:B'`: two finite numbers, neither below 0, not both 0.
    package static var weights: ValueGrammar {
        ValueGrammar(placeholder: "B:B'") { text throws(WireError) in
            let numbers = text.split(UInt8(ascii: ":")).map { NumberText.double($0) ?? .nan }
            guard numbers.count == 2, numbers.allSatisfy({ $0.isFinite && $0 >= 0 }),
                numbers.contains(where: { $0 > 0 })
            else {
                let form = text.option.placeholder
                throw text.refused(expected: "two numbers as \(form), neither below 0, not both 0")
            }
            return Weights(inBatch: numbers[0], uniform: numbers[1])
        }
    }
}

// MARK: - Words

extension ValueGrammar where Value: RawRepresentable<String> {
    /// The raw value of one of `values`.
    package static func oneOf(_ values: [Value]) -> ValueGrammar {
        let words = values.map(\.rawValue)
        let grammar = ValueGrammar(placeholder: words.joined(separator: "|")) { text throws(WireError) in
            guard let index = text.index(in: words) else {
                throw text.refused(expected: words.joined(separator: " or "))
            }
            return values[index]
        }
        return grammar.written { $0.rawValue }
    }
}

extension ValueGrammar where Value: RawRepresentable<String> & CaseIterable {
    /// The raw value of one of the type's cases.
    package static var word: ValueGrammar { oneOf(Array(Value.allCases)) }
}

extension ValueGrammar<String> {
    /// The name of a collection.
    package static var collection: ValueGrammar {
        ValueGrammar(placeholder: "c") { text throws(WireError) in try collectionName(text.bytes) }
    }
}

extension ValueGrammar<Bool> {
    /// `true` or `false`.
    package static var flag: ValueGrammar {
        ValueGrammar(placeholder: "true|false") { text throws(WireError) in
            if text.bytes.elementsEqual("true".utf8) { return true }
            if text.bytes.elementsEqual("false".utf8) { return false }
            throw text.refused(expected: "true or false")
        }
    }
}

extension ValueGrammar {
    /// Raw values of `elements`, separated by commas, none twice, or nothing. The result has the order of `elements`.
    package static func someOf<Element>(_ elements: [Element]) -> ValueGrammar
    where Value == [Element], Element: RawRepresentable<String> & Equatable & Sendable {
        let words = elements.map(\.rawValue).joined(separator: ",")
        return ValueGrammar(placeholder: words) { text throws(WireError) in
            var chosen: [Element] = []
            for part in text.listedParts {
                guard let element = elements.first(where: { part.elementsEqual($0.rawValue.utf8) }) else {
                    throw text.refused(part, expected: "some of " + words)
                }
                guard !chosen.contains(element) else {
                    let got = "got \(element.rawValue) twice in \(text.name)="
                    throw WireError(.badRequest, "\(got), expected it once")
                }
                chosen.append(element)
            }
            return elements.filter(chosen.contains)
        }
    }
}
