/// The bounds of the protocol; those of JSON are in `JSONLimits`. A limit that an operator can change is a variable
/// with its default. A limit that follows from the storage format or the grammar is a constant.
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
    /// The longest collection name, and the longest producer name of `seq=`.
    package static let nameBytesMax = 64
    /// The longest name of a run.
    package static let runNameBytesMax = 62
    /// The most keys of `fields=`: more than any object has.
    package static let keysMax = 1_024
    /// The most draws of one `SAMPLE`, whatever `idsMax` is. The ids of this many draws fit into the 2 GiB of a
    /// `PackedStrings`. Their features are bounded by the longest reply.
    package static let drawsMax = 1 << 19
    package static let scanRowsDefault = 1_000
    package static let scanRowsMax = 16_384
    /// How long a query without `timeout_ms=` may take, unless the server is configured otherwise.
    package static let timeoutMillisecondsDefault = 1_000
    package static let timeoutMillisecondsMax = 60_000
    /// The only protocol version so far.
    package static let protocolVersion = 1
    /// L-O-G-Q on a keypad.
    package static let portDefault = 5_647
    /// 2^53, the largest integer that float64 can count to in steps of 1.
    package static let countMax: Double = 9_007_199_254_740_992
}
