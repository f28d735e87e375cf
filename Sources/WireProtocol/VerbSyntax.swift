/// What a verb looks like on the wire: fixed arguments, then options, then a tail, in this order.
///
/// The parser is driven by it, and so are the usage lines, the arity errors and `HELP`: what a verb takes is said once.
/// A class, because every request points at one.
package final class VerbSyntax: Sendable {
    package let name: String
    package let arguments: [Argument]
    package let options: [OptionSyntax]
    package let tail: Tail

    package init(
        _ name: String,
        _ arguments: [Argument] = [],
        options: [OptionSyntax] = [],
        tail: Tail = .nothing
    ) {
        self.name = name
        self.arguments = arguments
        self.options = options
        self.tail = tail
    }

    /// A word that stands at its place.
    package enum Argument: Sendable {
        case collection
        /// The first and the second of two collections.
        case firstCollection
        case secondCollection
        case id
        /// A step, or `-`.
        case step
        /// The k of `TOPK`.
        case k
        /// The n of `SAMPLE`: from 1 to the limit of ids.
        case count
        /// The protocol version of `HELLO`.
        case version
        /// Any word, and it may be missing.
        case optionalWord(String)

        var usage: String {
            switch self {
            case .collection: "c"
            case .firstCollection: "a"
            case .secondCollection: "b"
            case .id: "id"
            case .step: "step"
            case .k: "k"
            case .count: "n"
            case .version: "\(Limits.protocolVersion)"
            case .optionalWord(let name): "[\(name)]"
            }
        }
    }

    /// What ends the line.
    package enum Tail: Sendable {
        case nothing
        /// One id or more.
        case ids
        case vectorThenIDs
        /// A vector, and perhaps JSON.
        case vectorThenJSON
        /// A vector, or the option `like=` in its place.
        case vectorOrLike
        case json
        /// One triple `id gap count` or more.
        case estimates

        var usage: String? {
            switch self {
            case .nothing: nil
            case .ids: "id..."
            case .vectorThenIDs: "vector id..."
            case .vectorThenJSON: "vector [json]"
            case .vectorOrLike: "vector|like=id"
            case .json: "json"
            case .estimates: "id gap count [id gap count]..."
            }
        }
    }

    /// `PUT c id vector [json]`
    package var usage: String {
        var words = [name] + arguments.map(\.usage)
        words += options.filter { !$0.isPartOfTail }.map(\.usage)
        if let tail = tail.usage { words.append(tail) }
        return words.joined(separator: " ")
    }
}

/// The names of all options. A verb's table says which it takes, and with what values.
package enum OptionName: String, Sendable, CaseIterable {
    case dim, metric, alpha
    case halfLife = "half_life"
    case recent
    case maxIDs = "max_ids"
    case estimator, buckets, hashes
    case vectors
    case after, limit
    case fields
    case seq
    case returns = "return"
    case unit, batch, strength
    case rangeMin = "range_min"
    case rangeMax = "range_max"
    case radius
    case except, with
    case margin, sample, strategy, seed
    case by, power, mix, unique
    case timeoutMilliseconds = "timeout_ms"
    case like
}

/// One option of a verb.
package struct OptionSyntax: Sendable {
    package let name: OptionName
    package let values: Values
    /// What stands behind the `=` in a usage line.
    package let placeholder: String
    /// One line for `HELP verb`.
    package let help: String
    package let isRequired: Bool
    /// Shown in the usage of the tail, not among the options.
    package let isPartOfTail: Bool

    package init(
        _ name: OptionName,
        _ values: Values,
        _ placeholder: String,
        isRequired: Bool = false,
        isPartOfTail: Bool = false,
        help: String
    ) {
        self.name = name
        self.values = values
        self.placeholder = placeholder
        self.help = help
        self.isRequired = isRequired
        self.isPartOfTail = isPartOfTail
    }

    package enum Values: Sendable {
        /// An integer of this range. One above it is `LIMIT` if `isLimited`, else `BADREQUEST`.
        case integer(ClosedRange<UInt64>, isLimited: Bool = false)
        /// A dimension: at least 1, and the limit comes from the configuration.
        case dimension
        /// A finite number for which `isAllowed`.
        case number(expected: String, isAllowed: @Sendable (Double) -> Bool)
        /// One of these words.
        case choice([String])
        /// Some of these words, separated by commas.
        case choices([String])
        case id
        /// Ids separated by commas. They count toward the limit of ids.
        case ids
        /// Keys of features, spelled like ids, separated by commas.
        case keys
        /// `writer:n`
        case writerSequence
        /// `B:B'`: two finite numbers, neither below 0, not both 0.
        case weights
    }

    package var usage: String {
        isRequired || isPartOfTail ? "\(name.rawValue)=\(placeholder)" : "[\(name.rawValue)=\(placeholder)]"
    }
}
