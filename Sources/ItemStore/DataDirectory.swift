#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The directory of a store: made if missing, and held so that one daemon at a time writes to it.
///
/// The hold is a `flock` on the file `LOCK`, which the kernel lets go when the process ends, however it ends. The file
/// names the holder for whoever comes second.
final class DataDirectory: @unchecked Sendable {
    let path: String
    private let descriptor: Int32

    init(path: String, isReadOnly: Bool) throws(StoreError) {
        self.path = path
        if !isReadOnly { try Self.make(path) }
        let file = path + "/LOCK"
        let flags = isReadOnly ? O_RDONLY : O_RDWR | O_CREAT
        descriptor = open(file, flags | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Self.failure("could not open '\(file)'", errno) }
        guard flock(descriptor, (isReadOnly ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 else {
            let reason = errno
            guard reason == EWOULDBLOCK else { throw Self.failure("could not lock '\(file)'", reason) }
            let holder = Self.contents(descriptor)
            throw StoreError(.directoryInUse, "the data directory '\(path)' is in use by process \(holder)")
        }
        if !isReadOnly {
            let name = Array("\(getpid())\n".utf8)
            guard ftruncate(descriptor, 0) == 0, pwrite(descriptor, name, name.count, 0) == name.count else {
                throw Self.failure("could not write '\(file)'", errno)
            }
        }
    }

    /// Also runs when `init` throws, for all properties are set by then: nothing else may close the file.
    deinit {
        guard descriptor >= 0 else { return }
        // Closing is not enough: a child that was forked a moment ago has the open file, and the lock, until it runs
        // its program.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    /// An address space for LMDB that no disk outgrows: it costs nothing but addresses, and a map that is full before
    /// the disk is would be an error that no operator expects.
    var mapSize: Int {
        var volume = statvfs()
        guard statvfs(path, &volume) == 0 else { return Self.mapSize(blockCount: 0, blockSize: 0) }
        return Self.mapSize(blockCount: UInt64(volume.f_blocks), blockSize: UInt64(volume.f_frsize))
    }

    /// Twice the volume, from 64 GiB to 16 TiB: network file systems report sizes that no process can map.
    static func mapSize(blockCount: UInt64, blockSize: UInt64) -> Int {
        let (byteCount, isOver) = blockCount.multipliedReportingOverflow(by: blockSize)
        return max(64 << 30, isOver ? 16 << 40 : Int(min(byteCount, 8 << 40)) * 2) & ~0xFFFF
    }

    private static func make(_ path: String) throws(StoreError) {
        var partial = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            partial += part
            guard mkdir(partial, 0o755) == 0 || errno == EEXIST else {
                throw failure("could not make the directory '\(partial)'", errno)
            }
            partial += "/"
        }
    }

    private static func failure(_ what: String, _ reason: Int32) -> StoreError {
        let isFull = reason == ENOSPC || reason == EDQUOT || reason == EFBIG
        return StoreError(isFull ? .full : .internalError, "\(what): \(String(cString: strerror(reason)))")
    }

    private static func contents(_ descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 32)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).filter { $0.isNumber }
    }
}
