/// What the writer thread tells the others about itself.
final class StoreStatus: @unchecked Sendable {
    private let lock = ReadWriteLock()
    private var lockedFailure: String?
    private var lockedJournal = JournalStatus()

    struct JournalStatus {
        var lastGroup: UInt64 = 0
        var checkpointedGroup: UInt64 = 0
        var byteCount = 0
        var checkpointPassCount = 0
        /// Dropped collections whose records are not erased yet.
        var droppedCollectionCount = 0
    }

    deinit {
        lock.destroy()
    }

    /// Why no write is served any more; nil while all is well.
    var failure: String? {
        lock.withReadLock { lockedFailure }
    }

    /// The first reason stays.
    func fail(_ reason: String) {
        lock.withWriteLock { lockedFailure = lockedFailure ?? reason }
    }

    var journal: JournalStatus {
        get { lock.withReadLock { lockedJournal } }
        set { lock.withWriteLock { lockedJournal = newValue } }
    }
}
