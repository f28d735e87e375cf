import DequeModule
import ItemStore
import Synchronization
import SystemSupport

/// A pass over the items of a collection, and the searches that it answers.
final class PassUnderWay: Sendable {
    let pass: TopKPass
    let searches: [Search]

    /// `searches` are 1 to 8 searches with the same collection and strength.
    init(_ searches: [Search]) {
        self.searches = searches
        let questions = searches.map { search in
            var question = search.question
            question.deadline = search.deadline
            return question
        }
        pass = TopKPass(searches[0].collection, questions)
    }
}

/// The state that the threads of the pool share: the waiting queries and the passes under way. Searches can share a
/// pass. A draw takes about a millisecond, and a list is rare, so one thread runs each of them alone.
final class QueryQueue: @unchecked Sendable {
    /// Searches for one pass come from this many of the oldest queries, so that the lock is held only for microseconds.
    private static let gatherAmongMax = 1_024

    /// About twice the time to wake a thread.
    private static let briefly = Duration.microseconds(200)

    enum Work {
        /// Fail the late queries, and run the others.
        case begin(Batch)
        /// Take part in a pass under way.
        case join(PassUnderWay)
    }

    struct Batch {
        /// Up to eight searches that can share a pass. Empty if the batch has a draw or a list, or if every waiting
        /// query was late or no longer wanted.
        var searches: [Search] = []
        /// A draw, in a batch with nothing else to run.
        var sampling: Sampling?
        /// A list, in a batch with nothing else to run.
        var listing: Listing?
        /// The queries whose deadline passed while they waited.
        var late: [QueuedQuery] = []

        var isIdle: Bool { searches.isEmpty && sampling == nil && listing == nil }
    }

    struct Statistics {
        /// Queries that wait for a thread.
        var waitingCount = 0
        /// Draws started so far.
        var samplingCount = 0
        /// Searches whose pass has started, and the number of these passes.
        var searchCount = 0
        var passCount = 0
        /// Threads that wait for work.
        var idleThreadCount = 0
    }

    private let monitor = Monitor()
    private let waitingMax: Int
    private var waiting = Deque<QueuedQuery>()
    /// The number of queries appended so far. Readable without the lock.
    private let arrivalCount = Atomic<Int>(0)
    private var passes: [PassUnderWay] = []
    private var idleThreadCount = 0
    private var searchCount = 0
    private var passCount = 0
    private var samplingCount = 0
    private var isClosed = false

    init(waitingMax: Int) {
        self.waitingMax = waitingMax
    }

    var statistics: Statistics {
        monitor.withLock {
            Statistics(
                waitingCount: waiting.count,
                samplingCount: samplingCount,
                searchCount: searchCount,
                passCount: passCount,
                idleThreadCount: idleThreadCount
            )
        }
    }

    /// Returns false if the queue is full or closed.
    func append(_ query: QueuedQuery) -> Bool {
        monitor.withLock {
            guard !isClosed else { return false }
            // Queries of closed connections must not keep others out.
            if waiting.count >= waitingMax { waiting.removeAll { !$0.isWanted } }
            guard waiting.count < waitingMax else { return false }
            waiting.append(query)
            arrivalCount.wrappingAdd(1, ordering: .relaxed)
            monitor.signal()
            return true
        }
    }

    func close() {
        monitor.withLock {
            isClosed = true
            monitor.broadcast()
        }
    }

    /// Waits for work. A waiting query takes precedence over a pass to join. Nil once the queue is closed and no work
    /// is left.
    func next() -> Work? {
        waitBriefly()
        return monitor.withLock {
            while true {
                if !waiting.isEmpty { return .begin(takeBatch()) }
                if let pass = passes.first(where: \.pass.isWorthJoining) { return .join(pass) }
                if isClosed { return nil }
                idleThreadCount += 1
                monitor.wait()
                idleThreadCount -= 1
            }
        }
    }

    /// Waits a short time without sleeping, and yields its core to any other thread meanwhile. If a client sends one
    /// query after another, the next query arrives sooner than a sleeping thread could wake.
    private func waitBriefly() {
        let (isIdle, arrivals) = monitor.withLock {
            (waiting.isEmpty && !isClosed, arrivalCount.load(ordering: .relaxed))
        }
        guard isIdle else { return }
        let end = ContinuousClock.now + Self.briefly
        while arrivalCount.load(ordering: .relaxed) == arrivals, ContinuousClock.now < end { sched_yield() }
    }

    /// Adds a pass, and wakes the idle threads to join it if it is long enough.
    func begin(_ pass: PassUnderWay) {
        monitor.withLock {
            passes.append(pass)
            passCount += 1
            searchCount += pass.searches.count
            if idleThreadCount > 0, pass.pass.isWorthJoining { monitor.broadcast() }
        }
    }

    func end(_ pass: PassUnderWay) {
        monitor.withLock { passes.removeAll { $0 === pass } }
    }

    /// Takes the oldest query that is wanted and not late. If it is a search, also takes searches that can share its
    /// pass.
    private func takeBatch() -> Batch {
        let now = ContinuousClock.now
        var batch = Batch()
        while batch.isIdle, let query = waiting.popFirst() {
            batch.append(query, now)
        }
        if batch.sampling != nil { samplingCount += 1 }
        guard let first = batch.searches.first else { return batch }
        var byteCount = first.selectionByteCount
        var index = 0
        while index < min(waiting.count, Self.gatherAmongMax), batch.searches.count < TopKPass.queryCountMax {
            guard case .search(let search) = waiting[index], search.collection === first.collection,
                search.question.strength == first.question.strength,
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
}

extension QueryQueue.Batch {
    fileprivate mutating func append(_ query: QueuedQuery, _ now: ContinuousClock.Instant) {
        guard query.isWanted else { return }
        if let deadline = query.deadline, deadline < now { return late.append(query) }
        switch query {
        case .search(let search): searches.append(search)
        case .sampling(let sampling): self.sampling = sampling
        case .listing(let listing): self.listing = listing
        }
    }
}
