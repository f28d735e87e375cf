import ItemStore
import WireProtocol

/// `PUT` sets the embedding of an item. Without JSON it leaves the features unchanged.
enum Put {
    static let verb = Verb(
        VerbSyntax("PUT", [.collection, .id], tail: [.vector, .optionalJSON]),
        "set the embedding of an item, and with JSON its features",
        example: "PUT songs yesterday [1,0.5] {\"year\":1965}",
        access: .write,
        .write {
            .put(
                collection: $0[.collection],
                id: $0[.id],
                vector: $0[.vector],
                features: $0[.optionalJSON]
            )
        }
    )
}
