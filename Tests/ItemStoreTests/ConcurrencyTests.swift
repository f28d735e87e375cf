import Foundation
import NIOConcurrencyHelpers
import PackedStrings
import Synchronization
import TestSupport
import Testing
import VectorIndex

@testable import ItemStore

/// Readers beside the writer. Every value an id ever has can be recognised as its own, so a reader that saw half of one
/// value and half of another, or another id's, would know.
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

    /// One look at the collection; says what is wrong with what it saw.
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

    /// Readers that overlap must not keep a writer out for ever.
    @Test func aWriterGetsTheLockThoughItIsNeverFreeOfReaders() throws {
        let lock = ReadWriteLock()
        let isOver = Atomic<Bool>(false)
        let readers = (0..<8).map { _ in
            Thread {
                while !isOver.load(ordering: .relaxed) {
                    lock.withReadLock { _ = usleep(2_000) }
                }
            }
        }
        for reader in readers { reader.start() }
        let written = DispatchSemaphore(value: 0)
        let writer = Thread {
            for _ in 0..<20 { lock.withWriteLock {} }
            written.signal()
        }
        writer.start()
        let result = written.wait(timeout: .now() + 10)
        isOver.store(true, ordering: .relaxed)
        while !(readers + [writer]).allSatisfy(\.isFinished) { sched_yield() }
        lock.destroy()
        #expect(result == .success, "the writer waited for ten seconds")
    }
}
