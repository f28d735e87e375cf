import PackedStrings
import WireProtocol

/// The verbs that only RESP has, because clients of Redis send them by themselves, and the verbs that have another form
/// there.
///
/// The daemon speaks the framing of Redis, not its commands. So these verbs do what a client needs to connect, and
/// nothing more.
enum RedisVerbs {
    /// They replace the verbs of the same name.
    static let own = [ping, RESPHello.verb]

    static let further = [echo, select, reset, ClientVerb.verb, CommandVerb.verb]

    private static let texts = VerbArgument.words(usage: "[text]")

    private static let ping = Verb(
        VerbSyntax("PING", [texts]),
        "answer PONG, or the text",
        example: "PING",
        access: .read,
        .session { (_, request, _) throws(WireError) in
            let words = request[texts]
            guard words.count <= 1 else {
                throw WireError(.badRequest, "got \(words.count) words after PING, expected PING [text]")
            }
            return RowBlock(value: words.isEmpty ? .status("PONG") : .bytes(Array(words[0])))
        }
    )

    private static let echoed = VerbArgument.words(usage: "text")

    private static let echo = Verb(
        VerbSyntax("ECHO", [echoed]),
        "answer the text",
        example: "ECHO hello",
        access: .read,
        .session { (_, request, _) throws(WireError) in
            let words = request[echoed]
            guard words.count == 1 else {
                throw WireError(.badRequest, "got \(words.count) words after ECHO, expected ECHO text")
            }
            return RowBlock(value: .bytes(Array(words[0])))
        }
    )

    private static let index = VerbArgument.optionalWord("index")

    private static let select = Verb(
        VerbSyntax("SELECT", [index]),
        "accept database 0, the only one",
        example: "SELECT 0",
        access: .read,
        .session { (_, request, _) throws(WireError) in
            guard request[index] == "0" else {
                let got = "got database \(quoted(request[index] ?? ""))"
                throw WireError(.badRequest, "\(got), expected 0: collections have names, not numbers")
            }
            return .empty
        }
    )

    private static let reset = Verb(
        VerbSyntax("RESET"),
        "go back to RESP2 and vectors as text",
        example: "RESET",
        access: .read,
        .setting { session, _, services in
            session.replies = RESPReplyWriter(replyBytesMax: services.limits.replyBytesMax)
            session.name = ""
            return RowBlock(value: .status("RESET"))
        }
    )
}

/// `HELLO` in RESP chooses the version of RESP and the format of vectors.
enum RESPHello {
    static let version = VerbArgument.optionalWord("2|3")
    static let vectors = OptionKey<VectorText.Format>(
        "vectors",
        .word,
        help: "how replies write vectors: text (the default), base64 of float32, or its raw bytes"
    )
    static let attributes = VerbArgument.words(usage: "[SETNAME name]")

    static let verb = Verb(
        VerbSyntax("HELLO", [version], options: [vectors], tail: [attributes]),
        "choose RESP2 or RESP3 and how replies write vectors, learn the limits",
        example: "HELLO 3 vectors=raw",
        access: .read,
        .setting(hello)
    )

    private static func hello(
        _ session: inout Session,
        _ request: Request,
        _ services: Services
    ) throws(WireError) -> RowBlock {
        guard var replies = session.replies as? RESPReplyWriter else { return .empty }
        if let word = request[version] {
            guard let version = Int(word).flatMap(RESPReplyWriter.Version.init) else {
                throw WireError(.badRequest, "got version \(quoted(word)), expected 2 or 3")
            }
            replies.version = version
        }
        if let format = request[vectors] { replies.encoding.vectorFormat = format }
        if let name = try clientName(request[attributes].texts) { session.name = name }
        session.replies = replies
        let limits = Info.limits(services.limits).map { (name: $0.0, value: ReplyValue.text($0.1)) }
        return RowBlock(
            value: .map(
                [
                    ("server", .text("logqd")), ("version", .text(services.configuration.version)),
                    ("proto", .integer(Int64(replies.version.rawValue))), ("id", .integer(session.number)),
                    ("mode", .text("standalone")), ("role", .text("master")), ("modules", .list([])),
                    ("vectors", .text(replies.encoding.vectorFormat.rawValue)),
                ] + limits
            )
        )
    }

    /// The name after `SETNAME`. Nil without it.
    private static func clientName(_ words: [String]) throws(WireError) -> String? {
        guard let word = words.first else { return nil }
        switch word.uppercased() {
        case "SETNAME" where words.count == 2:
            return try ClientVerb.checkedName(words[1])
        case "AUTH":
            throw WireError(.badRequest, "got AUTH, expected none: this daemon has no passwords")
        default:
            throw WireError(.badRequest, "got \(quoted(word)), expected \(verb.syntax.usage)")
        }
    }
}
