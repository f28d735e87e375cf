import ItemStore
import JSONObject
import PackedStrings
import WireProtocol

/// `FGET` reads the features of ids: all of them, or some top-level keys.
enum FGet {
    static let fields = OptionKey<PackedStrings>("fields", .keys, help: "only these top-level keys")

    static let verb = Verb(
        VerbSyntax("FGET", [.collection], options: [fields], tail: [.ids]),
        "features",
        example: "FGET songs fields=year yesterday help!",
        access: .read,
        .lookup(features)
    )

    private static func features(_ request: Request, _ services: Services) throws(WireError) -> Lookup {
        let collection = try services.collection(named: request[.collection])
        let ids = request[.ids]
        let keys = request[fields].map(JSONKeys.init)
        // Selecting keys costs a pass over all bytes of an object, so it gets the smaller slices of long rows.
        return Lookup(ids, rowBytes: max(keys == nil ? 512 : 4_096, collection.longestFeatures)) {
            var column = collection.features(of: ids, $0)
            if let keys { column.json = select(keys, from: column) }
            return [$1, Column(.json(column.json, isPresent: column.isPresent))]
        }
    }

    private static func select(_ keys: JSONKeys, from column: Collection.FeatureColumn) -> PackedStrings {
        var selected = PackedStrings()
        for index in 0..<column.json.count {
            if column.isPresent[index] {
                column.json.withString(index) { JSONText.select(keys, from: $0, into: &selected) }
            } else {
                selected.finishString()
            }
        }
        return selected
    }
}
