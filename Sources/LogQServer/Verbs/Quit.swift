import WireProtocol

/// `QUIT` ends the connection after its own reply, which follows all earlier replies.
enum Quit {
    static let verb = Verb(
        VerbSyntax("QUIT"),
        "answer OK and close the connection",
        example: "QUIT",
        access: .read,
        .session { session, _, _ in
            session.isEnding = true
            return .empty
        }
    )
}
