/// A thread of the operating system that runs one function. It must be joined exactly once.
package struct PlatformThread: @unchecked Sendable {
    private let handle: pthread_t

    /// Starts the thread. Ends the process if the system cannot create one, because nothing works without it.
    package init(_ body: @escaping @Sendable () -> Void) {
        let context = Unmanaged.passRetained(ThreadBody(run: body)).toOpaque()
        #if canImport(Darwin)
        var thread: pthread_t?
        let status = pthread_create(&thread, nil, { runThread($0) }, context)
        precondition(status == 0, "could not start a thread: errno \(status)")
        handle = thread!
        #else
        var thread = pthread_t()
        let status = pthread_create(&thread, nil, { runThread($0!) }, context)
        precondition(status == 0, "could not start a thread: errno \(status)")
        handle = thread
        #endif
    }

    /// Blocks until the function has returned.
    package func join() {
        let status = pthread_join(handle, nil)
        precondition(status == 0, "pthread_join: \(status)")
    }

    /// Lowers the calling thread's priority below that of threads with the default priority, such as the event loops.
    package static func lowerPriority() {
        #if canImport(Darwin)
        pthread_set_qos_class_self_np(QOS_CLASS_UTILITY, 0)
        #else
        // On Linux a nice value belongs to a thread, and 0 means the calling thread. If the call fails, the priority
        // merely stays unchanged.
        _ = setpriority(__priority_which_t(UInt32(PRIO_PROCESS.rawValue)), 0, 5)
        #endif
    }
}

/// Carries a closure through the C pointer argument of `pthread_create`.
private final class ThreadBody {
    let run: @Sendable () -> Void

    init(run: @escaping @Sendable () -> Void) {
        self.run = run
    }
}

private func runThread(_ context: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
    Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().run()
    return nil
}
