import Dispatch
import Foundation
import ItemStore
import NIOConcurrencyHelpers
import PackedStrings
import Synchronization
import TestSupport
import Testing
import VectorIndex

@testable import LogQServer

/// Draws in the query pool, together with searches. As in `QueryPoolTests`, a completion that does not return keeps the
/// only thread busy.
@Suite(.timeLimit(.minutes(5)))
final class SamplingPoolTests {
    private let fixture: StoreFixture
    private let collection: Collection
    private let gate = Gate()
    private let outcomes = Outcomes()
    private var random = SeededGenerator()

    init() throws {
        fixture = try StoreFixture()
        collection = try fixture.collection(named: "a", count: 300, &random)
    }

    private func withHeldPool(waitingMax: Int = 100, _ body: (QueryPool) throws -> Void) throws {
        let pool = QueryPool(threadCount: 1, waitingMax: waitingMax)
        defer { pool.close() }
        defer { gate.open() }
        try gate.hold(pool, collection)
        try body(pool)
    }

    private func sampling(
        _ number: Int,
        deadline: ContinuousClock.Instant = .now + .seconds(3_600),
        isWanted: @escaping @Sendable () -> Bool = { true }
    ) -> QueuedQuery {
        .sampling(
            Sampling(
                collection: collection,
                question: SampleQuery(.uniform, count: number + 1, seed: 7),
                deadline: deadline,
                isWanted: isWanted,
                complete: { [outcomes] in outcomes.add(number, $0.map(\.ids.count)) }
            )
        )
    }

    private func listing(
        _ number: Int,
        deadline: ContinuousClock.Instant = .now + .seconds(3_600),
        isWanted: @escaping @Sendable () -> Bool = { true }
    ) -> QueuedQuery {
        .listing(
            Listing(
                collection: collection,
                question: PopularQuery(count: number + 1),
                deadline: deadline,
                isWanted: isWanted,
                complete: { [outcomes] in outcomes.add(number, $0.map(\.ids.count)) }
            )
        )
    }

    private func search(_ number: Int) -> QueuedQuery {
        let vector = (0..<2).map { _ in Float.random(in: -1...1, using: &random) }
        return .search(
            Search(
                collection: collection,
                question: TopKQuery(vector: QueryVector(vector, metric: .dot), k: number + 1),
                complete: { [outcomes] in outcomes.add(number, $0.map(\.ids.count)) }
            )
        )
    }

    /// Waiting searches share a pass even if draws are between them. Each draw has its own turn, the oldest first.
    @Test func drawsAreMadeOneByOneInTheirTurn() throws {
        try withHeldPool { pool in
            for number in 0..<7 {
                #expect(number % 2 == 0 ? pool.submit(sampling(number)) : pool.submit(search(number)))
            }
            #expect(pool.statistics.waitingCount == 7)
            gate.open()
            let found = try outcomes.wait(count: 7)
            #expect(outcomes.order == [0, 1, 3, 5, 2, 4, 6])
            #expect((0..<7).allSatisfy { found[$0] == .success($0 + 1) })
            let statistics = pool.statistics
            #expect(statistics.samplingCount == 4 && statistics.searchCount == 4 && statistics.passCount == 2)
            #expect(statistics.waitingCount == 0)
        }
    }

    /// A list has its own turn too. One that is late before its turn is not answered.
    @Test func listsAreMadeOneByOneInTheirTurn() throws {
        try withHeldPool { pool in
            let now = ContinuousClock.now
            #expect(pool.submit(search(0)))
            #expect(pool.submit(listing(1)))
            #expect(pool.submit(search(2)))
            #expect(pool.submit(listing(3, deadline: now)))
            #expect(pool.submit(sampling(4)))
            #expect(pool.submit(listing(5)))
            try wait(until: now)
            gate.open()
            let found = try outcomes.wait(count: 6)
            #expect(outcomes.order == [0, 2, 1, 3, 4, 5])
            #expect(found[3] == .failure(.timeout))
            #expect([0, 1, 2, 4, 5].allSatisfy { found[$0] == .success($0 + 1) })
            #expect(pool.statistics.samplingCount == 1 && pool.statistics.searchCount == 3)
        }
    }

    @Test func aListThatPassesItsDeadlineTimesOut() throws {
        try withHeldPool { pool in
            let deadline = ContinuousClock.now + .milliseconds(20)
            // Called after the thread has looked at the clock.
            let isWanted: @Sendable () -> Bool = {
                while ContinuousClock.now <= deadline { sched_yield() }
                return true
            }
            #expect(pool.submit(listing(0, deadline: deadline, isWanted: isWanted)))
            gate.open()
            let found = try outcomes.wait(count: 1)
            #expect(found[0] == .failure(.timeout))
        }
    }

    @Test func aFullQueueTakesNoDraw() throws {
        try withHeldPool(waitingMax: 2) { pool in
            #expect(pool.submit(search(0)))
            #expect(pool.submit(sampling(1)))
            #expect(!pool.submit(sampling(2)))
            #expect(!pool.submit(search(2)))
            gate.open()
            _ = try outcomes.wait(count: 2)
            #expect(pool.submit(sampling(3)))
            _ = try outcomes.wait(count: 3)
            #expect(outcomes.order == [0, 1, 3])
        }
    }

    @Test func aDrawThatHasWaitedTooLongIsNotBegun() throws {
        try withHeldPool { pool in
            let now = ContinuousClock.now
            #expect(pool.submit(sampling(0, deadline: now)))
            #expect(pool.submit(search(1)))
            #expect(pool.submit(sampling(2, deadline: now)))
            #expect(pool.submit(sampling(3)))
            try wait(until: now)
            gate.open()
            let found = try outcomes.wait(count: 4)
            #expect(found[0] == .failure(.timeout) && found[2] == .failure(.timeout))
            #expect(found[1] == .success(2) && found[3] == .success(4))
            #expect(pool.statistics.samplingCount == 1)
        }
    }

    @Test func anUnwantedDrawIsDropped() throws {
        try withHeldPool(waitingMax: 2) { pool in
            let liveness = Connection.Liveness()
            let isWanted: @Sendable () -> Bool = { !liveness.isGone.load(ordering: .relaxed) }
            #expect(pool.submit(sampling(0, isWanted: isWanted)))
            #expect(pool.submit(sampling(1, deadline: .now, isWanted: isWanted)))
            #expect(!pool.submit(sampling(2)))
            liveness.isGone.store(true, ordering: .relaxed)
            // It does not take a place in the queue either.
            #expect(pool.submit(sampling(2)))
            gate.open()
            _ = try outcomes.wait(count: 1)
            #expect(outcomes.order == [2])
            #expect(pool.statistics.samplingCount == 1)
        }
    }

    /// The pool asks again after the draw, because the connection may go away in the meantime.
    @Test func anUnwantedAnswerIsDropped() throws {
        try withHeldPool { pool in
            let asked = NIOLockedValueBox(0)
            let isWantedOnce: @Sendable () -> Bool = {
                asked.withLockedValue { count in
                    count += 1
                    return count == 1
                }
            }
            #expect(pool.submit(sampling(0, isWanted: isWantedOnce)))
            #expect(pool.submit(sampling(1)))
            gate.open()
            _ = try outcomes.wait(count: 1)
            #expect(outcomes.order == [1])
            #expect(asked.withLockedValue { $0 } == 2 && pool.statistics.samplingCount == 2)
        }
    }

    @Test func closingRunsWaitingDraws() throws {
        let pool = QueryPool(threadCount: 1, waitingMax: 100)
        defer { gate.open() }
        try gate.hold(pool, collection)
        for number in 0..<3 { #expect(pool.submit(sampling(number))) }
        let closing = Background { pool.close() }
        gate.open()
        try closing.wait()
        #expect(outcomes.order == [0, 1, 2])
        #expect(!pool.submit(sampling(3)))
    }
}

/// The numbers of rows in the outcomes of queries, by their numbers.
private final class Outcomes: Sendable {
    enum Outcome: Equatable {
        case success(Int)
        case failure(StoreError.Code)
    }

    private let found = NIOLockedValueBox<[(number: Int, outcome: Outcome)]>([])
    private let changed = DispatchSemaphore(value: 0)

    func add(_ number: Int, _ outcome: Result<Int, StoreError>) {
        found.withLockedValue { found in
            switch outcome {
            case .success(let count): found.append((number, .success(count)))
            case .failure(let error): found.append((number, .failure(error.code)))
            }
        }
        changed.signal()
    }

    /// The numbers of the queries, in the order of their outcomes.
    var order: [Int] { found.withLockedValue { $0.map(\.number) } }

    func wait(count: Int) throws -> [Int: Outcome] {
        while order.count < count { try TestSupport.wait(for: changed, "\(count) outcomes") }
        return found.withLockedValue { Dictionary(uniqueKeysWithValues: $0.map { ($0.number, $0.outcome) }) }
    }
}
