import LMDB
import Logging

/// The size of the stored data. It shows before the data are loaded whether they fit the memory.
enum StoredSize {
    /// Logs an error if the records need more memory than the limit. They are loaded nevertheless, because the records
    /// in the tables are only about as large as the items in memory. If the system then ends the process, the log says
    /// why.
    static func announceExcess(
        _ environment: Environment,
        _ tables: Tables,
        _ limits: StoreLimits,
        _ logger: Logger
    ) throws {
        let byteCount = try environment.read { try tables.recordByteCount($0) }
        guard byteCount > limits.memoryBytesMax else { return }
        logger.error(
            "the stored data may not fit the memory: the system may end the daemon while it loads them",
            metadata: [
                "stored-bytes": "\(byteCount)",
                "max-memory-bytes": "\(limits.memoryBytesMax) (\(limits.memorySource))",
            ]
        )
    }
}
