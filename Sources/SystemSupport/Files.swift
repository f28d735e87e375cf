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
