import DequeModule
import NIOCore
import WireProtocol

/// Why the replies that are still due will not come.
struct Loss: Error, Equatable {
    let code: LogQError.Code
    let reason: String

    static let closed = Loss(code: .closed, reason: "the client is closed")
}

/// The protocol of one connection without the connection: bytes and events go in, actions come out.
///
/// Replies have no number; they come in the order of the requests. So all there is to remember is the queue of requests
/// that were sent, and how many replies of its head have come. Requests travel in *exchanges* (some lines sent together,
/// replied to together), so that thousands of requests cost one entry and one wake-up.
///
/// There are two phases: open, and closed for a reason. (An orderly close is the outbox's business: it lets nothing new
/// in, and the connection ends when the queue here is empty.)
struct ConnectionState<Exchange>: ~Copyable {
    struct Entry {
        let exchange: Exchange
        let requestCount: Int
        var replies: [DecodedReply]
    }

    enum ReadAction {
        /// All replies of an exchange are there.
        case complete(Exchange, [DecodedReply])
        /// Not a reply: fail what `connectionEnded` returns, and close.
        case fail(Loss)
        case needMoreBytes
    }

    /// Why the connection has ended; nil while it is open.
    private(set) var loss: Loss?
    private var outstanding = Deque<Entry>()
    private var decoder: ReplyDecoder

    init(replyByteCountMax: Int) {
        decoder = ReplyDecoder(replyBytesMax: replyByteCountMax)
    }

    /// `requestCount` lines are being written. The exchange will be completed or lost, exactly once.
    mutating func sent(_ exchange: Exchange, requestCount: Int) {
        precondition(loss == nil, "nothing is sent on a connection that has ended")
        var replies: [DecodedReply] = []
        replies.reserveCapacity(requestCount)
        outstanding.append(Entry(exchange: exchange, requestCount: requestCount, replies: replies))
    }

    /// Bytes came. Ask `nextAction` until it needs more.
    mutating func received(_ bytes: consuming ByteBuffer) {
        decoder.append(bytes)
    }

    mutating func nextAction() -> ReadAction {
        guard loss == nil else { return .needMoreBytes }
        while true {
            do throws(ReplyFormatError) {
                guard let reply = try decoder.next() else { return .needMoreBytes }
                guard !outstanding.isEmpty else {
                    return .fail(Loss(code: .badReply, reason: ConnectionState.describeUnasked(reply)))
                }
                outstanding[0].replies.append(reply)
                guard outstanding[0].replies.count == outstanding[0].requestCount else { continue }
                let entry = outstanding.removeFirst()
                return .complete(entry.exchange, entry.replies)
            } catch {
                return .fail(Loss(code: .badReply, reason: error.message))
            }
        }
    }

    /// The connection is gone. Returns what was outstanding, with the replies that did come.
    mutating func connectionEnded(_ loss: Loss) -> [Entry] {
        guard self.loss == nil else { return [] }
        self.loss = loss
        defer { outstanding.removeAll() }
        return Array(outstanding)
    }

    /// A server that turns a connection away says why before it is asked anything.
    private static func describeUnasked(_ reply: DecodedReply) -> String {
        switch reply {
        case .failure(let code, let message): "the server said \(code): \(message)"
        case .rows(let rows): "got a reply (OK \(rows.count)) that no request asked for"
        }
    }
}
