/// The form of a verb's request: positional arguments, then options, then a tail.
///
/// It drives the parser, the usage lines, the arity errors and `HELP`. A class, so that the parser does not copy its
/// lists for each request.
package final class VerbSyntax: Sendable {
    package let name: String
    package let arguments: [VerbArgument]
    package let options: [VerbOption]
    let requiredOptions: [VerbOption]
    /// The arguments after the options. The last one may take the rest of the request.
    package let tail: [VerbArgument]

    package init(
        _ name: String,
        _ arguments: [VerbArgument] = [],
        options: [VerbOption] = [],
        tail: [VerbArgument] = []
    ) {
        self.name = name
        self.arguments = arguments
        self.options = options
        requiredOptions = options.filter(\.isRequired)
        self.tail = tail
    }

    /// The usage line, for example `PUT c id vector [json]`.
    package var usage: String {
        let optionUsages = options.filter { !$0.isPartOfTail }.map(\.usage)
        return ([name] + arguments.map(\.usage) + optionUsages + tail.map(\.usage)).joined(separator: " ")
    }
}
