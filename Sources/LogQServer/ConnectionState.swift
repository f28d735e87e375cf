import DequeModule
import WireProtocol

/// What a connection may do next: a pure state machine. It knows no socket and no store; events go in through methods,
/// and what has to be done comes back as a value.
///
/// Requests start in the order in which they came and may finish in any order; answers leave in the order of the
/// requests. Each request under way has a *place*; an answer waits at its place until all before it have left.
///
/// Three rules say when a request may start:
/// - A read waits for the connection's own earlier writes: it has to see them.
/// - A write waits for its earlier searches, which run elsewhere and must not see it.
/// - There are bounds: on requests under way, on the bytes they hold, and on the bytes of answers that wait. Past one,
///   nothing starts and nothing more is read from the socket.
struct ConnectionState<Answer>: ~Copyable {
    /// What a request has to wait for.
    enum Kind {
        /// Nothing: it neither reads nor writes items.
        case session
        /// Reads items, and is answered before anything else starts.
        case read
        /// Reads items in the query pool.
        case search
        /// Goes to the store's writer.
        case write
    }

    struct Bounds {
        var requestsUnderWayMax = 16_384
        var searchesUnderWayMax = 256
        /// Bytes of requests and (expected) answers that are held for requests under way.
        var heldBytesMax = 32 << 20
    }

    /// A request's place in the order of answers.
    struct Place: Equatable {
        fileprivate let number: UInt64
    }

    /// Why the connection is coming to its end.
    enum Ending: Equatable {
        /// Answer what is under way, then close.
        case close
        /// Answer what is under way, then shut the sending side and discard what still comes: closing at once would
        /// make the system throw the last answer away.
        case shutAndDiscard
    }

    private struct Entry {
        let kind: Kind
        var heldByteCount: Int
        var answer: Answer?
    }

    private let bounds: Bounds
    private var entries = Deque<Entry>()
    /// The number of the first entry's place.
    private var firstNumber: UInt64 = 0
    private var writesUnderWay = 0
    private var searchesUnderWay = 0
    private var heldByteCount = 0
    private var isWritable = true
    private(set) var ending: Ending?
    private var isClosed = false

    init(bounds: Bounds = Bounds()) {
        self.bounds = bounds
    }

    // MARK: Requests

    /// Whether a further request may be looked at. While not, nothing should be read from the socket either.
    var mayTakeRequest: Bool {
        ending == nil && !isClosed && isWritable && entries.count < bounds.requestsUnderWayMax
            && (heldByteCount < bounds.heldBytesMax)
    }

    /// Whether a request of this kind may start now. If not, ask again after `finish`.
    func mayStart(_ kind: Kind) -> Bool {
        switch kind {
        case .session: true
        case .read: writesUnderWay == 0
        case .search: writesUnderWay == 0 && searchesUnderWay < bounds.searchesUnderWayMax
        case .write: searchesUnderWay == 0
        }
    }

    /// Gives a request its place. `heldByteCount`: about how much memory it holds until its answer has left.
    mutating func start(_ kind: Kind, heldByteCount: Int) -> Place {
        assert(mayStart(kind) && !isClosed)
        switch kind {
        case .write: writesUnderWay += 1
        case .search: searchesUnderWay += 1
        case .session, .read: break
        }
        self.heldByteCount += heldByteCount
        entries.append(Entry(kind: kind, heldByteCount: heldByteCount))
        return Place(number: firstNumber + UInt64(entries.count - 1))
    }

    /// Whether an answer to the request that starts next would leave at once.
    var isIdle: Bool { entries.isEmpty }

    /// The request at `place` has its answer. `heldByteCount`: how much memory that takes, if it was not foreseen.
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
        case .search: searchesUnderWay -= 1
        case .session, .read: break
        }
    }

    /// The next answer that may leave; nil if the next one is not known yet.
    mutating func nextAnswer() -> Answer? {
        guard let first = entries.first, let answer = first.answer else { return nil }
        entries.removeFirst()
        firstNumber += 1
        heldByteCount -= first.heldByteCount
        return answer
    }

    // MARK: The connection

    /// The client reads its answers too slowly, or reads again.
    mutating func writabilityChanged(to isWritable: Bool) {
        self.isWritable = isWritable
    }

    /// No further request is taken. The first reason stays, unless a later one is sterner.
    mutating func end(_ ending: Ending) {
        if self.ending == nil || ending == .shutAndDiscard { self.ending = ending }
    }

    /// What has to be done now that all answers that could leave have left; nil: go on.
    mutating func takeClosing() -> Ending? {
        guard !isClosed, entries.isEmpty, let ending else { return nil }
        isClosed = true
        return ending
    }

    /// The socket is gone. Answers that still come are dropped.
    mutating func closed() {
        isClosed = true
        entries.removeAll()
    }
}
