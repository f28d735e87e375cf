import PackedStrings
import WireProtocol

/// `CLIENT` names a connection. Clients of Redis send it after they have connected.
enum ClientVerb {
    static let words = VerbArgument.words(usage: "SETINFO name value|SETNAME name|GETNAME|ID|LIST")

    static let verb = Verb(
        VerbSyntax("CLIENT", [words]),
        "name this connection, or tell its number",
        example: "CLIENT ID",
        access: .read,
        .session(client)
    )

    private static let nameBytesMax = 255

    private static func client(
        _ session: inout Session,
        _ request: Request,
        _ services: Services
    ) throws(WireError) -> RowBlock {
        let words = request[words].texts
        switch (words.first?.uppercased(), words.count) {
        case ("SETINFO", 3):
            return .empty
        case ("SETNAME", 2):
            session.name = try checkedName(words[1])
            return .empty
        case ("GETNAME", 1):
            return RowBlock(value: session.name.isEmpty ? .null : .text(session.name))
        case ("ID", 1):
            return RowBlock(value: .integer(session.number))
        case ("LIST", 1):
            return RowBlock(value: .text("id=\(session.number) name=\(session.name)\n"))
        default:
            let got = words.isEmpty ? "no word" : quoted(words.joined(separator: " "))
            throw WireError(.badRequest, "got \(got) after CLIENT, expected \(verb.syntax.usage)")
        }
    }

    static func checkedName(_ name: String) throws(WireError) -> String {
        guard name.utf8.count <= nameBytesMax, name.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            let expected = "expected at most \(nameBytesMax) printable ASCII characters without spaces"
            throw WireError(.badRequest, "got name \(quoted(name)), \(expected)")
        }
        return name
    }
}
