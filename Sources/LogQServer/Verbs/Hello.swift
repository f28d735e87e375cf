import WireProtocol

/// `HELLO` checks the protocol version, and sets the format of vectors in the replies of this connection.
enum Hello {
    static let vectors = DefaultedOptionKey<VectorText.Format>("vectors", .oneOf([.text, .base64]), default: .text) {
        "how replies write vectors: \($0) (the default), or base64 of float32"
    }

    static let verb = Verb(
        VerbSyntax("HELLO", [.version], options: [vectors]),
        "name the protocol version, choose how replies write vectors, learn the limits",
        example: "HELLO 1 vectors=f32",
        access: .read,
        .session(hello)
    )

    private static func hello(_ session: inout Session, _ request: Request, _ services: Services) -> RowBlock {
        let format = request[vectors]
        session.replies.encoding.vectorFormat = format
        return RowBlock(
            namesAndValues: [
                ("server", "logqd"), ("version", services.configuration.version),
                ("protocol", "\(Limits.protocolVersion)"), ("vectors", format.rawValue),
            ] + Info.limits(services.limits)
        )
    }
}
