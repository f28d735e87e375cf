package import PackedStrings

/// A request as read from its line. Which fields are set follows from the verb's syntax.
///
/// It is judged by its form only: names are well-formed, numbers in their ranges, vectors finite, JSON minified. Whether
/// the collection exists and the dimension fits is not known here.
package struct Request: Sendable {
    /// The verb's place in the table that the parser was made with.
    package var verb: Int
    package var collection = ""
    /// The second of two collections.
    package var secondCollection = ""
    /// The id of `Argument.id`, or those of the tail.
    package var ids = PackedStrings()
    /// Nil for `-`.
    package var step: Int64?
    package var k = 0
    package var count = 0
    package var word: String?
    package var vector: [Float]?
    /// Minified.
    package var json: [UInt8]?
    /// One for each id of `Tail.estimates`; NaN for `-`.
    package var gaps: [Double] = []
    package var counts: [Double] = []
    package var options: [(name: OptionName, value: OptionValue)] = []

    package init(verb: Int) {
        self.verb = verb
    }

    package func value(of name: OptionName) -> OptionValue? {
        for option in options where option.name == name { return option.value }
        return nil
    }

    package func integer(_ name: OptionName) -> UInt64? {
        if case .integer(let value) = value(of: name) { value } else { nil }
    }

    package func number(_ name: OptionName) -> Double? {
        if case .number(let value) = value(of: name) { value } else { nil }
    }

    /// The place of the chosen word in the option's list.
    package func choice(_ name: OptionName) -> Int? {
        if case .choice(let value) = value(of: name) { value } else { nil }
    }

    /// A bit for each word of the option's list that was chosen.
    package func choices(_ name: OptionName) -> UInt32 {
        if case .choices(let value) = value(of: name) { value } else { 0 }
    }

    package func strings(_ name: OptionName) -> PackedStrings? {
        if case .strings(let value) = value(of: name) { value } else { nil }
    }

    package func writerSequence(_ name: OptionName) -> (writer: String, number: Int64)? {
        if case .writerSequence(let writer, let number) = value(of: name) { (writer, number) } else { nil }
    }

    package func weights(_ name: OptionName) -> (Double, Double)? {
        if case .weights(let first, let second) = value(of: name) { (first, second) } else { nil }
    }
}

/// The value of an option, by the kind that its syntax names.
package enum OptionValue: Sendable, Equatable {
    case integer(UInt64)
    case number(Double)
    case choice(Int)
    case choices(UInt32)
    /// An id, ids or keys.
    case strings(PackedStrings)
    case writerSequence(writer: String, number: Int64)
    case weights(Double, Double)
}
