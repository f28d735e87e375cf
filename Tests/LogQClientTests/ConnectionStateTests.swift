import NIOCore
import Testing
import WireProtocol

@testable import LogQClient

/// Tests the state machine without a socket. Exchanges are strings here.
@Suite struct ConnectionStateTests {
    private func makeState(replyByteCountMax: Int = 1 << 20) -> ConnectionState<String> {
        ConnectionState<String>(replyByteCountMax: replyByteCountMax)
    }

    /// The events as text: "a: [0 rows, NOITEM]".
    private func events(_ state: inout ConnectionState<String>) -> [String] {
        var events: [String] = []
        while true {
            switch state.nextAction() {
            case .complete(let exchange, let replies):
                events.append("\(exchange): \(replies.map { describe($0) })")
            case .fail(let loss):
                events.append("fail: \(loss.code.text)")
                return events
            case .needMoreBytes:
                return events
            }
        }
    }

    private func describe(_ reply: DecodedReply) -> String {
        switch reply {
        case .rows(let rows): "\(rows.count) rows"
        case .failure(let code, _): code
        }
    }

    @Test func repliesGoToTheirExchangesInOrder() {
        var state = makeState()
        state.sent("a", requestCount: 1)
        state.sent("b", requestCount: 3)
        state.sent("c", requestCount: 1)
        state.received(ByteBuffer(string: "OK 0\nOK 2\nx 1\ny 2\nERR NOITEM no\nOK 0\nOK 1\nz\n"))
        #expect(
            events(&state) == [
                #"a: ["0 rows"]"#, #"b: ["2 rows", "NOITEM", "0 rows"]"#, #"c: ["1 rows"]"#,
            ]
        )
    }

    @Test func anyCutOfTheBytesGivesTheSameReplies() {
        let bytes = Array("OK 0\nOK 2\nx 1\ny 2\nERR NOITEM no\nOK 0\n".utf8)
        for pieceByteCount in 1...bytes.count {
            var state = makeState()
            state.sent("a", requestCount: 2)
            state.sent("b", requestCount: 2)
            var all: [String] = []
            for start in stride(from: 0, to: bytes.count, by: pieceByteCount) {
                state.received(ByteBuffer(bytes: bytes[start..<min(start + pieceByteCount, bytes.count)]))
                all += events(&state)
            }
            #expect(all == [#"a: ["0 rows", "2 rows"]"#, #"b: ["NOITEM", "0 rows"]"#])
        }
    }

    @Test func aLostConnectionReturnsOutstandingExchangesWithTheirReplies() {
        var state = makeState()
        state.sent("a", requestCount: 2)
        state.sent("b", requestCount: 1)
        state.received(ByteBuffer(string: "OK 0\nOK 1\nhalf"))
        #expect(events(&state) == [])
        let loss = Loss(code: .connectionLost, reason: "gone")
        let entries = state.connectionEnded(loss)
        #expect(entries.map(\.exchange) == ["a", "b"])
        #expect(entries.map(\.replies.count) == [1, 0])
        #expect(state.loss == loss)
        #expect(state.connectionEnded(.closed).isEmpty)
        state.received(ByteBuffer(string: "OK 0\n"))
        #expect(events(&state) == [])
    }

    @Test(arguments: ["+OK\r\n", "OK\n", "OK -1\n", "OK 1e3\n", "\n", "HTTP/1.1 400 Bad Request\r\n", "ERR\n"])
    func textThatIsNotAReplyEndsTheConnection(text: String) {
        var state = makeState()
        state.sent("a", requestCount: 1)
        state.received(ByteBuffer(string: text))
        #expect(events(&state) == ["fail: bad-reply"])
        #expect(state.connectionEnded(.closed).map(\.exchange) == ["a"])
    }

    @Test func anUnrequestedReplyEndsTheConnectionAndIsQuoted() {
        var state = makeState()
        state.received(ByteBuffer(string: "ERR LIMIT got 4097 connections, expected at most 4096\n"))
        guard case .fail(let loss) = state.nextAction() else {
            Issue.record("expected .fail")
            return
        }
        #expect(loss.reason == "the server said LIMIT: got 4097 connections, expected at most 4096")
    }

    @Test func replySizeIsBounded() {
        for text in ["OK 3\n" + String(repeating: "x", count: 100), "OK 1000\n", String(repeating: "O", count: 100)] {
            var state = makeState(replyByteCountMax: 64)
            state.sent("a", requestCount: 1)
            state.received(ByteBuffer(string: text))
            #expect(events(&state) == ["fail: bad-reply"])
        }
    }
}

@Suite struct OutboxTests {
    private func submission(_ requestCount: Int, _ byteCount: Int) -> Outbox.Submission {
        Outbox.Submission(lines: ByteBuffer(), exchange: Exchange(requestCount: requestCount, byteCount: byteCount))
    }

    private func counts(_ submissions: [Outbox.Submission]) -> [Int] {
        submissions.map(\.exchange.requestCount)
    }

    @Test func admitsUpToTheBoundsAndTheRestInOrderWhenThereIsRoom() {
        let outbox = Outbox(requestsMax: 10, bytesMax: 100)
        let first = submission(6, 10)
        #expect(outbox.submit(first))
        #expect(!outbox.submit(submission(4, 10)), "the event loop is already awake")
        _ = outbox.submit(submission(2, 10))
        _ = outbox.submit(submission(1, 10))
        #expect(counts(outbox.takeReady()) == [6, 4])
        #expect(outbox.takeReady().isEmpty)
        outbox.release(first.exchange)
        #expect(counts(outbox.takeReady()) == [2, 1])
    }

    @Test func bytesAreBoundedAndALargeRequestGoesAlone() {
        let outbox = Outbox(requestsMax: 10, bytesMax: 100)
        let small = submission(1, 60)
        let large = submission(2, 1_000)
        for submission in [small, large, submission(3, 1)] { _ = outbox.submit(submission) }
        #expect(counts(outbox.takeReady()) == [1])
        outbox.release(small.exchange)
        #expect(counts(outbox.takeReady()) == [2], "nothing overtakes")
        outbox.release(large.exchange)
        #expect(counts(outbox.takeReady()) == [3])
    }

    @Test func aSealedOutboxFinishesAcceptedRequests() async {
        let outbox = Outbox(requestsMax: 1, bytesMax: 100)
        let accepted = [submission(1, 1), submission(1, 1)]
        for submission in accepted { _ = outbox.submit(submission) }
        outbox.seal(.closed)
        let refused = submission(1, 1)
        #expect(!outbox.submit(refused))
        #expect(await refused.exchange.outcome().loss == .closed)
        for submission in accepted {
            #expect(!outbox.isDone)
            #expect(outbox.takeReady().count == 1)
            outbox.release(submission.exchange)
        }
        #expect(outbox.isDone)
    }

    @Test func aFailedOutboxFailsWaitingRequests() async {
        let outbox = Outbox(requestsMax: 1, bytesMax: 100)
        let submissions = [submission(1, 1), submission(1, 1)]
        for submission in submissions { _ = outbox.submit(submission) }
        let loss = Loss(code: .connectionLost, reason: "gone")
        outbox.fail(loss)
        for submission in submissions {
            let outcome = await submission.exchange.outcome()
            #expect(outcome.loss == loss)
            #expect(!outcome.wasSent)
        }
    }
}
