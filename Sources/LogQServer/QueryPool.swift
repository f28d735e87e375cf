import ItemStore
import NIOConcurrencyHelpers

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The threads that run searches and draws, so that an event loop never does.
///
/// A scan of a million items takes milliseconds: long for a loop that answers point lookups in microseconds. Many
/// searches are cheaper together: a thread takes the oldest that waits and up to seven more for the same collection,
/// and passes over the items once for all of them. A thread for which nothing waits helps with a pass under way, so one
/// search alone has all the threads.
///
/// The queue is bounded, and what finds it full is refused at once. The threads rank below the event loops, so that a
/// burst of searches slows lookups as little as the system allows.
final class QueryPool: Sendable {
    private let queue: SearchQueue
    private let threads: NIOLockedValueBox<[pthread_t]>

    /// Starts `threadCount` threads.
    init(threadCount: Int, waitingMax: Int) {
        let queue = SearchQueue(waitingMax: waitingMax)
        self.queue = queue
        threads = NIOLockedValueBox((0..<max(1, threadCount)).map { _ in startThread(queue) })
    }

    /// Runs `search` soon. False, and it is never completed, if the queue is full or closed.
    func submit(_ search: QueuedSearch) -> Bool {
        queue.append(search)
    }

    /// The same for a draw.
    func submit(_ sampling: QueuedSampling) -> Bool {
        queue.append(sampling)
    }

    /// How many queries wait for a thread; how many searches were run so far, in how many passes, and how many draws.
    var statistics: SearchQueue.Statistics { queue.statistics }

    /// Runs what was submitted and ends the threads. Blocks.
    func close() {
        queue.close()
        let ending = threads.withLockedValue { threads in
            defer { threads = [] }
            return threads
        }
        for thread in ending { pthread_join(thread, nil) }
    }
}

private func startThread(_ queue: SearchQueue) -> pthread_t {
    let argument = Unmanaged.passRetained(queue).toOpaque()
    #if canImport(Darwin)
    var thread: pthread_t?
    let status = pthread_create(&thread, nil, { runSearches($0) }, argument)
    precondition(status == 0, "could not start a query thread: errno \(status)")
    return thread!
    #else
    var thread = pthread_t()
    let status = pthread_create(&thread, nil, { runSearches($0!) }, argument)
    precondition(status == 0, "could not start a query thread: errno \(status)")
    return thread
    #endif
}

private func runSearches(_ argument: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
    let queue = Unmanaged<SearchQueue>.fromOpaque(argument).takeRetainedValue()
    lowerPriority()
    while let work = queue.next() {
        switch work {
        case .begin(let batch):
            let lateness = StoreError(.timeout, "the query was not begun in time")
            for query in batch.late where query.isWanted { query.fail(lateness) }
            if let sampling = batch.sampling { draw(sampling) }
            guard !batch.searches.isEmpty else { continue }
            let pass = PassUnderWay(batch.searches)
            queue.begin(pass)
            takePart(in: pass, queue)
        case .join(let pass):
            takePart(in: pass, queue)
        }
    }
    return nil
}

/// Scans along, and answers the searches if this thread is the last to leave.
private func takePart(in underWay: PassUnderWay, _ queue: SearchQueue) {
    guard underWay.pass.takePart() else { return }
    queue.end(underWay)
    underWay.pass.forEachOutcome { index, outcome in
        let search = underWay.searches[index]
        if search.isWanted() { search.complete(outcome) }
    }
}

private func draw(_ sampling: QueuedSampling) {
    let outcome = Result { () throws(StoreError) in try sampling.collection.sample(sampling.query) }
    if sampling.isWanted() { sampling.complete(outcome) }
}

/// Ranks this thread below the event loops.
private func lowerPriority() {
    #if canImport(Darwin)
    pthread_set_qos_class_self_np(QOS_CLASS_UTILITY, 0)
    #else
    // On Linux a nice value belongs to a thread, and 0 is the calling one. A failure only costs the ranking.
    _ = setpriority(__priority_which_t(UInt32(PRIO_PROCESS.rawValue)), 0, 5)
    #endif
}
