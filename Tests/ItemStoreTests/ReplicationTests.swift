import Foundation
import LMDB
import PackedStrings
import SamplingFrequency
import TestSupport
import Testing

@testable import ItemStore

/// A store that applies the operations of another one reaches the same state, bit for bit.
@Suite struct ReplicationTests {
    private static let names = ["a", "twin", "wide", "drift", "sketch", "capped"]

    private struct Group {
        let number: UInt64
        let operations: [UInt8]
    }

    /// The groups in the journal of a store that is closed.
    private static func journal(of fixture: StoreFixture) throws -> [Group] {
        let environment = try fixture.directory.environment()
        return try environment.read { transaction in
            var groups: [Group] = []
            let journal = try Tables(in: transaction).journal
            try JournalGroup.forEach(in: journal, after: 0, transaction) { number, bytes throws(StoreError) in
                groups.append(Group(number: number, operations: Array(bytes.dropFirst(JournalGroup.headerByteCount))))
            }
            return groups
        }
    }

    /// A store whose journal has all its operations since its creation.
    private static func leader(seed: UInt64, writeCount: Int) throws -> StoreFixture {
        var limits = StoreLimits()
        limits.groupBytesMax = 2_000
        limits.idleCheckpointMilliseconds = 600_000
        let fixture = try StoreFixture(limits: limits)
        var writes = RandomWrites(seed: seed, names: names)
        for number in 0..<writeCount / 20 {
            let batch = (0..<20).map { index in
                let name = names[(number + index) % names.count]
                return writes.next(for: name, fixture.store.collection(named: name)?.configuration)
            }
            try fixture.apply(batch)
        }
        fixture.close()
        return fixture
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func aStoreThatAppliesTheOperationsReachesTheSameState(seed: UInt64) throws {
        let leader = try Self.leader(seed: seed, writeCount: TestScale.isFull ? 20_000 : 3_000)
        let groups = try Self.journal(of: leader)
        #expect(groups.count > 100)
        var limits = StoreLimits()
        limits.checkpointAtJournalBytes = 40_000
        limits.checkpointSliceBytes = 1_500
        let follower = try StoreFixture(limits: limits)
        for (index, group) in groups.enumerated() {
            // An occasional crash. The source position says where to continue.
            if index % 97 == 96 { try follower.restart(checkpointing: false) }
            #expect((follower.store.sequence(ofSource: "leader") ?? 0) == group.number - 1)
            let source = SourcePosition(source: "leader", sequence: group.number)
            let write = Write.replicate(operations: group.operations, source: source)
            #expect(try follower.apply([write]) == [.done], "seed \(seed), group \(group.number)")
        }
        try leader.restart(checkpointing: false)
        #expect(StoreState(follower.store) == StoreState(leader.store), "seed \(seed)")
        try follower.restart(checkpointing: true)
        try leader.restart(checkpointing: true)
        #expect(StoreState(follower.store) == StoreState(leader.store), "seed \(seed), after a checkpoint")
        #expect(follower.store.sequence(ofSource: "leader") == groups.last?.number)
    }

    private static func operations(_ encode: (inout OperationEncoder) -> Void) -> [UInt8] {
        var encoder = OperationEncoder()
        encode(&encoder)
        return encoder.withBytes { Array($0.dropFirst(JournalGroup.headerByteCount)) }
    }

    /// Groups that can't follow the creation of a collection and a `PUT` of one id.
    private static func refusedGroups() -> [[UInt8]] {
        let id = Array("b".utf8)
        return [
            operations { encoder in id.withUnsafeBytes { encoder.assign(collection: 1, row: 0, id: $0) } },
            operations { encoder in
                id.withUnsafeBytes { encoder.assign(collection: 1, row: 1, id: $0) }
                encoder.free(collection: 1, row: 7)
            },
            operations { $0.embedding(collection: 1, row: 0, vector: [1, 2]) },
            operations { $0.embedding(collection: 2, row: 0, vector: [1]) },
            operations {
                let configuration = CollectionConfiguration(dimension: 1)
                $0.create(collection: 1, CatalogueRecord(name: "d", configuration: configuration))
            },
            // One id twice, a row that is freed twice, and data for a row that the group has freed.
            operations { encoder in
                for row in [1, 2] as [UInt32] { id.withUnsafeBytes { encoder.assign(collection: 1, row: row, id: $0) } }
            },
            operations {
                $0.free(collection: 1, row: 0)
                $0.free(collection: 1, row: 0)
            },
            operations {
                $0.free(collection: 1, row: 0)
                $0.embedding(collection: 1, row: 0, vector: [2])
            },
            operations { encoder in
                id.withUnsafeBytes { encoder.assign(collection: 1, row: 0xFFFF_FF00, id: $0) }
            },
            operations { $0.embedding(collection: 1, row: 0, vector: [.nan]) },
            operations { $0.observe(collection: 1, Hit(step: 1), position: 5, [.init(row: 0, generation: 0)]) },
            operations { $0.observe(collection: 1, Hit(step: 1, weight: .nan), position: 0, []) },
            operations { $0.frequencies(collection: 1, Hit(step: 1), rows: [0], gaps: [-1], counts: [1]) },
            operations { $0.frequencies(collection: 1, Hit(step: 1), rows: [0], gaps: [1], counts: [.infinity]) },
            Array(operations { $0.swap((1, "c"), (1, "c")) }.dropLast(1)),
            operations { $0.swap((1, "d"), (1, "c")) },
            operations {
                $0.drop(collection: 1)
                $0.free(collection: 1, row: 0)
            },
            operations { $0.sketchObservation(collection: 1, .init(step: 1), hashes: [1]) },
            [99, 1, 2, 3],
        ]
    }

    /// A refused group changes nothing, and the store goes on.
    @Test func operationsThatDoNotContinueTheStateAreRefused() throws {
        let fixture = try StoreFixture()
        try fixture.apply([
            .create(name: "c", CollectionConfiguration(dimension: 1)),
            .put(collection: "c", id: Array("a".utf8), vector: [1], features: nil),
        ])
        let before = StoreState(fixture.store)
        let source = SourcePosition(source: "log", sequence: 9)
        for bytes in Self.refusedGroups() {
            let outcome = try fixture.apply([.replicate(operations: bytes, source: source)])[0]
            guard case .failed(let error) = outcome else {
                Issue.record("\(bytes) were taken")
                continue
            }
            #expect(error.code == .badRequest || error.code == .corrupt, "\(error)")
        }
        #expect(StoreState(fixture.store) == before)
        #expect(fixture.store.sequence(ofSource: "log") == nil)
        #expect(try fixture.apply([.put(collection: "c", id: Array("b".utf8), vector: [2], features: nil)]) == [.done])
    }
}

/// Everything that a store holds. The store must be idle.
struct StoreState: Equatable {
    private let collections: [String: CollectionState]

    init(_ store: ItemStore) {
        collections = Dictionary(
            uniqueKeysWithValues: store.collections().map { ($0.name, CollectionState($0.collection)) }
        )
    }

    private struct CollectionState: Equatable {
        let number: UInt32
        let configuration: CollectionConfiguration
        let statistics: StatisticsState
        let producers: [ProducerEntry]
        let runs: [TrainerRun]
        let rows: [Row]

        init(_ collection: Collection) {
            number = collection.number
            configuration = collection.configuration
            statistics = StatisticsState(collection)
            producers = collection.producers.list.entries
            runs = collection.runs.list.entries
            rows = (0..<collection.owner.rowCount).map { Row($0, collection) }
        }
    }

    private struct Row: Equatable {
        let id: [UInt8]
        let flags: UInt8
        let generation: UInt32
        let vector: [Float]
        let features: [UInt8]?

        init(_ row: UInt32, _ collection: Collection) {
            let (chunk, index) = collection.place(of: row)
            id = Array(IdentifierSlot.bytes(chunk.pointee.identifiers + index))
            flags = chunk.pointee.flags[index].rawValue
            generation = chunk.pointee.reuses[index].generation
            vector = collection.vector(chunk.pointee, index).map(Array.init) ?? []
            features = chunk.pointee.features[index].map { Array($0.bytes) }
        }
    }
}
