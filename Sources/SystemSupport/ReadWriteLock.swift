/// A read-write lock at a fixed address, valid until `destroy()`.
///
/// It uses pthreads, because ThreadSanitizer understands them, and because any number of readers can hold the lock at
/// once. The owner of a lock destroys it together with the data that it guards.
@usableFromInline
package struct ReadWriteLock: @unchecked Sendable {
    @usableFromInline let lock: UnsafeMutablePointer<pthread_rwlock_t>

    package init() {
        lock = .allocate(capacity: 1)
        lock.initialize(to: pthread_rwlock_t())
        #if canImport(Glibc)
        // By default, overlapping readers can keep a writer out forever. The nonrecursive kind is safe, because no
        // thread takes a lock twice.
        var attributes = pthread_rwlockattr_t()
        pthread_rwlockattr_init(&attributes)
        pthread_rwlockattr_setkind_np(&attributes, Int32(PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP))
        defer { pthread_rwlockattr_destroy(&attributes) }
        let status = pthread_rwlock_init(lock, &attributes)
        #else
        let status = pthread_rwlock_init(lock, nil)
        #endif
        precondition(status == 0, "pthread_rwlock_init: \(status)")
    }

    package var address: UnsafeRawPointer { UnsafeRawPointer(lock) }

    package func destroy() {
        pthread_rwlock_destroy(lock)
        lock.deinitialize(count: 1)
        lock.deallocate()
    }

    @inlinable @inline(__always)
    package func withReadLock<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        let status = pthread_rwlock_rdlock(lock)
        precondition(status == 0, "pthread_rwlock_rdlock: \(status)")
        defer { pthread_rwlock_unlock(lock) }
        return try body()
    }

    @inlinable @inline(__always)
    package func withWriteLock<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        let status = pthread_rwlock_wrlock(lock)
        precondition(status == 0, "pthread_rwlock_wrlock: \(status)")
        defer { pthread_rwlock_unlock(lock) }
        return try body()
    }
}
