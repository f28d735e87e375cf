/// The memory limits of Linux control groups, versions 1 and 2.
///
/// A process is in one group of each hierarchy, and the limits of all ancestors hold too. In a container, the mount of
/// a hierarchy may begin at the container's own group. Ancestors above the mount can't be read, and neither can their
/// limits.
package enum ControlGroups {
    /// The smallest limit of the groups of this process; nil if there is none. `root` comes before all paths, so that a
    /// test can use a directory in place of the real system.
    package static func memoryLimit(root: String = "") -> AvailableMemory? {
        let groups = linesOfFile(root + "/proc/self/cgroup").compactMap(Membership.init)
        let mounts = MountEntry.all(root: root).compactMap(Mount.init)
        let found = mounts.flatMap { mount in
            groups.first { $0.isVersion2 == mount.isVersion2 }.map { limits(of: $0, in: mount, root) } ?? []
        }
        return AvailableMemory.smallest(found)
    }

    /// The limits of a group and its ancestors up to the mount.
    private static func limits(of group: Membership, in mount: Mount, _ root: String) -> [AvailableMemory] {
        var path = mount.pathBelow(group.path)
        var limits: [AvailableMemory] = []
        while true {
            for file in mount.isVersion2 ? ["memory.max", "memory.high"] : ["memory.limit_in_bytes"] {
                // A group without a limit says "max", or a number beyond any machine.
                let line = linesOfFile(root + mount.point + path + "/" + file).first
                guard let limit = line.flatMap({ Int($0) }) else { continue }
                let name = path.isEmpty ? "/" : path
                limits.append(AvailableMemory(byteCount: limit, source: "\(file) of control group \(name)"))
            }
            guard let slash = path.lastIndex(of: "/") else { return limits }
            path = String(path[..<slash])
        }
    }

    /// A line of `/proc/self/cgroup`: `hierarchy:controllers:path`. The hierarchy of version 2 is 0.
    private struct Membership {
        let isVersion2: Bool
        let path: String

        init?(_ line: String) {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { return nil }
            isVersion2 = fields[0] == "0"
            guard isVersion2 || fields[1].split(separator: ",").contains("memory") else { return nil }
            path = String(fields[2])
        }
    }

    /// A mount of a hierarchy with memory limits.
    private struct Mount {
        let isVersion2: Bool
        /// The group at which the mount begins.
        private let root: String
        let point: String

        init?(_ entry: MountEntry) {
            switch entry.type {
            case "cgroup2":
                isVersion2 = true
            case "cgroup":
                guard entry.options.contains("memory") else { return nil }
                isVersion2 = false
            default:
                return nil
            }
            root = entry.root
            point = entry.point
        }

        /// The path of a group below the mount, empty for the group at which the mount begins. A group outside the
        /// mount has no path there, and the mount's own group is the nearest that can be read.
        func pathBelow(_ group: String) -> String {
            let base = root == "/" ? "" : root
            guard group.hasPrefix(base + "/"), !group.split(separator: "/").contains("..") else { return "" }
            let path = String(group.dropFirst(base.count))
            return path == "/" ? "" : path
        }
    }
}
