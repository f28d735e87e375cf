#if os(Linux) && canImport(Glibc)
import Foundation
import PackedStrings
import Testing

@testable import ItemStore

/// Commits that fail, on a real LMDB file: its descriptors are exchanged for `/dev/full`, where every write ends in
/// `ENOSPC`, and put back later.
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

    /// `CREATE` has a commit of its own: what becomes of the group behind it changes nothing of that.
    @Test func aCollectionIsMadeThoughTheWritesBehindItFail() throws {
        var limits = StoreLimits()
        limits.groupBytesMax = 64 << 20
        let fixture = try StoreFixture(limits: limits)
        let store = fixture.store
        let disk = try FullDisk(fixture.directory.path + "/data.mdb")
        // Full as soon as the collection can be seen, while the writes behind it are still being judged.
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

    /// Both catalogue records or none, in memory as on disk; and what waits before the swap does not slip through.
    @Test func aSwapThatIsNotDurableHasNotHappened() throws {
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
        // As after a kill: no checkpoint, nothing tidied up.
        try fixture.restart(checkpointing: false)
        #expect(dimensions() == [1, 2])
        #expect(fixture.store.collection(named: "c")?.idCount == 1)

        let full = try FullDisk(fixture.directory.path + "/data.mdb")
        #expect(try fixture.apply([.swap("c", "next")]) == [.done])
        // Nothing after its answer is needed for it to last.
        full.fill()
        #expect(try fixture.apply([.swap("c", "next")]).map(Self.code) == [.full])
        #expect(dimensions() == [2, 1])
        full.restore()
        try fixture.restart(checkpointing: false)
        #expect(dimensions() == [2, 1])
        #expect(fixture.store.collection(named: "next")?.idCount == 1)
    }

    /// After a failure that storage can't be trusted beyond, nothing is written, by the checkpoint neither.
    @Test func afterAFailureTheCheckpointWritesNothing() throws {
        var limits = StoreLimits()
        limits.idleCheckpointMilliseconds = 200
        let fixture = try StoreFixture(limits: limits)
        try fixture.apply([.create(name: "c", Self.configuration), Self.put("c", 1)])
        fixture.store.status.fail("the disk is on fire")
        #expect(try fixture.apply([Self.put("c", 2)]).map(Self.code) == [.readOnly])
        // Idle long enough for a checkpoint.
        usleep(500_000)
        #expect(fixture.store.statistics().journalByteCount > 0)
        try fixture.restart(checkpointing: true)
        #expect(fixture.store.statistics().replayedGroupCount == 1)
    }

    /// A failed slice is tried again after a while, also when there is never a moment without writes.
    @Test func aFailedCheckpointGoesOnUnderLoad() throws {
        var limits = StoreLimits()
        limits.checkpointAtJournalBytes = 1
        // One record a slice, so that a pass is under way when the disk gets full.
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

/// The file of an environment, full or not: its data pages, that is. LMDB has opened it once more, with `O_DSYNC`, for
/// the page that ends a commit; a failure there is one that it does not recover from.
final class FullDisk: @unchecked Sendable {
    private let saved: [(descriptor: Int32, copy: Int32)]

    init(_ path: String) throws {
        let real = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        // The names first: a copy would be found too.
        let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").filter { name in
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + name)) == real
                && fcntl(Int32(name)!, F_GETFL) & O_DSYNC == 0
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

    /// Restores nothing: the store may be closed by now, and its descriptors may be another's.
    deinit {
        for (_, copy) in saved { close(copy) }
    }
}
#endif
