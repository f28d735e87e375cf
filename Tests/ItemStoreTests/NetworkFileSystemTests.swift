import Foundation
import Logging
import NIOConcurrencyHelpers
import TestSupport
import Testing

@testable import ItemStore
@testable import SystemSupport

/// A data directory on a network file system, as the kernel's list of mounts names it.
@Suite struct NetworkFileSystemTests {
    @Test func typesOfOtherMachinesAndOfProgramsAreNamed() {
        for type in ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse", "fuse.sshfs", "virtiofs", "ceph"] {
            #expect(NetworkFileSystem.isRemote(type), "\(type)")
        }
        for type in ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", "fusectl", "nfsd"] {
            #expect(!NetworkFileSystem.isRemote(type), "\(type)")
        }
    }

    #if os(Linux)
    @Test func theDirectoryOfThisTestIsOnALocalDisk() throws {
        let directory = try TemporaryDirectory()
        #expect(NetworkFileSystem.type(of: directory.path) == nil)
    }

    /// The mount is found by the number of its device, and not by its path, because paths may be links.
    @Test func theLogWarnsOfANetworkFileSystem() throws {
        let root = try TemporaryDirectory()
        let data = try TemporaryDirectory()
        var status = stat()
        try #require(stat(data.path, &status) == 0)
        let device = NetworkFileSystem.device(status.st_dev)
        let listURL = URL(fileURLWithPath: root.path + "/proc/self/mountinfo")
        try FileManager.default.createDirectory(
            at: listURL.deletingLastPathComponent(),
            withIntermediateDirectories: true
        )
        for (type, isWarned) in [("nfs4", true), ("ext4", false), ("fuse.sshfs", true)] {
            let list = "21 1 0:1 / /proc rw - proc proc rw\n27 1 \(device) / /mnt rw shared:1 - \(type) host:/x rw\n"
            try Data(list.utf8).write(to: listURL)
            let warnings = NIOLockedValueBox<[Logger.Metadata]>([])
            let directory = try DataDirectory(path: data.path, isReadOnly: false)
            directory.warnOfNetwork(Logger(label: "test") { _ in Handler(warnings: warnings) }, root: root.path)
            let expected: Logger.Metadata = ["data": "\(directory.path)", "file-system": "\(type)"]
            #expect(warnings.withLockedValue { $0 } == (isWarned ? [expected] : []))
        }
    }
    #endif

    /// Keeps the warnings of a logger.
    private struct Handler: LogHandler {
        let warnings: NIOLockedValueBox<[Logger.Metadata]>
        var logLevel = Logger.Level.warning
        var metadata: Logger.Metadata = [:]
        var metadataProvider: Logger.MetadataProvider?

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            if event.level == .warning { warnings.withLockedValue { $0.append(event.metadata ?? [:]) } }
        }
    }
}
