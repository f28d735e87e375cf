import CChecksum
import SystemSupport

/// 16 random bytes, chosen when a directory is made. They are in the `meta` table and in `HEAD`, so a `data.mdb` of
/// another directory is noticed.
struct DirectoryIdentity: Equatable, Sendable {
    let high: UInt64
    let low: UInt64

    static func random() -> DirectoryIdentity {
        DirectoryIdentity(high: .random(in: 0 ... .max), low: .random(in: 0 ... .max))
    }
}

/// What the file `HEAD` says: the directory has had data, with this identity and at least these commits.
///
/// LMDB falls back to the transaction before the last one if the newer meta page is damaged, and nothing in `data.mdb`
/// shows it. So the last commit is named in a second file.
struct Head: Equatable, Sendable {
    let identity: DirectoryIdentity
    var lastGroup: UInt64
    var lastTransaction: UInt64
}

/// The file `HEAD` beside `data.mdb`:
///
///     "logqd\0\0\1" 8 | identity 16 | last group 8 | last transaction 8 | crc32c of all before it 4
///
/// It is written in place after each group commit, and synced only when the store closes. So after a power cut it may
/// name an earlier commit, but never a later one than `data.mdb` has.
final class HeadFile: @unchecked Sendable {
    static let name = "HEAD"
    private static let signature: UInt64 = 0x0100_0064_7167_6F6C
    private static let byteCount = 44

    private let path: String
    private let descriptor: Int32

    /// Opens the file, or makes it, and writes to it. Throws `full` or `internalError`.
    init(_ directory: String, _ head: Head) throws(StoreError) {
        path = directory + "/" + Self.name
        if !fileExists(path) { try Self.make(directory, head) }
        descriptor = open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system("could not open '\(path)'", errno) }
        try write(head)
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// Makes the file under another name and renames it, so that it is never incomplete.
    private static func make(_ directory: String, _ head: Head) throws(StoreError) {
        let path = directory + "/" + name
        let partial = path + ".new"
        let descriptor = open(partial, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw .system("could not make '\(partial)'", errno) }
        defer { close(descriptor) }
        guard put(head, descriptor), fsync(descriptor) == 0, rename(partial, path) == 0 else {
            throw .system("could not write '\(path)'", errno)
        }
        let code = syncDirectory(directory)
        guard code == 0 else { throw .system("could not sync '\(directory)'", code) }
    }

    private static func put(_ head: Head, _ descriptor: Int32) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: byteCount, alignment: 8) { buffer in
            var bytes = ByteWriter(buffer)
            bytes.integer(signature)
            bytes.integer(head.identity.high)
            bytes.integer(head.identity.low)
            bytes.integer(head.lastGroup)
            bytes.integer(head.lastTransaction)
            bytes.integer(checksum_crc32c(0, buffer.baseAddress!, bytes.offset))
            let count = pwrite(descriptor, buffer.baseAddress!, byteCount, 0)
            // A short write sets no `errno`.
            if count >= 0, count < byteCount { errno = ENOSPC }
            return count == byteCount
        }
    }

    func write(_ head: Head) throws(StoreError) {
        guard Self.put(head, descriptor) else { throw .system("could not write '\(path)'", errno) }
    }

    func sync() throws(StoreError) {
        guard fsync(descriptor) == 0 else { throw .system("could not sync '\(path)'", errno) }
    }

    /// Reads the file; nil if there is none. Throws `corrupt`, or `internalError` if it can't be read.
    static func read(_ directory: String) throws(StoreError) -> Head? {
        let path = directory + "/" + name
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            guard errno == ENOENT else { throw .system("could not open '\(path)'", errno) }
            return nil
        }
        defer { close(descriptor) }
        var content = [UInt8](repeating: 0, count: byteCount + 1)
        let count = pread(descriptor, &content, content.count, 0)
        guard count >= 0 else { throw .system("could not read '\(path)'", errno) }
        let head = content.withUnsafeBytes { buffer in
            count == byteCount ? decode(UnsafeRawBufferPointer(rebasing: buffer[..<byteCount])) : nil
        }
        guard let head else {
            throw StoreError(
                .corrupt,
                "the file '\(path)' is damaged. Without it the directory can be served, but a lost last commit would "
                    + "not be noticed"
            )
        }
        return head
    }

    private static func decode(_ buffer: UnsafeRawBufferPointer) -> Head? {
        var bytes = ByteReader(buffer)
        guard bytes.integer(UInt64.self) == signature, let high = bytes.integer(UInt64.self),
            let low = bytes.integer(UInt64.self), let group = bytes.integer(UInt64.self),
            let transaction = bytes.integer(UInt64.self),
            bytes.integer(UInt32.self) == checksum_crc32c(0, buffer.baseAddress!, byteCount - 4)
        else { return nil }
        return Head(
            identity: DirectoryIdentity(high: high, low: low),
            lastGroup: group,
            lastTransaction: transaction
        )
    }
}
