import WireProtocol

/// `HELP` prints the verbs and their options. The text comes from the declarations of the verbs.
enum Help {
    static let name = VerbArgument.optionalWord("verb")

    static let verb = Verb(
        VerbSyntax("HELP", [name]),
        "list the verbs, or explain one",
        example: "HELP TOPK",
        access: .read,
        .session(help)
    )

    private static func help(
        _ session: inout Session,
        _ request: Request,
        _ services: Services
    ) throws(WireError) -> RowBlock {
        guard let word = request[name] else { return RowBlock(texts: session.dialect.verbs.map(usageAndSummary)) }
        var name = word
        guard let index = name.withUTF8({ session.dialect.parser.verb(named: UnsafeRawBufferPointer($0)) }) else {
            throw WireError(.unknown, "got \(quoted(word)), expected a verb (HELP lists them)")
        }
        let verb = session.dialect.verbs[index]
        let options = verb.syntax.options.map { "\($0.name)=\($0.placeholder) -- \($0.help)" }
        return RowBlock(texts: [usageAndSummary(verb)] + options + ["example: \(verb.example)"])
    }

    private static func usageAndSummary(_ verb: Verb) -> String {
        "\(verb.syntax.usage) -- \(verb.summary)"
    }
}

extension RowBlock {
    /// One row for each text.
    init(texts: [String]) {
        self.init(count: texts.count, [Column(.texts(texts))])
    }

    /// One row `name value` for each pair.
    init(namesAndValues rows: [(String, String)], shape: Shape = .map) {
        self.init(count: rows.count, [Column(.texts(rows.map(\.0))), Column(.texts(rows.map(\.1)))])
        self.shape = shape
    }
}
