import Foundation
import PackedStrings
import TestSupport
import Testing

@testable import ItemStore

/// Merging into the features of an item, on a real store.
@Suite struct FeatureMergeTests {
    private static let id = Array("a".utf8)

    private static func set(_ json: String) -> Write {
        .setFeatures(collection: "c", id: id, json: Array(json.utf8))
    }

    private static func merge(_ patch: String) -> Write {
        .mergeFeatures(collection: "c", id: id, patch: Array(patch.utf8))
    }

    private static let delete = Write.delete(collection: "c", ids: PackedStrings([id]))

    private static func code(_ outcome: WriteOutcome) -> StoreError.Code? {
        if case .failed(let error) = outcome { error.code } else { nil }
    }

    private static func store(_ limits: StoreLimits = StoreLimits()) throws -> StoreFixture {
        let fixture = try StoreFixture(limits: limits)
        try fixture.apply([.create(name: "c", CollectionConfiguration(dimension: 1, recentCount: 0))])
        return fixture
    }

    private static func features(_ fixture: StoreFixture) throws -> String? {
        let column = try #require(fixture.store.collection(named: "c")).features(of: PackedStrings([id]), 0..<1)
        return column.isPresent[0] ? String(decoding: column.json[0], as: UTF8.self) : nil
    }

    /// The writes of one batch are in one group, so each merge but the first sees features that are not durable.
    @Test func aMergeSeesAllEarlierWrites() throws {
        let fixture = try Self.store()
        let before = fixture.store.health.journal.lastGroup
        let outcomes = try fixture.apply(
            [Self.merge(#"{"stock":9,"price":9007199254740993,"gone":null}"#), Self.merge(#"{"stock":8}"#)]
                + (0..<100).map { Self.merge("{\"k\($0)\":\($0)}") }
                + (0..<99).map { Self.merge("{\"k\($0)\":null}") }
        )
        #expect(outcomes.allSatisfy { $0 == .done })
        #expect(fixture.store.health.journal.lastGroup - before <= 2)
        #expect(try Self.features(fixture) == #"{"stock":8,"price":9007199254740993,"k99":99}"#)
        // What was pending in an earlier group does not count any more.
        try fixture.apply([Self.set(#"{"x":1}"#)])
        try fixture.apply([Self.merge(#"{"y":2}"#)])
        #expect(try Self.features(fixture) == #"{"x":1,"y":2}"#)
        for checkpointing in [false, true] {
            try fixture.restart(checkpointing: checkpointing)
            #expect(try Self.features(fixture) == #"{"x":1,"y":2}"#)
        }
    }

    @Test func aMergeAfterADeletionBeginsAnew() throws {
        let fixture = try Self.store()
        try fixture.apply([Self.set(#"{"old":1}"#)])
        let outcomes = try fixture.apply([
            Self.merge(#"{"new":1}"#), Self.delete, Self.merge(#"{"y":2,"old":null}"#), Self.merge(#"{"z":3}"#),
        ])
        #expect(outcomes.map(Self.code) == [nil, nil, nil, nil])
        #expect(try Self.features(fixture) == #"{"y":2,"z":3}"#)
    }

    /// Only the result is bounded, at the bound of all features.
    @Test func aResultThatIsTooLongIsRefused() throws {
        let fixture = try Self.store()
        let text = String(repeating: "x", count: 60_000)
        try fixture.apply([Self.set("{\"a\":\"\(text)\"}")])
        let outcome = try fixture.apply([Self.merge("{\"b\":\"\(text.prefix(5_521))\"}")])[0]
        #expect(
            outcome
                == .failed(
                    StoreError(
                        .limit,
                        "got features that would have 65536 bytes when merged, expected at most 65535"
                    )
                )
        )
        #expect(try fixture.apply([Self.merge("{\"b\":\"\(text.prefix(5_520))\"}")]) == [.done])
        #expect(try Self.features(fixture)?.utf8.count == 65_535)
        // A new value for a key is no growth.
        #expect(try fixture.apply([Self.merge("{\"a\":\"\(text)\"}")]) == [.done])
    }

    @Test func aMergeThatGrowsPastTheMemoryLimitIsRefused() throws {
        let configuration = CollectionConfiguration(dimension: 1, recentCount: 0)
        var limits = StoreLimits()
        limits.memoryBytesMax =
            Collection.initialByteCount(configuration) + ItemChunk.byteCount(dimension: 1) + 14_000
        let fixture = try Self.store(limits)
        func merge(_ id: Int, _ key: String, _ byteCount: Int) -> Write {
            let text = String(repeating: "x", count: byteCount)
            let patch = Array("{\"\(key)\":\"\(text)\"}".utf8)
            return .mergeFeatures(collection: "c", id: Array("\(id)".utf8), patch: patch)
        }
        for key in ["a", "b", "c"] { try fixture.apply((0..<10).map { merge($0, key, 500) }) }
        let outcomes = try fixture.apply((0..<10).map { merge($0, "d", 500) })
        #expect(outcomes.map(Self.code) == Array(repeating: .full, count: 10))
        #expect(fixture.store.statistics().memoryByteCount <= limits.memoryBytesMax)
        // A merge that makes features no larger is taken.
        #expect(try fixture.apply([merge(0, "a", 500), merge(1, "a", 3)]) == [.done, .done])
    }

    #if os(Linux)
    /// A merge that commits the group first must not keep what that group failed to write.
    @Test func aMergeAfterAFailedCommitSeesTheDurableFeatures() throws {
        let fixture = try Self.store()
        try fixture.apply([Self.set(#"{"old":1}"#)])
        let disk = try FullDisk(fixture.directory.path + "/data.mdb")
        let (isBlocked, mayGoOn, isDone) = (
            DispatchSemaphore(value: 0), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0)
        )
        // The store's thread waits here, so that it takes the next two batches together.
        try fixture.store.submit(
            WriteBatch([Self.merge(#"{"durable":1}"#)]) { _ in
                isBlocked.signal()
                mayGoOn.wait()
            }
        )
        try wait(for: isBlocked, "the store's thread")
        // The merge of the second batch commits this deletion, which fails, and then there is room again.
        try fixture.store.submit(
            WriteBatch([Self.merge(#"{"lost":1}"#), Self.delete]) { outcomes in
                #expect(outcomes.map(Self.code) == [.full, .full])
                disk.restore()
            }
        )
        try fixture.store.submit(
            WriteBatch([Self.merge(#"{"new":1}"#)]) { outcomes in
                #expect(outcomes == [.done])
                isDone.signal()
            }
        )
        disk.fill()
        mayGoOn.signal()
        try wait(for: isDone, "the merge")
        #expect(try Self.features(fixture) == #"{"old":1,"durable":1,"new":1}"#)
    }
    #endif
}
