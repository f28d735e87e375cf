import ItemStore
import WireProtocol

/// A query for the pool: the question, its bounds, and the recipient of the answer. A verb creates it, and the
/// connection adds the deadline and the recipient.
struct PooledQuery<Question: Sendable, Answer: Sendable>: Sendable {
    let collection: Collection
    let question: Question
    /// How long the query may take, counted from the arrival of its request.
    var timeoutMilliseconds = 0
    /// The most bytes that the answer takes, as values or as text.
    var answerByteCount = 0
    /// The number of vectors that the answer has at least, unless items are deleted meanwhile. 0 if that is not known.
    var vectorCountMin = 0
    var rows: @Sendable (Answer) throws(WireError) -> RowBlock = { _ in .empty }

    /// When the query gives up; nil for never.
    var deadline: ContinuousClock.Instant?
    /// Whether the outcome is still wanted. It may be called under the queue's lock, so it must be quick.
    var isWanted: @Sendable () -> Bool = { true }
    /// Takes the outcome. Called at most once, on a thread of the pool, and not if the outcome is no longer wanted.
    var complete: @Sendable (Result<Answer, StoreError>) -> Void = { _ in }

    fileprivate mutating func send(to recipient: QueryRecipient) {
        deadline = recipient.arrival + .milliseconds(timeoutMilliseconds)
        isWanted = recipient.isWanted
        complete = { [rows, timeoutMilliseconds] outcome in
            let answer = outcome.mapError { WireError($0, within: timeoutMilliseconds) }
            recipient.deliver(answer.flatMap { answer in Result { () throws(WireError) in try rows(answer) } })
        }
    }
}

/// A `TOPK`. The engine stops it at its deadline.
typealias Search = PooledQuery<TopKQuery, TopKAnswer>

/// A `SAMPLE`. It does not start after its deadline. Once started, it takes about a millisecond.
typealias Sampling = PooledQuery<SampleQuery, SampleAnswer>

/// A `POPULAR`. The engine stops it at its deadline.
typealias Listing = PooledQuery<PopularQuery, PopularAnswer>

/// The recipient of a query's outcome.
struct QueryRecipient: Sendable {
    /// When the request arrived.
    let arrival: ContinuousClock.Instant
    let isWanted: @Sendable () -> Bool
    /// Called at most once, on a thread of the pool.
    let deliver: @Sendable (Result<RowBlock, WireError>) -> Void
}

/// A query that waits for the pool.
enum QueuedQuery: Sendable {
    case search(Search)
    case sampling(Sampling)
    case listing(Listing)

    var answerByteCount: Int {
        switch self {
        case .search(let search): search.answerByteCount
        case .sampling(let sampling): sampling.answerByteCount
        case .listing(let listing): listing.answerByteCount
        }
    }

    var vectorCountMin: Int {
        switch self {
        case .search(let search): search.vectorCountMin
        case .sampling(let sampling): sampling.vectorCountMin
        case .listing(let listing): listing.vectorCountMin
        }
    }

    var collection: Collection {
        switch self {
        case .search(let search): search.collection
        case .sampling(let sampling): sampling.collection
        case .listing(let listing): listing.collection
        }
    }

    var isWanted: Bool {
        switch self {
        case .search(let search): search.isWanted()
        case .sampling(let sampling): sampling.isWanted()
        case .listing(let listing): listing.isWanted()
        }
    }

    var deadline: ContinuousClock.Instant? {
        switch self {
        case .search(let search): search.deadline
        case .sampling(let sampling): sampling.deadline
        case .listing(let listing): listing.deadline
        }
    }

    /// The same query, which sends its outcome to `recipient`.
    func sent(to recipient: QueryRecipient) -> QueuedQuery {
        switch self {
        case .search(var search):
            search.send(to: recipient)
            return .search(search)
        case .sampling(var sampling):
            sampling.send(to: recipient)
            return .sampling(sampling)
        case .listing(var listing):
            listing.send(to: recipient)
            return .listing(listing)
        }
    }

    func fail(_ error: StoreError) {
        switch self {
        case .search(let search): search.complete(.failure(error))
        case .sampling(let sampling): sampling.complete(.failure(error))
        case .listing(let listing): listing.complete(.failure(error))
        }
    }
}

extension Search {
    /// The most bytes that the engine holds while the search runs.
    var selectionByteCount: Int { question.selectionByteCount(in: collection) }
}
