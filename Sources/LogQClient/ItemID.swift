/// The name of an item: 1 to 255 bytes of any value.
///
/// The daemon compares bytes and expects no encoding, so an id can also be a binary key. Most ids are text, and a
/// string literal is an id: `try await client.get("docs", "readme")`. Text becomes its UTF-8 bytes. Strings with
/// different Unicode normalization are different ids, even if they look alike.
///
/// The client encodes ids for the wire, so an id may hold spaces, line ends or commas.
public struct ItemID: Sendable, Hashable {
    /// The bytes as the daemon stores them.
    public let bytes: [UInt8]

    /// An id with these bytes. Sending an empty id, or one of more than 255 bytes, throws
    /// ``LogQError/Code-swift.enum/badID``.
    @inlinable
    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// An id with the UTF-8 bytes of `text`.
    @inlinable
    public init(_ text: some StringProtocol) {
        self.bytes = Array(text.utf8)
    }

    /// The id as text, or nil if its bytes are not UTF-8.
    public var text: String? {
        String(validating: bytes, as: UTF8.self)
    }
}

extension ItemID: ExpressibleByStringLiteral {
    @inlinable
    public init(stringLiteral value: String) {
        self.init(value)
    }
}

/// Bytewise order, which the daemon also uses to order equal scores.
extension ItemID: Comparable {
    @inlinable
    public static func < (left: ItemID, right: ItemID) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}

/// The id as text. Bytes that are not UTF-8 appear as U+FFFD.
extension ItemID: CustomStringConvertible {
    public var description: String {
        String(decoding: bytes, as: UTF8.self)
    }
}
