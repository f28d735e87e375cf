import ItemStore
import PackedStrings
import WireProtocol

/// One verb: what it looks like, what it is for, what it does. `CommandTable` has them all. A class, because every
/// request looks at one.
final class Command: Sendable {
    let syntax: VerbSyntax
    /// One line for `HELP`.
    let summary: String
    /// A request that shows it.
    let example: String
    let action: Action

    init(_ syntax: VerbSyntax, _ summary: String, example: String, _ action: Action) {
        self.syntax = syntax
        self.summary = summary
        self.example = example
        self.action = action
    }

    /// What a verb does. The kind says where it runs and what it has to wait for; see `ConnectionState`.
    enum Action: Sendable {
        /// Answers at once and touches no items; may change the session.
        case session(@Sendable (inout Session, Request, Services) throws(WireError) -> Reply)
        /// Answers and ends the connection.
        case quit
        /// Reads, once.
        case read(@Sendable (Request, Services) throws(WireError) -> Reply)
        /// Reads a page of rows, once.
        case scan(@Sendable (Request, Services) throws(WireError) -> Page)
        /// Reads a row for each id, in slices.
        case lookup(@Sendable (Request, Services) throws(WireError) -> Lookup)
        /// Runs in the query pool.
        case search(@Sendable (Request, Services) throws(WireError) -> Search)
        /// Draws, in the query pool too.
        case sample(@Sendable (Request, Services) throws(WireError) -> Sampling)
        /// Goes to the store's writer, together with its neighbours.
        case change(@Sendable (Request, Services) throws(WireError) -> Change)

        /// A write that is answered `OK 0`.
        static func write(_ handler: @escaping @Sendable (Request) throws(WireError) -> Write) -> Action {
            .change { (request, _) throws(WireError) in Change(try handler(request)) }
        }
    }
}

/// A write, and what of its outcome is told.
struct Change: Sendable {
    typealias Rows = @Sendable (WriteOutcome) -> Lookup?

    let write: Write
    /// About how much memory outcome and rows take until they are sent.
    var answerByteCount = 0
    /// The rows of an outcome that is no failure; nil: `OK 0`.
    var rows: Rows?

    init(_ write: Write) {
        self.write = write
    }
}

/// What belongs to one connection.
struct Session {
    var writer: ReplyWriter
}

/// Rows that were looked for, and how much of a turn's work that was: finding none may be the most of it.
struct Page {
    let rows: RowBlock
    let work: Int
}

/// An answer with a row for each id: thousands of them are written in slices, between which other connections get their
/// turn.
struct Lookup {
    let rowCount: Int
    /// Rows that can be answered in about a millisecond.
    let rowsPerSlice: Int
    let rows: (Range<Int>) -> RowBlock
}

/// A query for the pool.
struct Search: Sendable {
    let collection: Collection
    /// Without its deadline, which follows from when the request was taken.
    let query: TopKQuery
    let timeoutMilliseconds: Int
    /// How long its answer gets at most.
    let answerByteCount: Int
    let reply: @Sendable (TopKAnswer) -> Reply

    func query(takenAt start: ContinuousClock.Instant) -> TopKQuery {
        var query = query
        query.deadline = start + .milliseconds(timeoutMilliseconds)
        return query
    }

}

/// A draw for the pool.
struct Sampling: Sendable {
    let collection: Collection
    let query: SampleQuery
    let timeoutMilliseconds: Int
    /// How much memory its answer takes at most, as values or as text.
    let answerByteCount: Int
    let reply: @Sendable (SampleAnswer) -> Reply
}

extension WireError {
    /// What became of a query that had so much time.
    init(_ error: StoreError, within timeoutMilliseconds: Int) {
        guard error.code == .timeout else {
            self.init(error)
            return
        }
        let advice = "try again later, or with a longer timeout_ms="
        self.init(.timeout, "got no answer within \(timeoutMilliseconds) ms, nothing is returned: \(advice)")
    }

    init(_ error: StoreError) {
        self.init(WireErrorCode(error.code), error.message)
    }
}

extension WireErrorCode {
    init(_ code: StoreError.Code) {
        switch code {
        case .noCollection: self = .noCollection
        case .noItem: self = .noItem
        case .exists: self = .exists
        case .dimension: self = .dimension
        case .badVector: self = .badVector
        case .badRequest: self = .badRequest
        case .limit: self = .limit
        case .busy: self = .busy
        case .timeout: self = .timeout
        case .full: self = .full
        case .readOnly: self = .readOnly
        case .corrupt: self = .corrupt
        case .draining: self = .draining
        case .unknownSchema, .directoryInUse, .internalError: self = .internalError
        }
    }
}
