import ItemStore
import VectorIndex
import WireProtocol

/// `SCORE` scores ids against a vector.
enum Score {
    static let verb = Verb(
        VerbSyntax("SCORE", [.collection], tail: [.vector, .ids]),
        "scores of ids",
        example: "SCORE songs [0.1,0.2] yesterday help!",
        access: .read,
        .lookup(score)
    )

    private static func score(_ request: Request, _ services: Services) throws(WireError) -> Lookup {
        let collection = try services.collection(named: request[.collection])
        let query = try QueryVector(request[.vector], for: collection)
        let ids = request[.ids]
        let rowsPerSlice = Lookup.rowsPerSlice((1 << 20) / max(1, query.dimension))
        return Lookup(ids, rowsPerSlice: rowsPerSlice) {
            [$1, Column(.numbers(collection.scores(of: ids, $0, against: query).map { $0 ?? .nan }))]
        }
    }
}

extension QueryVector {
    /// Throws `DIM` or `BADVECTOR` if the collection cannot score the vector.
    init(_ vector: [Float], for collection: Collection) throws(WireError) {
        do throws(StoreError) {
            try collection.configuration.check(vector, as: .query)
        } catch {
            throw WireError(error)
        }
        self.init(vector, metric: collection.configuration.metric)
    }
}
