import ItemStore
import NIOConcurrencyHelpers
import SystemSupport

/// The threads that run searches, draws and lists, so that an event loop never does.
///
/// A scan of a million items takes milliseconds, which is long for a loop that answers point lookups in microseconds.
/// Several searches are cheaper together. So a thread takes the oldest search and up to seven more of the same
/// collection and strength. It passes over the items once for all of them. A thread that finds no waiting query joins a
/// pass under way, so a single long search can use all threads.
///
/// The queue is bounded, and a query that finds it full is refused at once. The threads have a lower priority than the
/// event loops, so that a burst of searches slows lookups as little as the system allows.
final class QueryPool: Sendable {
    private let queue: QueryQueue
    private let threads: NIOLockedValueBox<[PlatformThread]>

    /// Starts `threadCount` threads.
    init(threadCount: Int, waitingMax: Int) {
        let queue = QueryQueue(waitingMax: waitingMax)
        self.queue = queue
        threads = NIOLockedValueBox((0..<max(1, threadCount)).map { _ in PlatformThread { runQueries(queue) } })
    }

    /// Queues `query`. Returns false, and never completes the query, if the queue is full or closed.
    func submit(_ query: QueuedQuery) -> Bool {
        queue.append(query)
    }

    var statistics: QueryQueue.Statistics { queue.statistics }

    /// Runs all submitted queries, then ends the threads. Blocks until both are done.
    func close() {
        queue.close()
        let ending = threads.withLockedValue { threads in
            defer { threads = [] }
            return threads
        }
        for thread in ending { thread.join() }
    }
}

private func runQueries(_ queue: QueryQueue) {
    PlatformThread.lowerPriority()
    while let work = queue.next() {
        switch work {
        case .begin(let batch):
            let lateness = StoreError(.timeout, "the query was not begun in time")
            for query in batch.late where query.isWanted { query.fail(lateness) }
            if let sampling = batch.sampling { draw(sampling) }
            if let listing = batch.listing { list(listing) }
            guard !batch.searches.isEmpty else { continue }
            let pass = PassUnderWay(batch.searches)
            queue.begin(pass)
            takePart(in: pass, queue)
        case .join(let pass):
            takePart(in: pass, queue)
        }
    }
}

/// Takes part in a pass. The last participant to finish completes the searches.
private func takePart(in underWay: PassUnderWay, _ queue: QueryQueue) {
    guard underWay.pass.takePart() else { return }
    queue.end(underWay)
    underWay.pass.forEachOutcome { index, outcome in
        let search = underWay.searches[index]
        if search.isWanted() { search.complete(outcome) }
    }
}

private func draw(_ sampling: Sampling) {
    let outcome = Result { () throws(StoreError) in try sampling.collection.sample(sampling.question) }
    if sampling.isWanted() { sampling.complete(outcome) }
}

private func list(_ listing: Listing) {
    var question = listing.question
    question.deadline = listing.deadline
    let outcome = Result { () throws(StoreError) in try listing.collection.popular(question) }
    if listing.isWanted() { listing.complete(outcome) }
}
