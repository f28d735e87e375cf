import LMDB
import SystemSupport

/// Watches the files of an open directory, and keeps `HEAD`. A file that was removed still takes writes, but nobody
/// would find them at the next start. Store thread only, and after that thread has ended.
final class DirectoryWatch {
    private let directory: DataDirectory
    private let environment: Environment
    private let headFile: HeadFile
    private var head: Head
    /// The data file when it was last examined. LMDB never shortens it.
    private var file = stat()

    init(
        _ directory: DataDirectory,
        _ environment: Environment,
        _ identity: DirectoryIdentity,
        lastGroup: UInt64
    ) throws(StoreError) {
        self.directory = directory
        self.environment = environment
        let transaction = UInt64(environment.statistics().lastTransaction)
        head = Head(identity: identity, lastGroup: lastGroup, lastTransaction: transaction)
        headFile = try HeadFile(directory.path, head)
        guard stat(directory.dataPath, &file) == 0 else {
            throw .system("could not examine '\(directory.dataPath)'", errno)
        }
    }

    /// Throws `readOnly` if `data.mdb` or `LOCK` was removed, replaced or shortened. Then nothing that is written would
    /// be found again, or another daemon may write too.
    func check() throws(StoreError) {
        if let flaw = flawOfData() { throw Self.failed(directory.dataPath, flaw) }
        if let flaw = directory.flawOfLock() { throw Self.failed(directory.lockPath, flaw) }
    }

    private func flawOfData() -> String? {
        var found = stat()
        guard stat(directory.dataPath, &found) == 0 else { return "it is gone: \(String(cString: strerror(errno)))" }
        guard found.st_ino == file.st_ino, found.st_dev == file.st_dev else { return "it was replaced" }
        guard found.st_size >= file.st_size else {
            return "it has \(found.st_size) bytes, and had \(file.st_size)"
        }
        file = found
        return environment.isChangedByOthers ? "another program has written to it" : nil
    }

    private static func failed(_ path: String, _ flaw: String) -> StoreError {
        StoreError(.readOnly, "storage failed, no more writes are served: the file '\(path)' was open, but \(flaw)")
    }

    /// Call this after each commit of a group.
    func noteGroup(_ group: UInt64) throws(StoreError) {
        head.lastGroup = group
        head.lastTransaction = UInt64(environment.statistics().lastTransaction)
        try headFile.write(head)
    }

    /// Call this at the end, after the last commit.
    func finish() throws(StoreError) {
        try check()
        head.lastTransaction = UInt64(environment.statistics().lastTransaction)
        try headFile.write(head)
        try headFile.sync()
    }
}
