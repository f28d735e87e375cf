import PackedStrings
import WireProtocol

/// A request as a value: the line to send, and how to decode the reply. `Reply` is the type of the decoded reply.
///
/// Most callers use the methods of ``LogQClient``. With request values, a caller can send several requests in one
/// write:
///
/// ```swift
/// let (logQ, embeddings) = try await client.pipeline(
///     .observe("items", step: step, ids: batch, returning: .p),
///     .get("items", batch)
/// )
/// ```
///
/// A request holds two closures; it is encoded when it is sent.
public struct LogQRequest<Reply: Sendable>: Sendable {
    let line: RequestLine
    let decode: @Sendable (ReplyRows) throws(ReplyFormatError) -> Reply

    init(_ line: RequestLine, decode: @escaping @Sendable (ReplyRows) throws(ReplyFormatError) -> Reply) {
        self.line = line
        self.decode = decode
    }

    /// The decoded reply. Throws the error of this request.
    func reply(from result: Result<DecodedReply, LogQError>) throws(LogQError) -> Reply {
        switch try result.get() {
        case .failure(let word, let message):
            throw LogQError(LogQError.Code(word: word), message, request: line.name)
        case .rows(let rows):
            do throws(ReplyFormatError) {
                return try decode(rows)
            } catch {
                // The header said OK, so a write was applied, even if the rows are malformed.
                throw LogQError(
                    .badReply,
                    "the reply does not follow the protocol: \(error.message)",
                    request: line.name,
                    mayHaveBeenApplied: line.isWrite
                )
            }
        }
    }
}

extension LogQRequest where Reply == Void {
    /// A request whose reply is only `OK`.
    init(_ line: RequestLine) {
        self.init(line) { (rows) throws(ReplyFormatError) in try rows.expect(count: 0) }
    }
}

/// The part of a request that does not depend on the type of its reply.
struct RequestLine: Sendable {
    private let verb: StaticString
    private let collection: String?
    /// Whether the request can change anything in the daemon.
    let isWrite: Bool
    private let encode: @Sendable (inout RequestWriter) throws(WireError) -> Void

    /// A line with the verb, the collection if there is one, and the words that `encode` writes.
    init(
        _ verb: StaticString,
        _ collection: String? = nil,
        isWrite: Bool = false,
        encode: @escaping @Sendable (inout RequestWriter) throws(WireError) -> Void = { _ in }
    ) {
        self.verb = verb
        self.collection = collection
        self.isWrite = isWrite
        self.encode = encode
    }

    /// The name of the request in errors: "PUT items".
    var name: String {
        collection.map { "\(verb) \($0)" } ?? "\(verb)"
    }

    /// Appends the line. If it throws, the buffer may have a part of the line.
    func write(to writer: inout RequestWriter) throws(LogQError) {
        do throws(WireError) {
            writer.begin(verb)
            if let collection { try writer.name(collection, of: "collection") }
            try encode(&writer)
            writer.end()
        } catch {
            throw LogQError(LogQError.Code(word: error.code.rawValue), error.message, request: name)
        }
    }
}

/// The client refuses only values that would break the framing of a line or have no form on the wire. The daemon checks
/// everything else.
extension RequestWriter {
    /// A name of letters, digits, `_` and `-`. `thing` says in the error what it names.
    mutating func name(_ name: String, of thing: StaticString) throws(WireError) {
        try RequestWriter.check(name, of: thing)
        word(name)
    }

    static func check(_ name: String, of thing: StaticString) throws(WireError) {
        let isName = name.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F: true
            default: false
            }
        }
        guard isName, (1...Limits.nameBytesMax).contains(name.utf8.count) else {
            throw WireError(
                .badRequest,
                "got the \(thing) name '\(name)', expected 1 to \(Limits.nameBytesMax) of A-Z a-z 0-9 _ -"
            )
        }
    }

    mutating func id(_ id: ItemID) throws(WireError) {
        try RequestWriter.check(id)
        id.bytes.withUnsafeBytes { self.id($0) }
    }

    /// An empty id would write no word, and the next word would take its place.
    private static func check(_ id: ItemID) throws(WireError) {
        guard (1...Limits.idBytesMax).contains(id.bytes.count) else {
            throw WireError(.badID, "got an id of \(id.bytes.count) bytes, expected 1 to \(Limits.idBytesMax)")
        }
    }

    mutating func ids(_ ids: [ItemID]) throws(WireError) {
        for id in ids { try self.id(id) }
    }

    mutating func option(_ name: StaticString, ids: [ItemID]) throws(WireError) {
        for id in ids { try RequestWriter.check(id) }
        option(name, ids: PackedStrings(ids.lazy.map(\.bytes)))
    }

    mutating func option(_ name: StaticString, _ row: PopularID) throws(WireError) {
        try RequestWriter.check(row.id)
        guard row.count.isFinite else {
            throw WireError(.badRequest, "got count \(row.count), expected a finite number")
        }
        row.id.bytes.withUnsafeBytes { option(name, id: $0, count: row.count, step: row.step) }
    }

    /// Throws if `value` is not finite, because such a number has no form on the wire.
    mutating func option(_ name: StaticString, finite value: Double) throws(WireError) {
        guard value.isFinite else { throw WireError(.badRequest, "got \(name)=\(value), expected a finite number") }
        option(name, value)
    }

    mutating func step(_ step: Int64?) {
        if let step { integer(step) } else { dash() }
    }

    mutating func number(orDash value: Double?) {
        if let value { number(value) } else { dash() }
    }

    /// Writes a JSON object. In valid JSON, line ends are only white space between tokens, so they become spaces.
    mutating func json(_ json: String) {
        if json.utf8.contains(where: { $0 == 0x0A || $0 == 0x0D }) {
            let bytes = json.utf8.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 }
            word(String(decoding: bytes, as: UTF8.self))
        } else {
            word(json)
        }
    }
}
