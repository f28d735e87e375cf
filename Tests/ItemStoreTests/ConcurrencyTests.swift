import Foundation
import NIOConcurrencyHelpers
import PackedStrings
import Synchronization
import SystemSupport
import TestSupport
import Testing
import VectorIndex

@testable import ItemStore

/// Readers that run concurrently with the store's thread. Every value shows which id it belongs to. So a reader notices
/// a mix of two values, or a value of another id.
@Suite struct ConcurrencyTests {
    private static let dimension = 24
    private static let idCount = 3_000
    private static let ids = (0..<idCount).map { Array("item-\($0)".utf8) }

    /// All numbers of a vector are the same: version · 4096 + id.
    private static func vector(_ id: Int, version: Int) -> [Float] {
        [Float](repeating: Float((version % 2_000) * 4_096 + id), count: dimension)
    }

    private static func json(_ id: Int, version: Int) -> [UInt8] {
        Array(#"{"id":\#(id),"pad":"\#(String(repeating: "p", count: version % 50))","again":\#(id)}"#.utf8)
    }

    @Test func readersNeverSeeHalfAWriteOrAnotherIDsData() throws {
        var limits = StoreLimits()
        limits.checkpointAtJournalBytes = 1 << 20
        let fixture = try StoreFixture(limits: limits)
        try fixture.apply([.create(name: "c", CollectionConfiguration(dimension: Self.dimension))])
        let store = fixture.store
        let collection = try #require(store.collection(named: "c"))
        let isOver = Atomic<Bool>(false)
        let wrong = NIOLockedValueBox<[String]>([])
        let lookups = Atomic<Int>(0)

        let readers = (0..<3).map { number in
            let thread = Thread {
                var random = SeededGenerator(seed: UInt64(number + 1))
                while !isOver.load(ordering: .relaxed) {
                    if let fault = Self.look(collection, &random, ranking: number == 0) {
                        wrong.withLockedValue { $0.append(fault) }
                        return
                    }
                    lookups.add(1, ordering: .relaxed)
                }
            }
            thread.stackSize = 1 << 20
            thread.start()
            return thread
        }
        var random = SeededGenerator(seed: 7)
        for version in 0..<300 where wrong.withLockedValue({ $0.isEmpty }) {
            _ = try store.apply((0..<100).map { _ in Self.randomWrite(version, &random) })
        }
        isOver.store(true, ordering: .relaxed)
        for reader in readers {
            while !reader.isFinished { sched_yield() }
        }
        #expect(wrong.withLockedValue { $0 } == [])
        #expect(lookups.load(ordering: .relaxed) > 100)
        #expect(store.statistics().checkpointPassCount > 0)
    }

    private static func randomWrite(_ version: Int, _ random: inout SeededGenerator) -> Write {
        let id = Int.random(in: 0..<idCount, using: &random)
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<2: return .delete(collection: "c", ids: PackedStrings([ids[id]]))
        case 2: return .setFeatures(collection: "c", id: ids[id], json: json(id, version: version))
        case 3: return .observe(collection: "c", step: nil, sequence: nil, ids: PackedStrings([ids[id]]))
        default:
            return .put(
                collection: "c",
                id: ids[id],
                vector: vector(id, version: version),
                features: json(id, version: version)
            )
        }
    }

    /// Reads the collection once. Returns a description of what is wrong, or nil.
    private static func look(
        _ collection: Collection,
        _ random: inout SeededGenerator,
        ranking: Bool
    ) -> String? {
        if ranking {
            let query = QueryVector([Float](repeating: 1, count: dimension), metric: .dot)
            let answer = collection.topK(TopKQuery(vector: query, k: 50, columns: [.vector, .features]))
            for index in 0..<answer.ids.count {
                let id = Int(String(decoding: answer.ids[index].dropFirst(5), as: UTF8.self))!
                let vector = answer.vectors[index * dimension..<(index + 1) * dimension]
                if let fault = fault(id, vector, answer.features, index) { return fault }
                if query.score(Array(vector)) != answer.scores[index] { return "the score is not the vector's" }
            }
            return nil
        }
        let some = (0..<20).map { _ in Int.random(in: 0..<idCount, using: &random) }
        let packed = PackedStrings(some.map { ids[$0] })
        let embeddings = collection.embeddings(of: packed, 0..<some.count)
        let features = collection.features(of: packed, 0..<some.count)
        var next = 0
        for (index, id) in some.enumerated() {
            var vector: ArraySlice<Float> = []
            if embeddings.isPresent[index] {
                vector = embeddings.values[next..<next + dimension]
                next += dimension
            }
            if let fault = fault(id, vector, features, index) { return fault }
        }
        return nil
    }

    private static func fault(
        _ id: Int,
        _ vector: ArraySlice<Float>,
        _ features: Collection.FeatureColumn,
        _ index: Int
    ) -> String? {
        if let first = vector.first {
            if !vector.allSatisfy({ $0 == first }) { return "id \(id) has half of another vector: \(vector)" }
            if Int(first) % 4_096 != id { return "id \(id) has the vector of id \(Int(first) % 4_096)" }
        }
        if features.isPresent[index] {
            let json = String(decoding: features.json[index], as: UTF8.self)
            if !json.hasPrefix(#"{"id":\#(id),"#) || !json.hasSuffix(#""again":\#(id)}"#) {
                return "id \(id) has the features \(json)"
            }
        }
        return nil
    }

    /// Overlapping readers must not keep a writer out forever.
    @Test func aWriterGetsTheLockDespiteConstantReaders() throws {
        let lock = ReadWriteLock()
        let isOver = Atomic<Bool>(false)
        let readers = (0..<8).map { _ in
            Background {
                while !isOver.load(ordering: .relaxed) {
                    lock.withReadLock { _ = usleep(2_000) }
                }
            }
        }
        let writer = Background {
            for _ in 0..<20 { lock.withWriteLock {} }
        }
        let outcome = Result { try writer.wait(within: 10) }
        isOver.store(true, ordering: .relaxed)
        for reader in readers { try reader.wait() }
        if case .failure = outcome { try writer.wait() }
        lock.destroy()
        try outcome.get()
    }
}
