import Foundation
import NIOConcurrencyHelpers
import PackedStrings
import SamplingFrequency
import Synchronization
import TestSupport
import Testing

@testable import ItemStore

/// Tests of a collection whose estimator is a sketch, where it differs from other collections. (`ModelTests` and
/// `KillTests` test its estimates, over restarts, random writes and kills.)
@Suite struct SketchTests {
    private static func configuration(buckets: Int, hashes: Int) -> CollectionConfiguration {
        CollectionConfiguration(
            dimension: 1,
            sketch: SketchLayout(bucketCount: buckets, hashCount: hashes, seed: 3)
        )
    }

    private static func observe(_ step: Int, _ ids: some Sequence<Int>) -> Write {
        .observe(
            collection: "c",
            step: RequestedStep(Int64(step)),
            sequence: nil,
            ids: PackedStrings(ids.map { Array("id-\($0)".utf8) })
        )
    }

    @Test func memoryStaysTheSame() throws {
        let fixture = try StoreFixture()
        try fixture.apply([.create(name: "c", Self.configuration(buckets: 10_000, hashes: 3))])
        let collection = try #require(fixture.store.collection(named: "c"))
        let before = collection.memoryByteCount
        #expect(collection.sketchByteCount >= 10_000 * 3 * 32)
        #expect(before >= collection.sketchByteCount)
        for step in 1...20 { try fixture.apply([Self.observe(step, (step * 5_000)..<(step * 5_000 + 5_000))]) }
        #expect(collection.memoryByteCount == before)
        #expect(collection.idCount == 0)
        #expect(collection.totals.count == 100_000)
        try fixture.restart(checkpointing: true)
        #expect(fixture.store.collection(named: "c")?.memoryByteCount == before)
    }

    @Test func aSketchThatDoesNotFitIsNotMade() throws {
        var limits = StoreLimits()
        limits.memoryBytesMax = 1 << 20
        let fixture = try StoreFixture(limits: limits)
        let outcomes = try fixture.apply([
            .create(name: "c", Self.configuration(buckets: 20_000, hashes: 2)),
            .create(name: "c", Self.configuration(buckets: 1 << 32, hashes: 1)),
            .create(name: "c", Self.configuration(buckets: 10_000, hashes: 2)),
            .create(name: "d", Self.configuration(buckets: 20_000, hashes: 1)),
            .drop(name: "c"),
            .create(name: "d", Self.configuration(buckets: 20_000, hashes: 1)),
        ])
        let codes = outcomes.map { outcome -> StoreError.Code? in
            if case .failed(let error) = outcome { error.code } else { nil }
        }
        #expect(codes == [.full, .full, nil, .full, nil, nil])
        #expect(fixture.store.collections().map(\.name) == ["d"])
    }

    /// Every id is in every batch. So in each bucket of an id, the count is always the number of the step.
    @Test func aReadOfAnIDIsFromOneMoment() throws {
        var limits = StoreLimits()
        limits.checkpointAtJournalBytes = 100_000
        limits.checkpointSliceBytes = 20_000
        let fixture = try StoreFixture(limits: limits)
        try fixture.apply([.create(name: "c", Self.configuration(buckets: 1 << 20, hashes: 8))])
        let collection = try #require(fixture.store.collection(named: "c"))
        let ids = PackedStrings((0..<300).map { Array("id-\($0)".utf8) })
        let isOver = Atomic<Bool>(false)
        let readCount = Atomic<Int>(0)
        let wrong = NIOLockedValueBox<[String]>([])
        let readers = (0..<2).map { _ in
            let thread = Thread {
                while !isOver.load(ordering: .relaxed) {
                    for estimate in collection.frequencies(of: ids, 0..<300) where estimate.count > 0 {
                        readCount.add(1, ordering: .relaxed)
                        let isWhole =
                            Int64(estimate.count) == estimate.lastStep && estimate.gap == (estimate.count > 1 ? 1 : nil)
                        if !isWhole { wrong.withLockedValue { $0.append("\(estimate)") } }
                    }
                }
            }
            thread.start()
            return thread
        }
        for step in 1...300 { try fixture.apply([Self.observe(step, 0..<300)]) }
        isOver.store(true, ordering: .relaxed)
        for reader in readers {
            while !reader.isFinished { sched_yield() }
        }
        #expect(wrong.withLockedValue { $0.first } == nil)
        #expect(readCount.load(ordering: .relaxed) > 1_000)
        #expect(fixture.store.statistics().checkpointPassCount > 0)
    }

    /// A page beyond the last bucket, and an observation of a sketch for a collection without one.
    @Test func pagesAndOperationsWithoutASketchToBelongToAreCorrupt() throws {
        let collection = try Collection(number: 1, configuration: Self.configuration(buckets: 100, hashes: 1))
        let pages = try #require(collection.sketchPages)
        #expect(throws: StoreError.self) {
            try [UInt8](repeating: 0, count: 1_040).withUnsafeBytes {
                try pages.load($0, key: FrequencyKey(collection: 1, record: 4), into: collection)
            }
        }
        let exact = try Collection(number: 2, configuration: CollectionConfiguration(dimension: 1))
        let noHashes = UnsafeRawBufferPointer(start: nil, count: 0)
        #expect(throws: StoreError(.corrupt, "corrupt operation in table 'journal', group 9: there is no sketch")) {
            try exact.apply(.sketchObservation(Hit(step: 1), .dividesGaps, hashes: noHashes), group: 9)
        }
    }
}

#if os(Linux)
extension FailingDiskTests {
    /// A later slice writes the pages of a failed one.
    @Test func aFailedSliceOfASketchIsCopiedAgain() throws {
        var limits = StoreLimits()
        limits.checkpointAtJournalBytes = 1
        limits.checkpointSliceBytes = 10_000
        limits.idleCheckpointMilliseconds = 100
        let fixture = try StoreFixture(limits: limits)
        // With this many buckets, no later id in the same page repairs what a failed slice has lost.
        let sketch = SketchLayout(bucketCount: 200_000, hashCount: 2, seed: 1)
        try fixture.apply([.create(name: "c", CollectionConfiguration(dimension: 1, sketch: sketch))])
        let disk = try FullDisk(fixture.directory.path + "/data.mdb")
        for step in 1...20 {
            let ids = PackedStrings((0..<200).map { Array("id-\($0)-\(step)".utf8) })
            let observation = Write.observe(collection: "c", step: RequestedStep(Int64(step)), sequence: nil, ids: ids)
            #expect(try fixture.apply([observation]) == [.done])
            // The next slice fails.
            disk.fill()
            usleep(20_000)
            disk.restore()
        }
        let before = StatisticsState(try #require(fixture.store.collection(named: "c")))
        let deadline = ContinuousClock.now + .seconds(TestScale.patienceSeconds)
        while fixture.store.statistics().journalByteCount > 0 {
            try #require(ContinuousClock.now < deadline, "the journal is never cut")
            usleep(10_000)
        }
        try fixture.restart(checkpointing: false)
        #expect(fixture.store.statistics().replayedGroupCount == 0)
        #expect(StatisticsState(try #require(fixture.store.collection(named: "c"))) == before)
    }
}
#endif
