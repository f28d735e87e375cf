import DequeModule
import ItemStore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A search that waits for the query pool.
struct QueuedSearch: Sendable {
    let collection: Collection
    let query: TopKQuery
    /// Whether anybody still waits for the outcome. Asked under the queue's lock: it has to be quick.
    let isWanted: @Sendable () -> Bool
    /// Gets the outcome, once, on a thread of the pool. Never called if nobody wants it any more.
    let complete: @Sendable (TopKOutcome) -> Void

    var selectionByteCount: Int { query.selectionByteCount(in: collection) }
}

/// A draw of negatives that waits for the query pool.
struct QueuedSampling: Sendable {
    let collection: Collection
    let query: SampleQuery
    /// When it is too late to begin.
    let deadline: ContinuousClock.Instant
    /// As of `QueuedSearch`.
    let isWanted: @Sendable () -> Bool
    let complete: @Sendable (Result<SampleAnswer, StoreError>) -> Void
}

/// What waits for the query pool.
enum QueuedQuery: Sendable {
    case search(QueuedSearch)
    case sampling(QueuedSampling)

    var isWanted: Bool {
        switch self {
        case .search(let search): search.isWanted()
        case .sampling(let sampling): sampling.isWanted()
        }
    }

    /// When to give up, or not to begin any more; nil: never.
    var deadline: ContinuousClock.Instant? {
        switch self {
        case .search(let search): search.query.deadline
        case .sampling(let sampling): sampling.deadline
        }
    }

    func fail(_ error: StoreError) {
        switch self {
        case .search(let search): search.complete(.failure(error))
        case .sampling(let sampling): sampling.complete(.failure(error))
        }
    }
}

/// A pass, and the searches that wait for its outcomes.
final class PassUnderWay: Sendable {
    let pass: TopKPass
    let searches: [QueuedSearch]

    /// `searches`: 1 to 8 of one collection and one strength.
    init(_ searches: [QueuedSearch]) {
        self.searches = searches
        pass = TopKPass(searches[0].collection, searches.map(\.query))
    }
}

/// What the threads of the pool share: the queries that wait, and the passes that are under way. Searches go together;
/// a draw takes about a millisecond and is one thread's, in its turn.
///
/// Bounded, closed once. A mutex and a condition of pthreads, because thread sanitizers understand them.
final class SearchQueue: @unchecked Sendable {
    /// Searches that go together are looked for among so many of the oldest: the lock is held for microseconds.
    private static let gatherAmongMax = 1_024

    /// About how long it takes to wake a thread, twice over.
    private static let briefly = Duration.microseconds(200)

    /// What a thread does next.
    enum Work {
        /// Answer those that are late, and make a pass for the others.
        case begin(Batch)
        /// Help with a pass.
        case join(PassUnderWay)
    }

    struct Batch {
        /// Up to eight of one collection; none if it was a draw's turn, or all that waited are late, or nobody wants them
        /// any more.
        var searches: [QueuedSearch] = []
        /// A draw, and then no searches.
        var sampling: QueuedSampling?
        /// Their deadline passed while they waited.
        var late: [QueuedQuery] = []
    }

    struct Statistics {
        /// Searches and draws.
        var waitingCount = 0
        /// Draws that were begun.
        var samplingCount = 0
        /// Searches for which passes were made, and the passes.
        var searchCount = 0
        var passCount = 0
        /// Threads that have nothing to do.
        var idleThreadCount = 0
    }

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let waitingMax: Int
    private var waiting = Deque<QueuedQuery>()
    /// Rises with every query that is appended: for those who look without the lock.
    private let arrivalCount = Atomic<Int>(0)
    private var passes: [PassUnderWay] = []
    private var idleThreadCount = 0
    private var searchCount = 0
    private var passCount = 0
    private var samplingCount = 0
    private var isClosed = false

    init(waitingMax: Int) {
        self.waitingMax = waitingMax
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    var statistics: Statistics {
        withLock {
            Statistics(
                waitingCount: waiting.count,
                samplingCount: samplingCount,
                searchCount: searchCount,
                passCount: passCount,
                idleThreadCount: idleThreadCount
            )
        }
    }

    /// False if the queue is full or closed.
    func append(_ search: QueuedSearch) -> Bool {
        append(.search(search))
    }

    /// False if the queue is full or closed.
    func append(_ sampling: QueuedSampling) -> Bool {
        append(.sampling(sampling))
    }

    private func append(_ query: QueuedQuery) -> Bool {
        withLock {
            guard !isClosed else { return false }
            // Those of clients that are gone must not keep others out.
            if waiting.count >= waitingMax { waiting.removeAll { !$0.isWanted } }
            guard waiting.count < waitingMax else { return false }
            waiting.append(query)
            arrivalCount.wrappingAdd(1, ordering: .relaxed)
            pthread_cond_signal(condition)
            return true
        }
    }

    func close() {
        withLock {
            isClosed = true
            pthread_cond_broadcast(condition)
        }
    }

    /// Waits for work. A query that waits comes before a pass that could be joined. Nil when the queue is closed and
    /// nothing is left to do.
    func next() -> Work? {
        waitBriefly()
        return withLock {
            while true {
                if !waiting.isEmpty { return .begin(takeBatch()) }
                if let pass = passes.first(where: \.pass.isWorthJoining) { return .join(pass) }
                if isClosed { return nil }
                idleThreadCount += 1
                pthread_cond_wait(condition, mutex)
                idleThreadCount -= 1
            }
        }
    }

    /// A client that asks one thing after another has its next question here before a sleeping thread would be awake:
    /// so a thread that has just been busy looks around for a while first. Whoever else wants the core gets it.
    private func waitBriefly() {
        let (isIdle, arrivals) = withLock { (waiting.isEmpty && !isClosed, arrivalCount.load(ordering: .relaxed)) }
        guard isIdle else { return }
        let end = ContinuousClock.now + Self.briefly
        while arrivalCount.load(ordering: .relaxed) == arrivals, ContinuousClock.now < end { sched_yield() }
    }

    /// Lets idle threads help with a pass, if it is long enough.
    func begin(_ pass: PassUnderWay) {
        withLock {
            passes.append(pass)
            passCount += 1
            searchCount += pass.searches.count
            if idleThreadCount > 0, pass.pass.isWorthJoining { pthread_cond_broadcast(condition) }
        }
    }

    func end(_ pass: PassUnderWay) {
        withLock { passes.removeAll { $0 === pass } }
    }

    /// The oldest query that is not too late; if it is a search, with those that can go with it.
    private func takeBatch() -> Batch {
        let now = ContinuousClock.now
        var batch = Batch()
        while batch.searches.isEmpty, batch.sampling == nil, let query = waiting.popFirst() {
            batch.append(query, now)
        }
        if batch.sampling != nil { samplingCount += 1 }
        guard let first = batch.searches.first else { return batch }
        var byteCount = first.selectionByteCount
        var index = 0
        while index < min(waiting.count, Self.gatherAmongMax), batch.searches.count < TopKPass.queryCountMax {
            guard case .search(let search) = waiting[index], search.collection === first.collection,
                search.query.strength == first.query.strength,
                byteCount + search.selectionByteCount <= TopKPass.selectionBytesMax
            else {
                index += 1
                continue
            }
            byteCount += search.selectionByteCount
            batch.append(waiting.remove(at: index), now)
        }
        return batch
    }

    private func withLock<R>(_ body: () -> R) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }
}

extension SearchQueue.Batch {
    fileprivate mutating func append(_ query: QueuedQuery, _ now: ContinuousClock.Instant) {
        guard query.isWanted else { return }
        if let deadline = query.deadline, deadline < now { return late.append(query) }
        switch query {
        case .search(let search): searches.append(search)
        case .sampling(let sampling): self.sampling = sampling
        }
    }
}
