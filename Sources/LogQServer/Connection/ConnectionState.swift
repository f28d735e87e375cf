import DequeModule

/// A pure state machine that decides what a connection may do next. It knows no socket and no store. Its methods take
/// events, and their results say what to do.
///
/// Requests start in the order of their arrival and may finish in any order. Replies are sent in the order of the
/// requests. Each request under way has a *place*, where its reply waits until all earlier replies are sent.
///
/// Three rules determine when a request may start:
/// - A read or a query waits for the connection's own earlier writes, because it must see them.
/// - A write waits for the connection's own earlier queries, because they run on other threads and must not see it.
/// - There are bounds on the requests under way, on the queries among them, and on the bytes that they and their
///   replies hold. At a bound no request starts, and the socket is not read.
struct ConnectionState<Answer>: ~Copyable {
    /// The kinds of requests, by the earlier requests that they wait for.
    enum Kind {
        /// Waits for nothing, because it neither reads nor writes items.
        case session
        /// Reads items, and is answered before the next request starts.
        case read
        /// Reads items in the query pool.
        case query
        /// Goes to the store's thread.
        case write
    }

    struct Bounds {
        var requestsUnderWayMax = 16_384
        var queriesUnderWayMax = 256
        /// Bytes of requests under way and of their replies. The size of a reply is an estimate until it is known.
        var heldBytesMax = 32 << 20
    }

    /// A request's place in the order of replies.
    struct Place: Equatable {
        fileprivate let number: UInt64
    }

    /// How the connection ends.
    enum Ending: Equatable {
        /// Answer the requests under way, then close.
        case close
        /// Answer the requests under way, then shut down the sending side and discard received bytes. If the connection
        /// were closed with unread bytes, the system could drop the last reply.
        case shutAndDiscard
    }

    private struct Entry {
        let kind: Kind
        var heldByteCount: Int
        var answer: Answer?
    }

    private let bounds: Bounds
    private var entries = Deque<Entry>()
    /// The number of the place of the first entry.
    private var firstNumber: UInt64 = 0
    private var writesUnderWay = 0
    private var queriesUnderWay = 0
    private(set) var heldByteCount = 0
    private var isWritable = true
    private(set) var ending: Ending?
    private var isClosed = false
    /// The state of received bytes and of reading.
    var input = ConnectionInput()

    init(bounds: Bounds = Bounds()) {
        self.bounds = bounds
    }

    // MARK: Requests

    /// Whether another request may be parsed. If not, the socket should not be read either.
    var mayTakeRequest: Bool {
        ending == nil && !isClosed && isWritable && entries.count < bounds.requestsUnderWayMax
            && (heldByteCount < bounds.heldBytesMax)
    }

    /// Whether a request of this kind may start now. If not, ask again after `finish`.
    func mayStart(_ kind: Kind) -> Bool {
        switch kind {
        case .session: true
        case .read: writesUnderWay == 0
        case .query: writesUnderWay == 0 && queriesUnderWay < bounds.queriesUnderWayMax
        case .write: queriesUnderWay == 0
        }
    }

    /// Gives a request its place. `heldByteCount` is roughly the number of bytes that it holds until its reply is sent.
    mutating func start(_ kind: Kind, heldByteCount: Int) -> Place {
        assert(mayStart(kind) && !isClosed)
        switch kind {
        case .write: writesUnderWay += 1
        case .query: queriesUnderWay += 1
        case .session, .read: break
        }
        self.heldByteCount += heldByteCount
        entries.append(Entry(kind: kind, heldByteCount: heldByteCount))
        return Place(number: firstNumber + UInt64(entries.count - 1))
    }

    /// Whether no request is under way, so that the next reply could be sent at once.
    var isIdle: Bool { entries.isEmpty }

    /// Stores the answer of the request at `place`. `heldByteCount` is the number of bytes that it holds; nil leaves
    /// the number that `start` got.
    mutating func finish(_ place: Place, with answer: Answer, heldByteCount: Int? = nil) {
        guard !isClosed else { return }
        let index = Int(place.number - firstNumber)
        assert(entries[index].answer == nil)
        entries[index].answer = answer
        if let heldByteCount {
            self.heldByteCount += heldByteCount - entries[index].heldByteCount
            entries[index].heldByteCount = heldByteCount
        }
        switch entries[index].kind {
        case .write: writesUnderWay -= 1
        case .query: queriesUnderWay -= 1
        case .session, .read: break
        }
    }

    /// Removes the next answer to send. Nil if there is none yet.
    mutating func nextAnswer() -> Answer? {
        guard let first = entries.first, let answer = first.answer else { return nil }
        entries.removeFirst()
        firstNumber += 1
        heldByteCount -= first.heldByteCount
        return answer
    }

    // MARK: The connection

    /// False if the client reads its replies too slowly, true once it has caught up.
    mutating func writabilityChanged(to isWritable: Bool) {
        self.isWritable = isWritable
    }

    /// Whether the socket should be read. `isInputUsedUp` says that the received bytes need no more work.
    func wantsBytes(mayTakeRequest: Bool, isInputUsedUp: Bool) -> Bool {
        input.isDiscarding || (mayTakeRequest && isInputUsedUp)
    }

    /// Takes no more requests. If there are several endings, `shutAndDiscard` wins.
    mutating func end(_ ending: Ending) {
        if self.ending == nil || ending == .shutAndDiscard { self.ending = ending }
    }

    /// Returns, once, how to end the connection after all its replies were sent. Nil if it does not end yet.
    mutating func takeClosing() -> Ending? {
        guard !isClosed, entries.isEmpty, let ending else { return nil }
        isClosed = true
        return ending
    }

    /// The socket is closed. Later answers are dropped.
    mutating func closed() {
        isClosed = true
        entries.removeAll()
    }
}
