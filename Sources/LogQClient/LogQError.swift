/// The reason why a request failed: the daemon refused it, or the connection failed.
///
/// An error names its request (`PUT items`). It has a ``code-swift.property`` for programs and a ``message`` for
/// people. ``mayHaveBeenApplied`` says whether the daemon may have applied the request, which a caller must know before
/// it retries.
public struct LogQError: Error, Sendable, Equatable {
    /// The kind of failure, for programs.
    public let code: Code

    /// A description of the failure, for people, without a line end: "got 3 numbers, expected 64".
    public let message: String

    /// The verb and collection of the request that failed: "PUT items". Empty if no request was involved.
    public let request: String

    /// Whether the daemon may have applied the request although the client has no valid reply.
    ///
    /// It is false if the daemon refused the request, if the request only reads, or if it was never sent. It is true
    /// for a write that was sent: it may be on disk or not. `PUT`, `DEL`, `FSET`, and `FREQSET` with a step can simply
    /// be sent again. `OBSERVE` can too if it has a ``ProducerSequence``, because the daemon skips a number that it has
    /// seen.
    public let mayHaveBeenApplied: Bool

    package init(_ code: Code, _ message: String, request: String = "", mayHaveBeenApplied: Bool = false) {
        self.code = code
        self.message = message
        self.request = request
        self.mayHaveBeenApplied = mayHaveBeenApplied
    }

    /// The kind of failure.
    ///
    /// The codes in the first group are the daemon's words (`ERR NOCOLLECTION …`). A word that this version of the
    /// client does not know becomes ``other(_:)``. The codes in the second group are the client's own.
    public enum Code: Sendable, Hashable {
        /// The request breaks a rule of the protocol: a wrong number of words, an option or a value.
        case badRequest
        /// No such verb.
        case unknownVerb
        /// No such collection.
        case noCollection
        /// `TOPK … like=id` names an item without an embedding.
        case noItem
        /// `CREATE` with a name that is in use.
        case exists
        /// The vector's length is not the collection's dimension.
        case dimension
        /// A malformed vector, a number that is not finite, or a zero vector with the metric cosine.
        case badVector
        /// An id that is empty, too long or badly encoded.
        case badID
        /// The step of a trainer is much too late, or far ahead of the collection's clock.
        case step
        /// The request exceeds a limit of the daemon. The message names the limit.
        case limit
        /// A queue of the daemon is full. Nothing was applied. Try again shortly.
        case busy
        /// A `TOPK`, `SAMPLE` or `POPULAR` exceeded its timeout, and returned nothing. Try again later, or with a
        /// longer timeout.
        case timeout
        /// The daemon's disk is full, or its memory limit does not allow new ids. Nothing was applied.
        case full
        /// The daemon takes no writes.
        case readOnly
        /// A stored record failed its checksum. Reserved: no daemon sends this code yet.
        case corrupt
        /// Authentication is needed. Reserved: no daemon sends this code yet.
        case noAuth
        /// The request is not allowed. Reserved: no daemon sends this code yet.
        case denied
        /// The daemon is shutting down.
        case draining
        /// A storage error that the daemon did not expect.
        case internalError
        /// A code that this client does not know, as the daemon sent it.
        case other(String)

        /// No connection was made, or the daemon did not answer the first `HELLO`.
        case connectFailed
        /// The connection ended before the reply came.
        case connectionLost
        /// The client was closed before the request was sent.
        case closed
        /// The task that waited for the reply was cancelled.
        case cancelled
        /// The daemon's reply does not follow the protocol, or is longer than the client accepts.
        case badReply

        private static let words: [(Code, String)] = [
            (.badRequest, "BADREQUEST"), (.unknownVerb, "UNKNOWN"), (.noCollection, "NOCOLLECTION"),
            (.noItem, "NOITEM"), (.exists, "EXISTS"), (.dimension, "DIM"), (.badVector, "BADVECTOR"),
            (.badID, "BADID"), (.step, "STEP"), (.limit, "LIMIT"), (.busy, "BUSY"), (.timeout, "TIMEOUT"),
            (.full, "FULL"),
            (.readOnly, "READONLY"), (.corrupt, "CORRUPT"), (.noAuth, "NOAUTH"), (.denied, "DENIED"),
            (.draining, "DRAINING"), (.internalError, "INTERNAL"),
        ]

        /// The code for the word after `ERR`.
        package init(word: String) {
            self = Code.words.first { $0.1 == word }?.0 ?? .other(word)
        }

        /// The code as text: the daemon's word (`NOCOLLECTION`), or lower case for the client's own codes
        /// (`connection-lost`).
        public var text: String {
            switch self {
            case .other(let word): word
            case .connectFailed: "connect-failed"
            case .connectionLost: "connection-lost"
            case .closed: "closed"
            case .cancelled: "cancelled"
            case .badReply: "bad-reply"
            default: Code.words.first { $0.0 == self }?.1 ?? "INTERNAL"
            }
        }

        /// Whether the daemon sent this code, in an `ERR` reply.
        public var isFromServer: Bool {
            switch self {
            case .connectFailed, .connectionLost, .closed, .cancelled, .badReply: false
            default: true
            }
        }
    }
}

/// The error in one line: "PUT items: DIM: got 3 numbers, expected 64".
extension LogQError: CustomStringConvertible {
    public var description: String {
        let head = request.isEmpty ? "" : "\(request): "
        let tail = mayHaveBeenApplied ? " (the request may have been applied)" : ""
        return code.isFromServer ? "\(head)\(code.text): \(message)\(tail)" : "\(head)\(message)\(tail)"
    }
}
