/// An option of a verb, without the type of its value. The parser, the usage line and `HELP` need no more.
///
/// Every instance is an `OptionKey`, a `DefaultedOptionKey` or a `RequiredOptionKey`, which have the type. This
/// superclass lets a verb list options of different types. It is `@unchecked` because it is not final; all its
/// properties are immutable.
@usableFromInline
package class VerbOption: @unchecked Sendable {
    package let name: String
    /// The text after the `=` in a usage line.
    package let placeholder: String
    /// One line for `HELP verb`.
    package let help: String
    package let isRequired: Bool
    /// Whether the usage line shows the option as part of a tail argument, and not among the options.
    package let isPartOfTail: Bool
    let read: @Sendable (inout OptionText) throws(WireError) -> any Sendable

    fileprivate init(
        _ name: String,
        _ placeholder: String,
        isRequired: Bool = false,
        isPartOfTail: Bool = false,
        help: String,
        read: @escaping @Sendable (inout OptionText) throws(WireError) -> any Sendable
    ) {
        self.name = name
        self.placeholder = placeholder
        self.help = help
        self.isRequired = isRequired
        self.isPartOfTail = isPartOfTail
        self.read = read
    }

    package var usage: String {
        isRequired || isPartOfTail ? "\(name)=\(placeholder)" : "[\(name)=\(placeholder)]"
    }
}

/// An option that may be missing, and the key that reads its value from a request: `request[TopK.seed]` is a `UInt64?`.
@usableFromInline
package final class OptionKey<Value: Sendable>: VerbOption, @unchecked Sendable {
    /// Without a `placeholder`, the option has the grammar's.
    package init(
        _ name: String,
        _ grammar: ValueGrammar<Value>,
        _ placeholder: String? = nil,
        isPartOfTail: Bool = false,
        help: String
    ) {
        super.init(name, placeholder ?? grammar.placeholder, isPartOfTail: isPartOfTail, help: help, read: grammar.read)
    }
}

/// An option with a default, and the key that reads its value from a request: `request[Create.alpha]` is a `Double`.
@usableFromInline
package final class DefaultedOptionKey<Value: Sendable>: VerbOption, @unchecked Sendable {
    @usableFromInline let defaultValue: Value

    /// `help` gets the default, spelled as in a request.
    package init(
        _ name: String,
        _ grammar: ValueGrammar<Value>,
        _ placeholder: String? = nil,
        default defaultValue: Value,
        help: (_ default: String) -> String
    ) {
        self.defaultValue = defaultValue
        let help = help(grammar.text(defaultValue))
        super.init(name, placeholder ?? grammar.placeholder, help: help, read: grammar.read)
    }
}

/// An option that every request of its verb must have: `request[Create.dimension]` is an `Int`.
@usableFromInline
package final class RequiredOptionKey<Value: Sendable>: VerbOption, @unchecked Sendable {
    package init(_ name: String, _ grammar: ValueGrammar<Value>, _ placeholder: String? = nil, help: String) {
        super.init(name, placeholder ?? grammar.placeholder, isRequired: true, help: help, read: grammar.read)
    }
}
