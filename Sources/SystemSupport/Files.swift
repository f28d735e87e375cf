/// Syncs a directory, so that a power cut can't lose a new or renamed file in it. Returns an `errno`, or 0.
package func syncDirectory(_ path: String) -> Int32 {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return errno }
    defer { close(descriptor) }
    // EINVAL means that the file system can't sync directories and has nothing to sync.
    return fsync(descriptor) == 0 || errno == EINVAL ? 0 : errno
}

/// Whether there is a file or directory with this path.
package func fileExists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
}

/// The lines of a small file, such as one of `/proc`; none if it can't be read.
func linesOfFile(_ path: String) -> [String] {
    guard let stream = fopen(path, "r") else { return [] }
    defer { fclose(stream) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 14)
    // A machine with thousands of mounts has a long list, but not a longer one than this.
    while bytes.count < 16 << 20 {
        let count = fread(&piece, 1, piece.count, stream)
        guard count > 0 else { break }
        bytes += piece[..<count]
    }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
}
