import Logging
import SystemSupport

/// The directory of a store. It is created if necessary, and locked, so that only one process at a time can write to
/// it.
///
/// The lock is a `flock` on the file `LOCK`. The kernel releases it when the process ends, even after a crash. The file
/// has the number of the process that holds the lock, for the error message of a second process.
final class DataDirectory: @unchecked Sendable {
    /// An absolute path, for messages.
    let path: String
    var dataPath: String { path + "/data.mdb" }
    var lockPath: String { path + "/LOCK" }
    /// Negative in a directory that can be read only, and has no `LOCK`.
    private let descriptor: Int32

    init(path: String, isReadOnly: Bool) throws(StoreError) {
        if !isReadOnly { try Self.make(path) }
        self.path = Self.absolute(path)
        descriptor = try Self.openLock(self.path + "/LOCK", isReadOnly: isReadOnly)
        guard descriptor >= 0 else { return }
        guard flock(descriptor, (isReadOnly ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 else {
            let reason = errno
            guard reason == EWOULDBLOCK else { throw .system("could not lock '\(lockPath)'", reason) }
            throw StoreError(.directoryInUse, "the data directory '\(self.path)' is in use by \(holder)")
        }
        if !isReadOnly {
            let name = Array("\(getpid())\n".utf8)
            guard ftruncate(descriptor, 0) == 0, pwrite(descriptor, name, name.count, 0) == name.count else {
                throw .system("could not write '\(lockPath)'", errno)
            }
        }
    }

    /// Opens the lock file, and makes it if necessary. Returns a negative number if it is missing from a directory that
    /// this process can only read, such as a backup. Then no writer is kept out, but all records have checksums, so
    /// one that comes while they are loaded is noticed.
    private static func openLock(_ path: String, isReadOnly: Bool) throws(StoreError) -> Int32 {
        var descriptor = open(path, (isReadOnly ? O_RDONLY : O_RDWR | O_CREAT) | O_CLOEXEC, 0o644)
        if descriptor < 0, errno == ENOENT, isReadOnly {
            descriptor = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0o644)
            if descriptor < 0, errno == EACCES || errno == EROFS { return -1 }
        }
        guard descriptor >= 0 else { throw .system("could not open '\(path)'", errno) }
        return descriptor
    }

    private static func absolute(_ path: String) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// The process that has the lock, for a message. A process that only reads does not write its number, so the number
    /// of an earlier one may be there.
    private var holder: String {
        var bytes = [UInt8](repeating: 0, count: 32)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).filter { $0.isNumber }
        guard let number = pid_t(text), number > 0, kill(number, 0) == 0 || errno == EPERM else {
            return "another process, which may be read-only"
        }
        return "process \(number)"
    }

    /// Why `LOCK` keeps no other process out any more; nil if it does.
    func flawOfLock() -> String? {
        var opened = stat()
        var found = stat()
        guard fstat(descriptor, &opened) == 0, stat(lockPath, &found) == 0 else {
            return "it is gone: \(String(cString: strerror(errno)))"
        }
        return opened.st_ino == found.st_ino && opened.st_dev == found.st_dev ? nil : "it was replaced"
    }

    /// This also runs if `init` throws, because all properties are set before it does. So `init` must not close the
    /// file.
    deinit {
        guard descriptor >= 0 else { return }
        // Closing is not enough: a child process that was just forked has the open file, and so the lock, until it
        // calls `exec`.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    /// The room left on the file system for this process, in bytes; nil if the system does not say.
    var freeByteCount: Int? {
        var volume = statvfs()
        guard statvfs(path, &volume) == 0 else { return nil }
        let (byteCount, isOver) = UInt64(volume.f_bavail).multipliedReportingOverflow(by: UInt64(volume.f_frsize))
        return isOver ? .max : Int(clamping: byteCount)
    }

    /// Warns if the directory is on a network file system, where LMDB can't rely on locks, on syncs and on its pages.
    /// `root` is for tests: see `NetworkFileSystem.type`.
    func warnOfNetwork(_ logger: Logger, root: String = "") {
        guard let type = NetworkFileSystem.type(of: path, root: root) else { return }
        logger.warning(
            "the data directory is on a network file system, which may damage or lose data: use a local one",
            metadata: ["data": "\(path)", "file-system": "\(type)"]
        )
    }

    /// The size of the address space for LMDB. It is larger than the disk, because no operator expects an error while
    /// the disk has room. It costs nothing but addresses.
    ///
    /// With a limit on address space (`ulimit -v`) it is half of that, and the other half is for everything else.
    var mapSize: Int {
        var volume = statvfs()
        let isKnown = statvfs(path, &volume) == 0
        let wanted = Self.mapSize(
            blockCount: isKnown ? UInt64(volume.f_blocks) : 0,
            blockSize: isKnown ? UInt64(volume.f_frsize) : 0
        )
        return addressSpaceByteCountMax.map { min(wanted, $0 / 2) } ?? wanted
    }

    /// Twice the size of the volume, within 64 GiB and 16 TiB. The upper limit is for network file systems, which
    /// report sizes that no process can map.
    static func mapSize(blockCount: UInt64, blockSize: UInt64) -> Int {
        let (byteCount, isOver) = blockCount.multipliedReportingOverflow(by: blockSize)
        return max(64 << 30, isOver ? 16 << 40 : Int(min(byteCount, 8 << 40)) * 2) & ~0xFFFF
    }

    private static func make(_ path: String) throws(StoreError) {
        var partial = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            partial += part
            guard mkdir(partial, 0o755) == 0 || errno == EEXIST else {
                throw .system("could not make the directory '\(partial)'", errno)
            }
            partial += "/"
        }
    }
}
