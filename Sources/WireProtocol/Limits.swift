/// Every bound of the protocol in one place. A limit that an operator can change is a variable with its default; a limit
/// that follows from the storage format or the grammar is a constant.
package struct Limits: Sendable, Equatable {
    /// The longest line, without its CR and LF.
    package var lineBytesMax = 1 << 20
    /// The most ids in one request.
    package var idsMax = 16_384
    /// The largest k of `TOPK`.
    package var kMax = 10_000
    /// The longest reply, header and rows together.
    package var replyBytesMax = 64 << 20
    /// The largest dimension of a collection.
    package var dimensionMax = 4_096

    package init() {}

    /// The longest id, decoded.
    package static let idBytesMax = 255
    /// The longest collection name, and the longest writer name of `seq=`.
    package static let nameBytesMax = 64
    /// The longest features of an item, minified: a record has to fit into one page.
    package static let jsonBytesMax = 3_900
    /// The deepest nesting of arrays and objects in features.
    package static let jsonDepthMax = 64
    /// The most keys of `fields=`: more than any object has.
    package static let keysMax = 1_024
    package static let collectionsMax = 1_024
    /// The most draws of `SAMPLE`, whatever `idsMax`: their features together stay below the 2 GiB of a `PackedStrings`.
    package static let drawsMax = 1 << 19
    package static let scanRowsDefault = 1_000
    package static let scanRowsMax = 16_384
    /// How long a `TOPK` may take.
    package static let timeoutMillisecondsDefault = 1_000
    package static let timeoutMillisecondsMax = 60_000
    /// The only protocol version so far.
    package static let protocolVersion = 1
    /// L-O-G-Q on a keypad.
    package static let portDefault = 5_647
    /// The largest integer that float64 counts without a gap.
    package static let countMax: Double = 9_007_199_254_740_992
}
