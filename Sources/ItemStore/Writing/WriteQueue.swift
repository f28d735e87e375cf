import DequeModule
import SystemSupport

/// Writes that wait for the store's thread. The queue has a limit in bytes, and is closed once. An empty queue takes
/// every batch, because one that is larger than the limit would otherwise never be taken.
final class WriteQueue: @unchecked Sendable {
    private let monitor = Monitor()
    private var batches = Deque<WriteBatch>()
    private var byteCount = 0
    private var isClosed = false
    private let bytesMax: Int

    init(bytesMax: Int) {
        self.bytesMax = bytesMax
    }

    func append(_ batch: WriteBatch) throws(StoreError) {
        try monitor.withLock { () throws(StoreError) in
            if isClosed { throw StoreError(.draining, "the store is closing and takes no more writes") }
            guard batches.isEmpty || byteCount + batch.byteCount <= bytesMax else {
                throw StoreError(
                    .busy,
                    "got writes of \(batch.byteCount) bytes while \(byteCount) wait, the queue holds \(bytesMax)"
                )
            }
            byteCount += batch.byteCount
            batches.append(batch)
            monitor.signal()
        }
    }

    enum Taken {
        case batches([WriteBatch])
        case nothingYet
        case closed
    }

    /// Takes the waiting batches, up to about `bytesMax` bytes. If there is none, waits for one, at most
    /// `milliseconds`.
    func take(bytesMax: Int, waitingMilliseconds milliseconds: Int) -> Taken {
        monitor.withLock {
            while batches.isEmpty {
                if isClosed { return .closed }
                if milliseconds == 0 || !monitor.wait(milliseconds: milliseconds) && batches.isEmpty && !isClosed {
                    return .nothingYet
                }
            }
            var taken: [WriteBatch] = []
            var takenByteCount = 0
            while takenByteCount < bytesMax, let batch = batches.popFirst() {
                takenByteCount += batch.byteCount
                taken.append(batch)
            }
            byteCount -= takenByteCount
            return .batches(taken)
        }
    }

    /// Refuses further batches. Waiting ones are still taken.
    func close() {
        monitor.withLock {
            isClosed = true
            monitor.signal()
        }
    }

    /// The size of all waiting writes, in bytes.
    var waitingByteCount: Int { monitor.withLock { byteCount } }
}
