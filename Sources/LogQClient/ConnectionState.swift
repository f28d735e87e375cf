import DequeModule
import NIOCore
import WireProtocol

/// The reason why the outstanding replies will not come.
struct Loss: Error, Equatable {
    let code: LogQError.Code
    let reason: String

    static let closed = Loss(code: .closed, reason: "the client is closed")
}

/// A pure state machine for the protocol of one connection. It takes bytes and events, and returns actions.
///
/// Replies have no number; they come in the order of the requests. So the state is a queue of sent requests, with the
/// replies received for the first entry. An entry is an *exchange*: lines that are sent together, and whose replies are
/// delivered together. So thousands of requests cost one entry and one wake-up.
///
/// The connection is open, or it has ended for a reason (`loss`). The outbox handles an orderly close: it accepts
/// nothing new, and the handler closes the channel once nothing is outstanding.
struct ConnectionState<Exchange>: ~Copyable {
    struct Entry {
        let exchange: Exchange
        let requestCount: Int
        var replies: [DecodedReply]
    }

    enum ReadAction {
        /// All replies of an exchange have arrived.
        case complete(Exchange, [DecodedReply])
        /// The bytes are not a valid reply. Fail the exchanges that `connectionEnded` returns, and close the channel.
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

    /// Adds an exchange whose `requestCount` lines are about to be written. It will be completed or lost exactly once.
    mutating func sent(_ exchange: Exchange, requestCount: Int) {
        precondition(loss == nil, "nothing is sent on a connection that has ended")
        var replies: [DecodedReply] = []
        replies.reserveCapacity(requestCount)
        outstanding.append(Entry(exchange: exchange, requestCount: requestCount, replies: replies))
    }

    /// Adds received bytes. Then call `nextAction` until it needs more bytes.
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

    /// Marks the connection as ended. Returns the outstanding entries, with the replies that did arrive.
    mutating func connectionEnded(_ loss: Loss) -> [Entry] {
        guard self.loss == nil else { return [] }
        self.loss = loss
        var lost: [Entry] = []
        while let entry = outstanding.popFirst() { lost.append(entry) }
        return lost
    }

    /// Describes a reply without a request. A server that refuses a connection sends its reason this way.
    private static func describeUnasked(_ reply: DecodedReply) -> String {
        switch reply {
        case .failure(let code, let message): "the server said \(code): \(message)"
        case .rows(let rows): "got a reply (OK \(rows.count)) that no request asked for"
        }
    }
}
