import TestSupport
import Testing

@testable import LogQServer

/// Tests the state machine without a socket, a store or a thread.
struct ConnectionStateTests {
    private typealias State = ConnectionState<String>

    /// `#expect` accepts no noncopyable value, so this takes the evaluated condition.
    private func expect(_ condition: Bool, _ location: SourceLocation = #_sourceLocation) {
        #expect(condition, sourceLocation: location)
    }

    private func answers(_ state: inout State) -> [String] {
        var answers: [String] = []
        while let answer = state.nextAnswer() { answers.append(answer) }
        return answers
    }

    @Test func answersAreSentInTheOrderOfTheRequests() {
        var state = State()
        let places = (0..<4).map { _ in state.start(.query, heldByteCount: 1) }
        state.finish(places[2], with: "c")
        state.finish(places[1], with: "b")
        expect(answers(&state) == [])
        state.finish(places[0], with: "a")
        expect(answers(&state) == ["a", "b", "c"])
        expect(!state.isIdle)
        state.finish(places[3], with: "d")
        expect(answers(&state) == ["d"])
        expect(state.isIdle)
    }

    @Test func readsAndSearchesWaitForEarlierWrites() {
        var state = State()
        let one = state.start(.write, heldByteCount: 1)
        let other = state.start(.write, heldByteCount: 1)
        expect(state.mayStart(.write))
        expect(state.mayStart(.session))
        expect(!state.mayStart(.read))
        expect(!state.mayStart(.query))
        state.finish(one, with: "")
        expect(!state.mayStart(.read))
        state.finish(other, with: "")
        expect(state.mayStart(.read))
        expect(state.mayStart(.query))
    }

    @Test func writesWaitForEarlierSearches() {
        var state = State()
        let search = state.start(.query, heldByteCount: 1)
        expect(!state.mayStart(.write))
        expect(state.mayStart(.read))
        expect(state.mayStart(.query))
        state.finish(search, with: "")
        expect(state.mayStart(.write))
    }

    /// The size of an answer is known only when it is complete. It counts until the answer has been sent.
    @Test func anAnswerHoldsItsOwnSize() {
        var state = State(bounds: State.Bounds(heldBytesMax: 100))
        let search = state.start(.query, heldByteCount: 10)
        let read = state.start(.read, heldByteCount: 10)
        expect(state.mayTakeRequest)
        state.finish(read, with: "long", heldByteCount: 95)
        expect(!state.mayTakeRequest)
        state.finish(search, with: "")
        expect(answers(&state) == ["", "long"])
        expect(state.mayTakeRequest)
        let next = state.start(.read, heldByteCount: 99)
        expect(state.mayTakeRequest)
        state.finish(next, with: "")
    }

    @Test func boundsRequestsSearchesAndBytes() {
        var bounds = State.Bounds()
        bounds.requestsUnderWayMax = 3
        bounds.queriesUnderWayMax = 2
        bounds.heldBytesMax = 100
        var state = State(bounds: bounds)
        let first = state.start(.query, heldByteCount: 10)
        _ = state.start(.query, heldByteCount: 10)
        expect(!state.mayStart(.query))
        expect(state.mayTakeRequest)
        _ = state.start(.session, heldByteCount: 10)
        expect(!state.mayTakeRequest)
        state.finish(first, with: "a")
        expect(!state.mayTakeRequest)
        expect(answers(&state) == ["a"])
        expect(state.mayTakeRequest)
        expect(state.mayStart(.query))

        var heavy = State(bounds: bounds)
        let place = heavy.start(.query, heldByteCount: 1_000)
        expect(!heavy.mayTakeRequest)
        heavy.finish(place, with: "a")
        expect(answers(&heavy) == ["a"])
        expect(heavy.mayTakeRequest)
    }

    @Test func noRequestIsTakenWhileTheReaderIsSlow() {
        var state = State()
        state.writabilityChanged(to: false)
        expect(!state.mayTakeRequest)
        state.writabilityChanged(to: true)
        expect(state.mayTakeRequest)
    }

    @Test func endsOnceAfterTheLastAnswer() {
        var state = State()
        let place = state.start(.write, heldByteCount: 1)
        state.end(.close)
        expect(!state.mayTakeRequest)
        expect(state.takeClosing() == nil)
        state.finish(place, with: "a")
        expect(state.takeClosing() == nil)
        expect(answers(&state) == ["a"])
        expect(state.takeClosing() == .close)
        expect(state.takeClosing() == nil)
    }

    @Test func lostFramingOverridesAPlainClose() {
        var state = State()
        state.end(.close)
        state.end(.shutAndDiscard)
        state.end(.close)
        expect(state.takeClosing() == .shutAndDiscard)
    }

    @Test func answersForADisconnectedClientAreDropped() {
        var state = State()
        let place = state.start(.query, heldByteCount: 1)
        state.closed()
        state.finish(place, with: "a")
        expect(answers(&state) == [])
        expect(!state.mayTakeRequest)
        expect(state.takeClosing() == nil)
    }

    /// Requests of any kind that finish in any order: the rules hold, and every answer is sent in its place.
    @Test func keepsItsRulesInRandomOrder() {
        var random = SeededGenerator()
        let kinds: [State.Kind] = [.session, .read, .query, .write]
        for _ in 0..<200 {
            var state = State()
            var underWay: [(kind: State.Kind, number: Int, place: State.Place)] = []
            var startedCount = 0
            var left: [String] = []
            for _ in 0..<100 {
                let kind = kinds.randomElement(using: &random)!
                let mayStart =
                    switch kind {
                    case .session: true
                    case .read, .query: !underWay.contains { $0.kind == .write }
                    case .write: !underWay.contains { $0.kind == .query }
                    }
                expect(state.mayStart(kind) == mayStart)
                if mayStart {
                    let place = state.start(kind, heldByteCount: 1)
                    underWay.append((kind, startedCount, place))
                    startedCount += 1
                }
                while Bool.random(using: &random), !underWay.isEmpty {
                    let finished = underWay.remove(at: Int.random(in: 0..<underWay.count, using: &random))
                    state.finish(finished.place, with: "\(finished.number)")
                }
                left += answers(&state)
            }
            for rest in underWay { state.finish(rest.place, with: "\(rest.number)") }
            left += answers(&state)
            #expect(left == (0..<startedCount).map { "\($0)" })
        }
    }
}
