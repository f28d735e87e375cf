/// Gives memory that the heap does not use any more back to the system.
///
/// The allocator keeps what was freed, because it may be needed again. After a large collection is dropped, or clients
/// with long replies are gone, that can be gigabytes which other programs lack. Only glibc needs this; elsewhere it
/// does nothing. It takes time in proportion to the free memory, and other threads that allocate may wait for it.
package func releaseFreedMemory() {
    #if canImport(Glibc)
    // `malloc.h` is not in Swift's module.
    guard let function = dlsym(nil, "malloc_trim") else { return }
    _ = unsafeBitCast(function, to: (@convention(c) (Int) -> CInt).self)(0)
    #endif
}

/// Releases freed memory when much less is in use than before. It has a thread of its own, so that nobody waits for the
/// system. It must be closed.
package final class FreedMemoryWatch: @unchecked Sendable {
    private static let milliseconds = 1_000
    /// A release comes this many looks after the one before, at the earliest.
    private static let looksBetweenReleases = 5

    private let byteCountMin: Int
    private let byteCount: @Sendable () -> Int
    private let monitor = Monitor()
    /// Under the monitor's lock.
    private var isClosed = false
    private var thread: PlatformThread?

    /// `byteCount` returns the memory in use, as far as it is counted. It is called once a second. Memory is released
    /// when it has fallen by `byteCountMin`.
    package init(byteCountMin: Int = 64 << 20, _ byteCount: @escaping @Sendable () -> Int) {
        self.byteCountMin = byteCountMin
        self.byteCount = byteCount
        thread = PlatformThread { self.run() }
    }

    package func close() {
        monitor.withLock {
            isClosed = true
            monitor.signal()
        }
        thread?.join()
        thread = nil
    }

    private func run() {
        PlatformThread.lowerPriority()
        var highest = 0
        var wasLow = false
        var looksToSkip = 0
        while !waitsForEnd() {
            let now = byteCount()
            highest = max(highest, now)
            looksToSkip = max(0, looksToSkip - 1)
            let isLow = highest - now >= byteCountMin
            // Memory is counted as free before it is freed, so the first look may come too early.
            if isLow, wasLow, looksToSkip == 0 {
                releaseFreedMemory()
                highest = now
                wasLow = false
                looksToSkip = Self.looksBetweenReleases
            } else {
                wasLow = isLow
            }
        }
    }

    /// Waits until the next look. Returns true if there is none.
    private func waitsForEnd() -> Bool {
        monitor.withLock {
            while !isClosed, monitor.wait(milliseconds: Self.milliseconds) {}
            return isClosed
        }
    }
}
