import ItemStore
import WireProtocol

/// `FSET` replaces the features of an item.
enum FSet {
    static let verb = Verb(
        VerbSyntax("FSET", [.collection, .id], tail: [.json]),
        "replace the features of an item, one JSON object",
        example: "FSET songs yesterday {\"year\":1965}",
        access: .write,
        .write { .setFeatures(collection: $0[.collection], id: $0[.id], json: $0[.json]) }
    )
}
