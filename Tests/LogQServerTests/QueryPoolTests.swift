import Dispatch
import Foundation
import ItemStore
import PackedStrings
import Synchronization
import TestSupport
import Testing
import VectorIndex

@testable import LogQServer

/// Tests the pool with real collections. A completion that does not return keeps its thread busy. So a test decides
/// which queries wait when a thread looks for work.
@Suite(.timeLimit(.minutes(5)))
final class QueryPoolTests {
    private let fixture: StoreFixture
    private let collection: Collection
    private let other: Collection
    private var random = SeededGenerator()

    init() throws {
        fixture = try StoreFixture()
        collection = try fixture.collection(named: "a", count: 300, &random)
        other = try fixture.collection(named: "b", count: 300, &random)
    }

    private func query(k: Int = 5, dimension: Int = 2, deadline: ContinuousClock.Instant? = nil) -> TopKQuery {
        let vector = (0..<dimension).map { _ in Float.random(in: -1...1, using: &random) }
        return TopKQuery(vector: QueryVector(vector, metric: .dot), ranks: 1...k, deadline: deadline)
    }

    private func withPool(threads: Int = 1, waitingMax: Int = 100, _ body: (QueryPool) throws -> Void) throws {
        let pool = QueryPool(threadCount: threads, waitingMax: waitingMax)
        defer { pool.close() }
        try body(pool)
    }

    private func expectAnswers(_ answers: Answers, to queries: [(Collection, TopKQuery)]) throws {
        let outcomes = try answers.wait(count: queries.count)
        for (index, (collection, query)) in queries.enumerated() {
            let expected = collection.topK(query)
            let answer = try #require(try outcomes[index]?.get())
            #expect(answer.ids == expected.ids && answer.scores == expected.scores)
        }
    }

    // MARK: - Together

    @Test func waitingSearchesShareAPassEightAtATime() throws {
        try withPool { pool in
            let gate = Gate()
            defer { gate.open() }
            try gate.hold(pool, collection)
            let answers = Answers()
            let queries = (1...9).map { query(k: $0 * 30) }
            for (index, query) in queries.enumerated() {
                #expect(pool.submit(.search(answers.search(index, collection, query))))
            }
            #expect(pool.statistics.waitingCount == 9)
            gate.open()
            try expectAnswers(answers, to: queries.map { (collection, $0) })
            #expect(pool.statistics.searchCount == 10)
            #expect(pool.statistics.passCount == 3)
            #expect(pool.statistics.waitingCount == 0)
        }
    }

    @Test func searchesOfDifferentCollectionsAreNotMixed() throws {
        try withPool { pool in
            let gate = Gate()
            defer { gate.open() }
            try gate.hold(pool, collection)
            let answers = Answers()
            let collections = [other, collection, collection, other, collection, other]
            let queries = collections.map { ($0, query()) }
            for (index, (collection, query)) in queries.enumerated() {
                #expect(pool.submit(.search(answers.search(index, collection, query))))
            }
            gate.open()
            try expectAnswers(answers, to: queries)
            #expect(pool.statistics.passCount == 3)
            // The oldest search is first, together with those that share its pass.
            #expect(answers.order == [0, 3, 5, 1, 2, 4])
        }
    }

    /// All queries of a pass have the same correction.
    @Test func searchesOfDifferentStrengthsAreNotMixed() throws {
        try withPool { pool in
            let gate = Gate()
            defer { gate.open() }
            try gate.hold(pool, collection)
            let answers = Answers()
            let queries = [0, 0.5, 0.5, 0, -1, 0.5].map { strength in
                var query = query()
                query.strength = strength
                return (collection, query)
            }
            for (index, (collection, query)) in queries.enumerated() {
                #expect(pool.submit(.search(answers.search(index, collection, query))))
            }
            gate.open()
            try expectAnswers(answers, to: queries)
            #expect(pool.statistics.passCount == 4)
            #expect(answers.order == [0, 3, 1, 2, 5, 4])
        }
    }

    // MARK: - Over several threads

    /// Idle threads may join a single search. New searches come first.
    @Test func idleThreadsJoinALongPass() throws {
        let long = try fixture.collection(named: "long", count: 70_000, &random)
        let queue = QueryQueue(waitingMax: 10)
        let answers = Answers()
        #expect(queue.append(.search(answers.search(0, long, query(k: 100)))))
        let pass = PassUnderWay(try #require(queue.next()?.batch).searches)
        queue.begin(pass)
        #expect(queue.next()?.joined === pass)
        #expect(queue.append(.search(answers.search(1, collection, query()))))
        let next = try #require(queue.next()?.batch)
        #expect(next.searches.count == 1 && next.searches[0].collection === collection)
        queue.close()
        // This also holds when the queue is closed, because a pass under way then ends sooner.
        #expect(queue.next()?.joined === pass)
        #expect(pass.pass.takePart())
        #expect(queue.next() == nil)
        // A late thread has nothing to do, neither before nor after the outcomes were fetched.
        #expect(!pass.pass.takePart())
        var outcomeCount = 0
        pass.pass.forEachOutcome { _, _ in outcomeCount += 1 }
        #expect(outcomeCount == 1)
        #expect(!pass.pass.takePart())
        queue.end(pass)
    }

    @Test func anIdleThreadIsWokenToJoin() throws {
        let long = try fixture.collection(named: "long", count: 70_000, &random)
        let queue = QueryQueue(waitingMax: 10)
        let idle = Background { if case .join? = queue.next() { true } else { false } }
        defer { queue.close() }
        try wait(until: { queue.statistics.idleThreadCount == 1 }, "the thread is idle")
        queue.begin(PassUnderWay([Answers().search(0, long, query())]))
        #expect(try idle.wait(), "the thread joins")
    }

    @Test func severalThreadsGiveTheAnswerOfOne() throws {
        let long = try fixture.collection(named: "long", count: 70_000, &random)
        for threads in 1...3 {
            try withPool(threads: threads) { pool in
                for count in [1, 9] {
                    let answers = Answers()
                    let queries = (0..<count).map { (long, query(k: 1 + $0 * 50)) }
                    for (index, (collection, query)) in queries.enumerated() {
                        #expect(pool.submit(.search(answers.search(index, collection, query))))
                    }
                    try expectAnswers(answers, to: queries)
                }
                #expect(pool.statistics.searchCount == 10)
            }
        }
    }

    // MARK: - Refused, late, dropped

    @Test func aFullQueueTakesNoMore() throws {
        try withPool(waitingMax: 2) { pool in
            let gate = Gate()
            defer { gate.open() }
            try gate.hold(pool, collection)
            let answers = Answers()
            for index in 0..<2 { #expect(pool.submit(.search(answers.search(index, collection, query())))) }
            #expect(!pool.submit(.search(answers.search(2, collection, query()))))
            gate.open()
            _ = try answers.wait(count: 2)
            #expect(pool.submit(.search(answers.search(3, collection, query()))))
            _ = try answers.wait(count: 3)
            #expect(answers.order == [0, 1, 3])
        }
    }

    @Test func aSearchThatHasWaitedTooLongIsNotBegun() throws {
        try withPool { pool in
            let gate = Gate()
            defer { gate.open() }
            try gate.hold(pool, collection)
            let answers = Answers()
            let deadline = ContinuousClock.now
            #expect(pool.submit(.search(answers.search(0, collection, query(deadline: deadline)))))
            #expect(pool.submit(.search(answers.search(1, collection, query(deadline: deadline + .seconds(3_600))))))
            #expect(pool.submit(.search(answers.search(2, collection, query(deadline: deadline)))))
            try wait(until: deadline)
            gate.open()
            let outcomes = try answers.wait(count: 3)
            #expect(outcomes[0]?.code == .timeout && outcomes[2]?.code == .timeout)
            #expect(outcomes[1]?.code == nil)
            #expect(pool.statistics.searchCount == 2 && pool.statistics.passCount == 2)
        }
    }

    @Test func aSearchThatPassesItsDeadlineTimesOut() throws {
        try withPool { pool in
            // The thread may look after the deadline. Then the search was not started, and another attempt is needed.
            for _ in 0..<1_000 where pool.statistics.passCount == 0 {
                let answers = Answers()
                let deadline = ContinuousClock.now + .milliseconds(20)
                let query = query(deadline: deadline)
                // Called after the thread has looked at the clock.
                let search = answers.search(0, collection, query) {
                    while ContinuousClock.now <= deadline { sched_yield() }
                    return true
                }
                #expect(pool.submit(.search(search)))
                let outcomes = try answers.wait(count: 1)
                #expect(outcomes[0]?.code == .timeout)
            }
            #expect(pool.statistics.passCount == 1)
        }
    }

    @Test func unwantedQueriesAreDropped() throws {
        try withPool { pool in
            let gate = Gate()
            defer { gate.open() }
            try gate.hold(pool, collection)
            let answers = Answers()
            let liveness = Connection.Liveness()
            for index in 0..<2 {
                let deadline = index == 0 ? nil : ContinuousClock.now
                let search = answers.search(index, collection, query(deadline: deadline)) {
                    !liveness.isGone.load(ordering: .relaxed)
                }
                #expect(pool.submit(.search(search)))
            }
            #expect(pool.submit(.search(answers.search(2, collection, query()))))
            liveness.isGone.store(true, ordering: .relaxed)
            gate.open()
            _ = try answers.wait(count: 1)
            #expect(answers.order == [2])
            #expect(pool.statistics.searchCount == 2)
        }
    }

    /// An answer is also dropped if its connection went away while the search ran.
    @Test func anUnwantedAnswerIsDropped() throws {
        try withPool { pool in
            let gate = Gate()
            defer { gate.open() }
            try gate.hold(pool, collection)
            let answers = Answers()
            let liveness = Connection.Liveness()
            let isWanted: @Sendable () -> Bool = { !liveness.isGone.load(ordering: .relaxed) }
            for index in 0..<2 {
                let search = Search(
                    collection: collection,
                    question: query(),
                    isWanted: isWanted,
                    complete: {
                        liveness.isGone.store(true, ordering: .relaxed)
                        answers.add(index, $0)
                    }
                )
                #expect(pool.submit(.search(search)))
            }
            #expect(pool.submit(.search(answers.search(2, collection, query()))))
            gate.open()
            _ = try answers.wait(count: 2)
            #expect(answers.order == [0, 2])
            #expect(pool.statistics.searchCount == 4)
        }
    }

    @Test func aClosedQueueTakesNoMoreAndHandsOutWaitingQueries() throws {
        let queue = QueryQueue(waitingMax: 10)
        let answers = Answers()
        for index in 0..<3 { #expect(queue.append(.search(answers.search(index, collection, query())))) }
        queue.close()
        #expect(!queue.append(.search(answers.search(3, collection, query()))))
        #expect(try #require(queue.next()?.batch).searches.count == 3)
        #expect(queue.next()?.batch == nil)
    }

    @Test func closingRunsWaitingSearches() throws {
        let pool = QueryPool(threadCount: 1, waitingMax: 100)
        let gate = Gate()
        defer { gate.open() }
        try gate.hold(pool, collection)
        let answers = Answers()
        for (index, collection) in [collection, other, collection].enumerated() {
            #expect(pool.submit(.search(answers.search(index, collection, query()))))
        }
        let closing = Background { pool.close() }
        gate.open()
        try closing.wait()
        #expect(answers.order == [0, 2, 1])
        #expect(!pool.submit(.search(answers.search(3, collection, query()))))
    }
}

/// The outcomes of searches, by their numbers.
private final class Answers: @unchecked Sendable {
    private let lock = NSLock()
    private var outcomes: [Int: TopKOutcome] = [:]
    private var completed: [Int] = []
    private let changed = DispatchSemaphore(value: 0)

    func search(
        _ number: Int,
        _ collection: Collection,
        _ query: TopKQuery,
        isWanted: @escaping @Sendable () -> Bool = { true }
    ) -> Search {
        Search(
            collection: collection,
            question: query,
            deadline: query.deadline,
            isWanted: isWanted,
            complete: { self.add(number, $0) }
        )
    }

    func add(_ number: Int, _ outcome: TopKOutcome) {
        lock.withLock {
            outcomes[number] = outcome
            completed.append(number)
        }
        changed.signal()
    }

    /// The numbers of the searches, in the order of their outcomes.
    var order: [Int] { lock.withLock { completed } }

    func wait(count: Int) throws -> [Int: TopKOutcome] {
        while order.count < count { try TestSupport.wait(for: changed, "\(count) outcomes") }
        return lock.withLock { outcomes }
    }
}

extension TopKOutcome {
    fileprivate var code: StoreError.Code? {
        if case .failure(let error) = self { error.code } else { nil }
    }
}

extension QueryQueue.Work {
    fileprivate var batch: QueryQueue.Batch? {
        if case .begin(let batch) = self { batch } else { nil }
    }

    fileprivate var joined: PassUnderWay? {
        if case .join(let pass) = self { pass } else { nil }
    }
}
