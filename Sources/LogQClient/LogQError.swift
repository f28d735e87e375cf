/// Why a request failed: the daemon refused it, or the connection did not carry it.
///
/// Every error names the request (`PUT items`), has a ``code-swift.property`` for programs and a ``message`` for people, and
/// says whether the daemon may have done the work nevertheless (``mayHaveBeenApplied``): the one question that matters
/// before a retry.
public struct LogQError: Error, Sendable, Equatable {
    /// What went wrong, for programs.
    public let code: Code

    /// What went wrong, for people, without a line end: "got 3 numbers, expected 64".
    public let message: String

    /// The verb and collection of the request that failed: "PUT items". Empty if no request was involved.
    public let request: String

    /// Whether the daemon may have applied the request although no `OK` came.
    ///
    /// Always false for what the daemon refused, for requests that only read and for requests that never left. True for
    /// a write that was sent when the connection was lost: it may be on disk or not. `PUT`, `DEL`, `FSET` and `FREQSET`
    /// can simply be sent again; `OBSERVE` with a ``WriterSequence`` too, since the daemon skips a number it has seen.
    public let mayHaveBeenApplied: Bool

    package init(_ code: Code, _ message: String, request: String = "", mayHaveBeenApplied: Bool = false) {
        self.code = code
        self.message = message
        self.request = request
        self.mayHaveBeenApplied = mayHaveBeenApplied
    }

    /// What went wrong.
    ///
    /// The first group are the daemon's words (`ERR NOCOLLECTION …`); a word this version of the client does not know is
    /// ``other(_:)``. The second group are the client's own.
    public enum Code: Sendable, Hashable {
        /// The line breaks the rules of the protocol: arity, an option, a number.
        case badRequest
        /// No such verb.
        case unknownVerb
        /// No such collection.
        case noCollection
        /// `TOPK … like=id` names an item without an embedding.
        case noItem
        /// `CREATE` of a name that exists.
        case exists
        /// The vector's length is not the collection's dimension.
        case dimension
        /// A vector that is not finite, malformed, or zero under cosine.
        case badVector
        /// An id that is empty, too long or badly encoded.
        case badID
        /// One of the daemon's limits, named in the message.
        case limit
        /// A queue of the daemon is full. Nothing was applied; try again shortly.
        case busy
        /// A search took longer than its timeout. Nothing came of it; try again later, or with a longer one.
        case timeout
        /// The daemon's disk is full. Nothing was applied.
        case full
        /// The daemon takes no writes.
        case readOnly
        /// A stored record failed its checksum.
        case corrupt
        /// Authentication is needed.
        case noAuth
        /// Not allowed.
        case denied
        /// The daemon is shutting down.
        case draining
        /// A fault in the daemon.
        case internalError
        /// A code this client does not know, as the daemon sent it.
        case other(String)

        /// No connection could be made; nothing was sent.
        case connectFailed
        /// The connection ended before the reply came.
        case connectionLost
        /// The client was closed before the request was sent.
        case closed
        /// The task that waited for the reply was cancelled.
        case cancelled
        /// The daemon's answer does not follow the protocol, or is over the client's limit.
        case badReply

        private static let words: [(Code, String)] = [
            (.badRequest, "BADREQUEST"), (.unknownVerb, "UNKNOWN"), (.noCollection, "NOCOLLECTION"),
            (.noItem, "NOITEM"), (.exists, "EXISTS"), (.dimension, "DIM"), (.badVector, "BADVECTOR"),
            (.badID, "BADID"), (.limit, "LIMIT"), (.busy, "BUSY"), (.timeout, "TIMEOUT"), (.full, "FULL"),
            (.readOnly, "READONLY"), (.corrupt, "CORRUPT"), (.noAuth, "NOAUTH"), (.denied, "DENIED"),
            (.draining, "DRAINING"), (.internalError, "INTERNAL"),
        ]

        /// The code for the word that stands after `ERR`.
        package init(word: String) {
            self = Code.words.first { $0.1 == word }?.0 ?? .other(word)
        }

        /// The raw text: the daemon's word (`NOCOLLECTION`), or a lower-case one for the client's own codes
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

/// One line: "PUT items: DIM: got 3 numbers, expected 64".
extension LogQError: CustomStringConvertible {
    public var description: String {
        let head = request.isEmpty ? "" : "\(request): "
        let tail = mayHaveBeenApplied ? " (the request may have been applied)" : ""
        return code.isFromServer ? "\(head)\(code.text): \(message)\(tail)" : "\(head)\(message)\(tail)"
    }
}
