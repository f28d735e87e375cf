internal import SystemSupport

/// Reads the pages of a data file with `pread`. So a page after the end of the file, and a page that the disk can't
/// read, is an error. With mapped memory it would be a signal that ends the process.
final class PageReader {
    let path: String
    private let descriptor: Int32
    let fileByteCount: UInt64
    /// The size of a page, once the meta pages have been read.
    var pageByteCount = 0

    /// Opens the file, which must be a regular one.
    init(path: String) throws(DataFileError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        var status = stat()
        guard descriptor >= 0, fstat(descriptor, &status) == 0 else {
            let reason = errno
            fileByteCount = 0
            throw DataFileError(
                path: path,
                reason: "it could not be opened: \(String(cString: strerror(reason)))",
                isDamage: false
            )
        }
        fileByteCount = UInt64(max(0, status.st_size))
        guard status.st_mode & S_IFMT == S_IFREG else { throw damaged("it is not a regular file") }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    func damaged(_ reason: String) -> DataFileError {
        DataFileError(path: path, reason: reason)
    }

    /// Reads from the beginning of a page until `target` is full.
    func read(page: UInt64, into target: UnsafeMutableRawBufferPointer) throws(DataFileError) {
        try read(at: page.multipliedReportingOverflow(by: UInt64(pageByteCount)), into: target, "page \(page)")
    }

    /// Reads at an offset, which is a product that may have overflowed.
    func read(
        at offset: (partialValue: UInt64, overflow: Bool),
        into target: UnsafeMutableRawBufferPointer,
        _ name: @autoclosure () -> String
    ) throws(DataFileError) {
        guard !offset.overflow, offset.partialValue < fileByteCount,
            UInt64(target.count) <= fileByteCount - offset.partialValue
        else { throw damaged("it ends before \(name()), after \(fileByteCount) bytes") }
        var count = 0
        while count < target.count {
            let got = pread(
                descriptor,
                target.baseAddress! + count,
                target.count - count,
                off_t(offset.partialValue) + off_t(count)
            )
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else {
                throw damaged("\(name()) could not be read: \(String(cString: strerror(errno)))")
            }
            guard got > 0 else { throw damaged("it was shortened while it was read") }
            count += got
        }
    }
}
