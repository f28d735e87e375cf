import SystemSupport

/// The state of writing and of the journal. The store's thread updates it, and any thread may read it.
final class StoreHealth: @unchecked Sendable {
    private let lock = ReadWriteLock()
    private var lockedFailure: String?
    private var lockedFullReason: String?
    private var lockedJournal = JournalStatus()

    struct JournalStatus {
        var lastGroup: UInt64 = 0
        var checkpointedGroup: UInt64 = 0
        var byteCount = 0
        var checkpointPassCount = 0
        /// The number of dropped collections with records that are not erased yet.
        var droppedCollectionCount = 0
    }

    deinit {
        lock.destroy()
    }

    /// Why the store takes no more writes; nil if it does.
    var failure: String? {
        lock.withReadLock { lockedFailure }
    }

    /// Throws `readOnly` if the store takes no more writes.
    func checkWritable() throws(StoreError) {
        if let reason = failure { throw StoreError(.readOnly, reason) }
    }

    /// Returns the error. If it means that the storage can't be trusted with another write, the store takes no more
    /// writes.
    func noteFailure(_ error: StoreError) -> StoreError {
        if error.code == .readOnly { fail(error.message) }
        return error
    }

    /// Ends writing for this reason, unless it has ended before.
    func fail(_ reason: String) {
        lock.withWriteLock { lockedFailure = lockedFailure ?? reason }
    }

    /// Why the last write found no room on the disk; nil if the last commit succeeded.
    var fullReason: String? {
        lock.withReadLock { lockedFullReason }
    }

    /// Notes why a write failed, if there was no room on the disk.
    func noteFailedWrite(_ error: StoreError) {
        if error.code == .full { lock.withWriteLock { lockedFullReason = error.message } }
    }

    func noteCommit() {
        if fullReason != nil { lock.withWriteLock { lockedFullReason = nil } }
    }

    var journal: JournalStatus {
        get { lock.withReadLock { lockedJournal } }
        set { lock.withWriteLock { lockedJournal = newValue } }
    }
}

extension StoreHealth.JournalStatus {
    /// The status right after recovery.
    init(_ recovered: RecoveredState) {
        lastGroup = recovered.lastGroup
        checkpointedGroup = recovered.checkpointedGroup
        byteCount = recovered.journalByteCount
        droppedCollectionCount = recovered.records.dropped.count
    }
}
