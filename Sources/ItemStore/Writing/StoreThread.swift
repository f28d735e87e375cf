import LMDB
import Logging
import SystemSupport

/// The store's thread: the only one that changes anything.
///
/// It takes the waiting writes, and judges each against the state after all earlier writes, durable or not (`Judge`). A
/// judged write is a few operations. The operations of a group are committed together, then applied to memory, and only
/// then are the writes acknowledged (`GroupCommit`). So an acknowledged write is on disk and visible to every reader,
/// and no reader ever sees a change that a crash could undo.
///
/// Between groups the thread does slices of checkpoint work (`Checkpointer`).
final class StoreThread: @unchecked Sendable {
    let queue: WriteQueue
    private let limits: StoreLimits
    private let health: StoreHealth
    private let group: GroupCommit
    private let judge: Judge
    private let checkpointer: Checkpointer
    private var thread: PlatformThread?

    init(
        environment: Environment,
        tables: Tables,
        recovered: RecoveredState,
        limits: StoreLimits,
        health: StoreHealth,
        watch: DirectoryWatch,
        logger: Logger
    ) {
        let producersMax = FrequencyKey.producers.count * NamedList<ProducerEntry>.countInRecord
        precondition(
            limits.producersMax <= producersMax,
            "got \(limits.producersMax) producers, expected at most \(producersMax)"
        )
        self.limits = limits
        self.health = health
        queue = WriteQueue(bytesMax: limits.writeQueueBytesMax)
        checkpointer = Checkpointer(environment, tables, recovered, limits, health, watch, logger)
        group = GroupCommit(environment, tables, recovered, checkpointer, health, watch, logger)
        judge = Judge(group, recovered.records, checkpointer, limits, health)
    }

    func start() {
        thread = PlatformThread { self.work() }
    }

    /// Waits until all queued writes are committed and the thread has ended. Call once, after `queue.close()`.
    func join() {
        thread?.join()
        thread = nil
    }

    /// Copies all dirty records to the tables, so the next start has nothing to replay. Call after `join`.
    func finalCheckpoint(erasingDropped: Bool) {
        checkpointer.finish(erasingDropped: erasingDropped)
    }

    private func work() {
        while true {
            switch queue.take(bytesMax: limits.takenBytesMax, waitingMilliseconds: checkpointer.idleMilliseconds) {
            case .batches(let batches):
                for batch in batches { accept(batch) }
                group.commit()
                checkpointer.advance(isIdle: false)
            case .nothingYet:
                checkpointer.advance(isIdle: true)
            case .closed:
                return
            }
        }
    }

    private func accept(_ batch: WriteBatch) {
        group.open(batch)
        for write in batch.writes {
            do throws(StoreError) {
                try health.checkWritable()
                group.note(try judge.judge(write), of: write)
            } catch {
                group.note(.outcome(.failed(error)), of: write)
            }
            if group.byteCount >= limits.groupBytesMax { group.commit() }
        }
    }
}
