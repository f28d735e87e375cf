import ItemStore
import WireProtocol

/// `FSET` sets the features of an item: it replaces them, or with `merge=true` changes some of their keys.
enum FSet {
    static let merge = DefaultedOptionKey<Bool>("merge", .flag, default: false) {
        "true: only change these keys, null removes one (RFC 7396); default \($0)"
    }

    static let verb = Verb(
        VerbSyntax("FSET", [.collection, .id], options: [merge], tail: [.json]),
        "replace the features of an item, one JSON object, or merge it into them",
        example: "FSET songs yesterday merge=true {\"year\":1965}",
        access: .write,
        .write { request in
            let (name, id, json) = (request[.collection], request[.id], request[.json])
            return request[merge]
                ? .mergeFeatures(collection: name, id: id, patch: json)
                : .setFeatures(collection: name, id: id, json: json)
        }
    )
}
