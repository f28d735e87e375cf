import WireProtocol

/// `PING` shows that the daemon answers.
enum Ping {
    static let verb = Verb(
        VerbSyntax("PING"),
        "answer OK",
        example: "PING",
        access: .read,
        .session { _, _, _ in .empty }
    )
}
