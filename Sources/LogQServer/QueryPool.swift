import DequeModule
import NIOConcurrencyHelpers
import NIOPosix

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The threads that run searches, so that an event loop never does.
///
/// A scan of a million items takes milliseconds: long for a loop that answers point lookups in microseconds. The queue
/// is bounded, and what finds it full is refused at once. The threads rank below the event loops, so that a burst of
/// searches slows lookups as little as the system allows.
final class QueryPool: Sendable {
    typealias Job = @Sendable () -> Void

    private let queue: JobQueue
    private let threads: NIOLockedValueBox<[pthread_t]>

    /// Starts `threadCount` threads.
    init(threadCount: Int, waitingMax: Int) {
        let queue = JobQueue(waitingMax: waitingMax)
        self.queue = queue
        threads = NIOLockedValueBox((0..<max(1, threadCount)).map { _ in startThread(queue) })
    }

    /// Runs `job` on one of the threads, soon. False, and it never runs, if the queue is full or closed.
    func submit(_ job: @escaping Job) -> Bool {
        queue.append(job)
    }

    /// The jobs that wait for a thread.
    var waitingCount: Int { queue.waitingCount }

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

/// A bounded queue, closed once. A condition of pthreads, because thread sanitizers understand it.
private final class JobQueue: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs = Deque<QueryPool.Job>()
    private var isClosed = false
    private let waitingMax: Int

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

    func append(_ job: @escaping QueryPool.Job) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard !isClosed, jobs.count < waitingMax else { return false }
        jobs.append(job)
        pthread_cond_signal(condition)
        return true
    }

    /// The next job; nil when the queue is closed and empty.
    func next() -> QueryPool.Job? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while jobs.isEmpty, !isClosed { pthread_cond_wait(condition, mutex) }
        return jobs.popFirst()
    }

    func close() {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        isClosed = true
        pthread_cond_broadcast(condition)
    }

    var waitingCount: Int {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return jobs.count
    }
}

private func startThread(_ queue: JobQueue) -> pthread_t {
    let argument = Unmanaged.passRetained(queue).toOpaque()
    #if canImport(Darwin)
    var thread: pthread_t?
    let status = pthread_create(&thread, nil, { runJobs($0) }, argument)
    precondition(status == 0, "could not start a query thread: errno \(status)")
    return thread!
    #else
    var thread = pthread_t()
    let status = pthread_create(&thread, nil, { runJobs($0!) }, argument)
    precondition(status == 0, "could not start a query thread: errno \(status)")
    return thread
    #endif
}

private func runJobs(_ argument: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
    let queue = Unmanaged<JobQueue>.fromOpaque(argument).takeRetainedValue()
    lowerPriority()
    while let job = queue.next() { job() }
    return nil
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
