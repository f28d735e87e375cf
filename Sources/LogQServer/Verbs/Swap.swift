import ItemStore
import WireProtocol

/// `SWAP` exchanges the names of two collections.
enum Swap {
    static let first = VerbArgument.collection(usage: "a")
    static let second = VerbArgument.otherCollection(usage: "b")
    static let statistics = DefaultedOptionKey<Write.SwappedStatistics>("statistics", .word, default: .move) {
        "with \($0), the default, statistics move with the data; with stay, a has its own as before"
    }

    static let verb = Verb(
        VerbSyntax("SWAP", [first, second], options: [statistics]),
        "two collections exchange their names, for everybody at the same moment",
        example: "SWAP songs songs-next",
        access: .admin,
        .write(swap)
    )

    private static func swap(_ request: Request) throws(WireError) -> Write {
        guard request[first] != request[second] else {
            throw WireError(.badRequest, "got '\(request[first])' twice, expected two collections")
        }
        return .swap(request[first], request[second], request[statistics])
    }
}
