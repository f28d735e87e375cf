/// The name of an item: 1 to 255 bytes of any value.
///
/// The daemon compares bytes and asks for no encoding, so an id may as well be a binary key. Most ids are text, and a
/// string literal is one: `try await client.get("docs", "readme")`. Text becomes its UTF-8 bytes; two strings that look
/// alike but are normalised differently are two ids.
///
/// The client encodes ids for the wire, so an id may hold spaces, line ends or commas.
public struct ItemID: Sendable, Hashable {
    /// The bytes as the daemon stores them.
    public let bytes: [UInt8]

    /// An id of these bytes. One that is empty or longer than 255 bytes is refused when it is sent
    /// (``LogQError/Code-swift.enum/badID``).
    @inlinable
    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The UTF-8 bytes of `text`.
    @inlinable
    public init(_ text: some StringProtocol) {
        self.bytes = Array(text.utf8)
    }

    /// The id as text, or nil if its bytes are no UTF-8.
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

/// Bytewise order, as the daemon orders equal scores.
extension ItemID: Comparable {
    @inlinable
    public static func < (left: ItemID, right: ItemID) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}

/// The text; bytes that are no UTF-8 show as U+FFFD.
extension ItemID: CustomStringConvertible {
    public var description: String {
        String(decoding: bytes, as: UTF8.self)
    }
}
