import SystemSupport

/// A Unix-domain socket to listen on.
package struct UnixSocket: Sendable, Equatable {
    package var path: String
    /// The permissions of the socket's file; nil for those that the process's umask leaves.
    package var mode: UInt16?
    /// The group of the file; nil for that of the process.
    package var group: UInt32?

    package init(path: String, mode: UInt16? = nil, group: UInt32? = nil) {
        self.path = path
        self.mode = mode
        self.group = group
    }

    /// Throws if the path is too long, or names something that is no socket.
    func check() throws(ListenFailure) {
        let byteCount = path.utf8.count
        guard byteCount <= unixSocketPathBytesMax else {
            throw ListenFailure(
                address: path,
                reason: "got a path of \(byteCount) bytes, expected at most \(unixSocketPathBytesMax)"
            )
        }
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT != S_IFSOCK else { return }
        let found = status.st_mode & S_IFMT == S_IFDIR ? "a directory" : "a file that is no socket"
        throw ListenFailure(address: path, reason: "got \(found), expected a free path or an earlier daemon's socket")
    }

    /// Calls `bind`, which makes the file, and gives the file its mode and group. Until it has both, only its owner can
    /// connect.
    func withPermissions<Listener>(_ bind: () async throws -> Listener) async throws -> Listener {
        guard mode != nil || group != nil else { return try await bind() }
        let usual = umask(0o177)
        let listener: Listener
        do {
            defer { umask(usual) }
            listener = try await bind()
        }
        // The user -1 stays as it is.
        if let group, chown(path, uid_t.max, gid_t(group)) != 0 {
            throw ListenFailure(address: path, reason: "could not set its group: \(String(cString: strerror(errno)))")
        }
        if chmod(path, mode_t(mode ?? 0o777 & ~UInt16(truncatingIfNeeded: usual))) != 0 {
            throw ListenFailure(address: path, reason: "could not set its mode: \(String(cString: strerror(errno)))")
        }
        return listener
    }
}
