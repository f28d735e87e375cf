import DequeModule

/// What waits for the writer thread: bounded in bytes, closed once.
final class WriteQueue: @unchecked Sendable {
    private let monitor = Monitor()
    private var batches = Deque<WriteBatch>()
    private var byteCount = 0
    private var isClosed = false
    private let byteCountMax: Int

    init(byteCountMax: Int) {
        self.byteCountMax = byteCountMax
    }

    func append(_ batch: WriteBatch) throws(StoreError) {
        try monitor.withLock { () throws(StoreError) in
            if isClosed { throw StoreError(.draining, "the store is closing and takes no more writes") }
            guard byteCount + batch.byteCount <= byteCountMax else {
                throw StoreError(
                    .busy,
                    "got writes of \(batch.byteCount) bytes while \(byteCount) wait, the queue holds \(byteCountMax)"
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

    /// All that waits, up to about `byteCountMax` bytes. Waits for `milliseconds` at most if there is nothing.
    func take(byteCountMax: Int, waitingMilliseconds milliseconds: Int) -> Taken {
        monitor.withLock {
            while batches.isEmpty {
                if isClosed { return .closed }
                if milliseconds == 0 || !monitor.wait(milliseconds: milliseconds) && batches.isEmpty && !isClosed {
                    return .nothingYet
                }
            }
            var taken: [WriteBatch] = []
            var takenByteCount = 0
            while takenByteCount < byteCountMax, let batch = batches.popFirst() {
                takenByteCount += batch.byteCount
                taken.append(batch)
            }
            byteCount -= takenByteCount
            return .batches(taken)
        }
    }

    /// Refuses further batches; what waits is still taken.
    func close() {
        monitor.withLock {
            isClosed = true
            monitor.signal()
        }
    }

    /// The bytes that wait now.
    var waitingByteCount: Int { monitor.withLock { byteCount } }
}
