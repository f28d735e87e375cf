// Waiting for other threads. Every wait has a bound, so that no test hangs.

package import Dispatch
import Foundation
import Synchronization
import SystemSupport

/// A point in monotonic time by which something must be done.
package struct Deadline: Sendable {
    private let end: ContinuousClock.Instant

    package init(seconds: Double) {
        end = ContinuousClock.now + .seconds(seconds)
    }

    package var hasPassed: Bool { ContinuousClock.now >= end }

    /// The remaining time for `poll`, rounded up. So 0 means that the deadline has passed.
    var millisecondsLeft: Int32 {
        let left = (end - ContinuousClock.now) / .milliseconds(1)
        return Int32(max(0, left.rounded(.up)))
    }
}

/// Waits for a signal. Throws after `TestScale.patienceSeconds`, with `what` in the message.
package func wait(for semaphore: DispatchSemaphore, _ what: String) throws {
    try wait(for: semaphore, within: TestScale.patienceSeconds, what)
}

private func wait(for semaphore: DispatchSemaphore, within seconds: Double, _ what: String) throws {
    guard semaphore.wait(timeout: .now() + seconds) == .success else {
        throw HarnessError("waited for \(what) for \(seconds) s")
    }
}

/// Waits until `condition` holds. Throws after `TestScale.patienceSeconds`, with `what` in the message.
package func wait(until condition: () -> Bool, _ what: String) throws {
    let deadline = Deadline(seconds: TestScale.patienceSeconds)
    while !condition() {
        guard !deadline.hasPassed else { throw HarnessError("waited until \(what) for \(TestScale.patienceSeconds) s") }
        sched_yield()
    }
}

/// Waits until the clock has passed `moment`.
package func wait(until moment: ContinuousClock.Instant) throws {
    try wait(until: { ContinuousClock.now > moment }, "the moment is over")
}

/// Blocks one thread until the test opens the gate.
package final class Gate: Sendable {
    private let reached = DispatchSemaphore(value: 0)
    private let opened = DispatchSemaphore(value: 0)

    package init() {}

    /// Blocks the calling thread until the gate is open, but at most `TestScale.patienceSeconds`.
    package func pass() {
        reached.signal()
        _ = opened.wait(timeout: .now() + TestScale.patienceSeconds)
    }

    /// Waits until a thread is blocked at the gate.
    package func waitUntilReached() throws {
        try wait(for: reached, "a thread to reach the gate")
    }

    /// Opens the gate. May be called more than once.
    package func open() {
        opened.signal()
    }
}

/// A function that runs on its own thread.
package final class Background<R: Sendable>: Sendable {
    private let result = Mutex<Result<R, any Error>?>(nil)
    private let isDone = DispatchSemaphore(value: 0)

    package init(_ body: @escaping @Sendable () throws -> R) {
        Thread.detachNewThread { [self] in
            let outcome = Result { try body() }
            result.withLock { $0 = outcome }
            isDone.signal()
        }
    }

    /// Returns the function's result, or throws its error. It can be called again after a timeout, but not after it has
    /// returned the result or thrown the error.
    @discardableResult
    package func wait(within seconds: Double = TestScale.patienceSeconds) throws -> R {
        try TestSupport.wait(for: isDone, within: seconds, "a thread to end")
        return try result.withLock { $0! }.get()
    }
}
