import PackedStrings
import WireProtocol

/// `COMMAND` describes the verbs in the way of Redis, for the hints of `redis-cli` and for clients that route requests.
enum CommandVerb {
    static let words = VerbArgument.words(usage: "[COUNT|DOCS [verb...]|INFO [verb...]|LIST]")

    static let verb = Verb(
        VerbSyntax("COMMAND", [words]),
        "describe the verbs as Redis does; HELP says more",
        example: "COMMAND DOCS TOPK",
        access: .read,
        .session(command)
    )

    private static func command(
        _ session: inout Session,
        _ request: Request,
        _ services: Services
    ) throws(WireError) -> RowBlock {
        let words = request[words].texts
        let all = session.dialect.verbs
        let named = words.dropFirst().map { name in all.first { $0.syntax.name == name.uppercased() } }
        let chosen = words.count > 1 ? named : all
        let value: ReplyValue
        switch words.first?.uppercased() {
        case nil: value = .list(all.map(description))
        case "COUNT" where words.count == 1: value = .integer(Int64(all.count))
        case "LIST" where words.count == 1: value = .list(all.map { .text($0.syntax.name.lowercased()) })
        case "INFO": value = .list(chosen.map { $0.map(description) ?? .null })
        case "DOCS": value = .map(chosen.compactMap { $0 }.map { ($0.syntax.name.lowercased(), documentation($0)) })
        default:
            let got = quoted(words.joined(separator: " "))
            throw WireError(.badRequest, "got \(got) after COMMAND, expected \(verb.syntax.usage)")
        }
        return RowBlock(value: value)
    }

    /// Name, arity, flags, and the places of keys. The arity counts the verb, and is negative if there may be more
    /// words. No word is a key, because a client with many servers would route by it.
    private static func description(_ verb: Verb) -> ReplyValue {
        let syntax = verb.syntax
        let arguments = syntax.arguments + syntax.tail
        let isVariable = !syntax.options.isEmpty || arguments.contains { $0.isOptional || $0.mayRepeat }
        let arity = 1 + arguments.count { !$0.isOptional }
        let flag: ReplyValue = verb.access == .read ? .status("readonly") : .status("write")
        return .list([
            .text(syntax.name.lowercased()), .integer(Int64(isVariable ? -arity : arity)), .list([flag]),
            .integer(0), .integer(0), .integer(0),
        ])
    }

    private static func documentation(_ verb: Verb) -> ReplyValue {
        .map([
            ("summary", .text("\(verb.summary): \(verb.syntax.usage)")), ("since", .text("1.0.0")),
            ("group", .text("logqd")),
        ])
    }
}

extension PackedStrings {
    /// The strings as text. Bytes that are not UTF-8 are replaced.
    var texts: [String] {
        (0..<count).map { String(decoding: self[$0], as: UTF8.self) }
    }
}
