/// File systems that other machines may change, or that run as a program of a user. Their locks, their syncs and their
/// mapped files don't keep what those of a disk keep.
package enum NetworkFileSystem {
    /// The type of the file system that has `path`, if it is one of these: `nfs4`, `fuse.sshfs`. Nil for a local one,
    /// and if the system does not say. `root` comes before the path of the list of mounts, so that a test can use a
    /// directory in place of the real system.
    package static func type(of path: String, root: String = "") -> String? {
        #if canImport(Darwin)
        var volume = statfs()
        guard statfs(path, &volume) == 0, volume.f_flags & UInt32(MNT_LOCAL) == 0 else { return nil }
        return withUnsafeBytes(of: volume.f_fstypename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        #else
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        let device = Self.device(status.st_dev)
        let mount = MountEntry.all(root: root).first { $0.device == device }
        return mount.flatMap { isRemote($0.type) ? $0.type : nil }
        #endif
    }

    /// The number of a device as the kernel writes it in the list of mounts: `major:minor`.
    static func device(_ number: dev_t) -> String {
        let bits = UInt64(truncatingIfNeeded: number)
        let major = bits >> 8 & 0xFFF | bits >> 32 & ~0xFFF
        let minor = bits & 0xFF | bits >> 12 & ~0xFF
        return "\(major):\(minor)"
    }

    /// `fuseblk` is a local disk. Types such as `virtiofs` are directories of the host of a virtual machine.
    static func isRemote(_ type: String) -> Bool {
        type == "fuse" || type.hasPrefix("fuse.")
            || [
                "9p", "afs", "beegfs", "ceph", "cifs", "gfs2", "lustre", "nfs", "nfs4", "ocfs2", "prl_fs", "smb3",
                "smbfs", "vboxsf", "virtiofs", "vmhgfs",
            ].contains(type)
    }
}
