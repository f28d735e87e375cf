#if os(Linux)
import Foundation
import PackedStrings
import Testing
import TestSupport

@testable import ItemStore

/// Failing commits on a real LMDB file. Its descriptors are replaced by `/dev/full`, where every write fails with
/// `ENOSPC`, and restored later.
@Suite struct FailingDiskTests {
    private static func id(_ number: Int) -> [UInt8] {
        Array("id-\(number)".utf8)
    }

    private static func put(_ collection: String, _ number: Int) -> Write {
        .put(collection: collection, id: id(number), vector: [1], features: nil)
    }

    private static func code(_ outcome: WriteOutcome) -> StoreError.Code? {
        if case .failed(let error) = outcome { error.code } else { nil }
    }

    private static let configuration = CollectionConfiguration(dimension: 1)

    /// `CREATE` has its own commit. A failure of the group after it does not undo it.
    @Test func aCollectionIsMadeAlthoughTheWritesAfterItFail() throws {
        var limits = StoreLimits()
        limits.groupBytesMax = 64 << 20
        let fixture = try StoreFixture(limits: limits)
        let store = fixture.store
        let disk = try FullDisk(fixture.directory.path + "/data.mdb")
        // Fill the disk once the collection is visible, while the writes after it are still being judged.
        let filler = Thread {
            while store.collection(named: "c") == nil { sched_yield() }
            disk.fill()
        }
        filler.start()
        let puts = (0..<50_000).map { Self.put("c", $0) }
        let outcomes = try fixture.apply([.create(name: "c", Self.configuration)] + puts)
        while !filler.isFinished { sched_yield() }
        #expect(outcomes.first == .done)
        #expect(outcomes.dropFirst().allSatisfy { Self.code($0) == .full })
        disk.restore()
        #expect(try fixture.apply([.create(name: "c", Self.configuration)]).map(Self.code) == [.exists])
        let again = try fixture.apply(Array(puts.prefix(3)))
        #expect(again == [.done, .done, .done])
        #expect(store.collection(named: "c")?.idCount == 3)
    }

    /// A swap changes both catalogue records or none, in memory and on disk. Writes queued before the swap fail with
    /// it.
    @Test func aSwapThatIsNotDurableHasNoEffect() throws {
        let fixture = try StoreFixture()
        try fixture.apply([
            .create(name: "c", Self.configuration), .create(name: "next", CollectionConfiguration(dimension: 2)),
            Self.put("c", 1),
        ])
        func dimensions() -> [Int?] {
            ["c", "next"].map { fixture.store.collection(named: $0)?.configuration.dimension }
        }
        let disk = try FullDisk(fixture.directory.path + "/data.mdb")
        disk.fill()
        let outcomes = try fixture.apply([Self.put("c", 2), .swap("c", "next"), Self.put("c", 3)])
        #expect(outcomes.map(Self.code) == [.full, .full, .full])
        #expect(dimensions() == [1, 2])
        disk.restore()
        // As after a kill: without a checkpoint or any cleanup.
        try fixture.restart(checkpointing: false)
        #expect(dimensions() == [1, 2])
        #expect(fixture.store.collection(named: "c")?.idCount == 1)

        let full = try FullDisk(fixture.directory.path + "/data.mdb")
        #expect(try fixture.apply([.swap("c", "next")]) == [.done])
        // The swap was durable when it was answered, so it needs no later write.
        full.fill()
        #expect(try fixture.apply([.swap("c", "next")]).map(Self.code) == [.full])
        #expect(dimensions() == [2, 1])
        full.restore()
        try fixture.restart(checkpointing: false)
        #expect(dimensions() == [2, 1])
        #expect(fixture.store.collection(named: "next")?.idCount == 1)
    }

    /// What operators see of a full disk, until there is room again.
    @Test func aFullDiskIsNamedUntilAWriteSucceeds() throws {
        let fixture = try StoreFixture()
        try fixture.apply([.create(name: "c", Self.configuration)])
        #expect(fixture.store.statistics().fullReason == nil)
        let disk = try FullDisk(fixture.directory.path + "/data.mdb")
        disk.fill()
        #expect(try fixture.apply([Self.put("c", 1)]).map(Self.code) == [.full])
        #expect(fixture.store.statistics().fullReason != nil)
        disk.restore()
        #expect(try fixture.apply([Self.put("c", 1)]) == [.done])
        #expect(fixture.store.statistics().fullReason == nil)
    }

    /// After a failure that makes the storage untrustworthy, nothing is written, not even by the checkpoint.
    @Test func afterAFailureTheCheckpointWritesNothing() throws {
        var limits = StoreLimits()
        limits.idleCheckpointMilliseconds = 200
        let fixture = try StoreFixture(limits: limits)
        try fixture.apply([.create(name: "c", Self.configuration), Self.put("c", 1)])
        fixture.store.health.fail("the disk is on fire")
        #expect(try fixture.apply([Self.put("c", 2)]).map(Self.code) == [.readOnly])
        // Stay idle long enough for a checkpoint.
        usleep(500_000)
        #expect(fixture.store.statistics().journalByteCount > 0)
        try fixture.restart(checkpointing: true)
        // The creation and the first write.
        #expect(fixture.store.statistics().replayedGroupCount == 2)
    }

    /// LMDB serves no more transactions after it failed to write a meta page, even if there is room again. So the error
    /// must not promise that a later write may succeed.
    @Test func noRoomForTheMetaPageEndsWriting() throws {
        let fixture = try StoreFixture()
        try fixture.apply([.create(name: "c", Self.configuration)])
        let disk = try FullDisk(fixture.directory.path + "/data.mdb", isOfMetaPages: true)
        disk.fill()
        #expect(try fixture.apply([Self.put("c", 1)]).map(Self.code) == [.readOnly])
        disk.restore()
        #expect(try fixture.apply([Self.put("c", 2)]).map(Self.code) == [.readOnly])
        #expect(fixture.store.statistics().failure?.contains("No space left on device") == true)
        try fixture.restart(checkpointing: false)
        #expect(fixture.store.collection(named: "c")?.idCount == 0)
        #expect(try fixture.apply([Self.put("c", 3)]) == [.done])
    }

    /// A failed slice is tried again after a while, even if writes never pause.
    @Test func aFailedCheckpointContinuesUnderLoad() throws {
        var limits = StoreLimits()
        limits.checkpointAtJournalBytes = 1
        // One record in each slice, so that a pass is under way when the disk becomes full.
        limits.checkpointSliceBytes = 1
        limits.idleCheckpointMilliseconds = 1_000
        let fixture = try StoreFixture(limits: limits)
        let disk = try FullDisk(fixture.directory.path + "/data.mdb")
        try fixture.apply([.create(name: "c", Self.configuration)])
        try fixture.apply((0..<100).map { Self.put("c", $0) })
        disk.fill()
        for _ in 0..<2 { #expect(try fixture.apply([Self.put("c", 1)]).map(Self.code) == [.full]) }
        disk.restore()
        let passes = fixture.store.statistics().checkpointPassCount
        let deadline = ContinuousClock.now + .seconds(20)
        while fixture.store.statistics().checkpointPassCount == passes {
            try #require(ContinuousClock.now < deadline, "no pass within 20 seconds of writes")
            try fixture.apply([Self.put("c", 1)])
        }
    }
}

/// The data file of an environment, which can be made full. LMDB has one descriptor for data pages. It has another one,
/// opened with `O_DSYNC`, for the meta page that ends a commit, and does not recover from a failure there.
final class FullDisk: @unchecked Sendable {
    private let saved: [(descriptor: Int32, copy: Int32)]

    init(_ path: String, isOfMetaPages: Bool = false) throws {
        let real = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        // List the names first, because the list would include a copy.
        let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").filter { name in
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + name)) == real
                && (fcntl(Int32(name)!, F_GETFL) & O_DSYNC != 0) == isOfMetaPages
        }
        try #require(!descriptors.isEmpty, "'\(real)' is not open")
        saved = descriptors.map { name in (Int32(name)!, dup(Int32(name)!)) }
    }

    func fill() {
        let full = open("/dev/full", O_RDWR)
        for (descriptor, _) in saved { dup2(full, descriptor) }
        close(full)
    }

    func restore() {
        for (descriptor, copy) in saved { dup2(copy, descriptor) }
    }

    /// Restores nothing, because the store may be closed by now, and its descriptors may belong to other files.
    deinit {
        for (_, copy) in saved { close(copy) }
    }
}
#endif
