import ItemStore
import WireProtocol

/// `DROP` removes a collection and everything in it.
enum Drop {
    static let verb = Verb(
        VerbSyntax("DROP", [.collection]),
        "remove a collection with all that is in it",
        example: "DROP songs",
        access: .admin,
        .write { .drop(name: $0[.collection]) }
    )
}
