import Foundation
import SystemSupport
import TestSupport
import Testing

/// The memory limits of control groups, read from files as the kernel writes them.
@Suite struct AvailableMemoryTests {
    private let root: TemporaryDirectory

    init() throws {
        root = try TemporaryDirectory()
    }

    private func write(_ text: String, to path: String) throws {
        let url = URL(fileURLWithPath: root.path + path)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }

    private var limit: AvailableMemory? { ControlGroups.memoryLimit(root: root.path) }

    private static let version2Mount = "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw\n"

    @Test func theSmallestLimitOfAllAncestorsHolds() throws {
        try write("0::/system.slice/logqd.service\n", to: "/proc/self/cgroup")
        try write("23 1 8:1 / / rw - ext4 /dev/sda rw\n" + Self.version2Mount, to: "/proc/self/mountinfo")
        #expect(limit == nil)
        try write("max\n", to: "/sys/fs/cgroup/system.slice/logqd.service/memory.max")
        #expect(limit == nil)
        try write("314572800\n", to: "/sys/fs/cgroup/system.slice/memory.max")
        let ofSlice = AvailableMemory(byteCount: 314_572_800, source: "memory.max of control group /system.slice")
        #expect(limit == ofSlice)
        try write("400000000\n", to: "/sys/fs/cgroup/system.slice/logqd.service/memory.max")
        #expect(limit == ofSlice)
        try write("200000000\n", to: "/sys/fs/cgroup/system.slice/logqd.service/memory.high")
        #expect(limit?.byteCount == 200_000_000)
        try write("100000000\n", to: "/sys/fs/cgroup/memory.max")
        #expect(limit == AvailableMemory(byteCount: 100_000_000, source: "memory.max of control group /"))
    }

    @Test func version1HasLimitsToo() throws {
        try write("5:cpu,cpuacct:/a\n4:memory:/docker/abc\n0::/\n", to: "/proc/self/cgroup")
        let mounts =
            "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
            + "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        try write(mounts, to: "/proc/self/mountinfo")
        try write("9223372036854771712\n", to: "/sys/fs/cgroup/memory/memory.limit_in_bytes")
        try write("1000000\n", to: "/sys/fs/cgroup/cpu/a/memory.limit_in_bytes")
        try write("314572800\n", to: "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes")
        #expect(limit?.byteCount == 314_572_800)
        #expect(limit?.source == "memory.limit_in_bytes of control group /docker/abc")
    }

    /// The mount of a container begins at the container's own group, whose path is that of the host, or `/`.
    @Test(arguments: ["/docker/abc", "/", "/../other"])
    func aContainerReadsItsOwnGroup(path: String) throws {
        try write("4:memory:\(path)\n", to: "/proc/self/cgroup")
        try write(
            "35 31 0:32 /docker/abc /sys/fs/cgroup\\040x rw - cgroup cgroup rw,memory\n",
            to: "/proc/self/mountinfo"
        )
        try write("314572800\n", to: "/sys/fs/cgroup x/memory.limit_in_bytes")
        #expect(limit?.byteCount == 314_572_800)
    }

    @Test func thisProcessMayUseSomeMemory() {
        let memory = AvailableMemory.ofThisProcess()
        #expect(memory.byteCount > 0 && !memory.source.isEmpty)
    }
}
