import ItemStore
import JSONObject
import NIOCore
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
        let keys = request[fields].map(JSONKeys.init)
        // Selecting keys costs a pass over all bytes of an object, so it gets the smaller slices of long rows.
        let rowBytes = max(keys == nil ? 512 : 4_096, collection.longestFeatures)
        return Lookup(Rows(collection: collection, keys: keys), rowBytes: rowBytes)
    }

    private struct Rows: LookupRows {
        let collection: Collection
        /// Nil for all keys.
        let keys: JSONKeys?

        func write(_ range: Range<Int>, of ids: PackedStrings, _ encoding: RowEncoding, into buffer: inout ByteBuffer) {
            var selected = PackedStrings()
            collection.forEachFeatures(of: ids, range) { id, json in
                guard let keys, let json else { return writeRow(id, json, encoding, into: &buffer) }
                selected.removeAllKeepingCapacity()
                JSONText.select(keys, from: json, into: &selected)
                selected.withAllBytes { writeRow(id, $0, encoding, into: &buffer) }
            }
        }

        private func writeRow(
            _ id: UnsafeRawBufferPointer,
            _ json: UnsafeRawBufferPointer?,
            _ encoding: RowEncoding,
            into buffer: inout ByteBuffer
        ) {
            let bytesMax = IDText.textBytesMax(id.count) + (json?.count ?? 1)
            encoding.writeRow(RowShape(2), textBytesMax: bytesMax, into: &buffer) { row in
                row.id(id)
                row.json(json)
            }
        }
    }
}
