import Foundation
import ItemStore
import Logging
import NIOCore
import NIOEmbedded
import Synchronization
import TestSupport
import Testing

@testable import LogQServer

/// Tests the handler in a pipeline without a socket, for situations that are too rare on a real socket.
@Suite(.timeLimit(.minutes(2)))
struct ConnectionTests {
    /// Reports after every flush that writability changed, like a socket that accepted all bytes at once.
    private final class Notifier: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer

        func flush(context: ChannelHandlerContext) {
            context.flush()
            context.fireChannelWritabilityChanged()
        }
    }

    private func withConnection(
        queriesUnderWayMax: Int = 256,
        heldBytesMax: Int = 32 << 20,
        notifies: Bool = true,
        _ body: (NIOAsyncTestingChannel, Services) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        defer { withExtendedLifetime(directory) {} }
        let store = try ItemStore.open(StoreConfiguration(directory: directory.path), logger: Logger(label: "test"))
        let pool = QueryPool(threadCount: 1, waitingMax: 100)
        let services = Services(store: store, pool: pool, configuration: ServerConfiguration())
        let channel = NIOAsyncTestingChannel()
        try await channel.testingEventLoop.executeInContext {
            let bounds = ConnectionState<Connection.Answer>.Bounds(
                queriesUnderWayMax: queriesUnderWayMax,
                heldBytesMax: heldBytesMax
            )
            let connection = Connection(services: services, bounds: bounds)
            if notifies { try channel.pipeline.syncOperations.addHandler(Notifier()) }
            try channel.pipeline.syncOperations.addHandler(connection)
        }
        try await channel.connect(to: SocketAddress(unixDomainSocketPath: "/test")).get()
        try await body(channel, services)
        _ = try await channel.finish(acceptAlreadyClosed: true)
        pool.close()
        store.close()
    }

    /// Sends a burst and collects the replies until they have this many lines.
    private func ask(_ channel: NIOAsyncTestingChannel, _ burst: String, lineCount: Int) async throws -> [Substring] {
        try await channel.writeInbound(ByteBuffer(string: burst))
        var text = ""
        let end = ContinuousClock.now + .seconds(60)
        while text.utf8.count(where: { $0 == 0x0A }) < lineCount {
            if let bytes = try await channel.readOutbound(as: ByteBuffer.self) {
                text += String(buffer: bytes)
            } else {
                try #require(ContinuousClock.now < end, "no more than \(text.utf8.count) bytes came back")
                // This loop runs delayed work only when its clock is advanced.
                await channel.testingEventLoop.advanceTime(by: .milliseconds(1))
                await Task.yield()
            }
        }
        return text.split(separator: "\n")
    }

    /// A long answer is flushed while its request is being started. The events of that flush must not start it again.
    @Test func aFlushInTheMiddleTakesNoRequestTwice() async throws {
        try await withConnection { channel, _ in
            let json = "{\"a\":\"" + String(repeating: "x", count: 3_000) + "\"}"
            let ids = (0..<300).map { "i\($0)" }
            #expect(try await ask(channel, "CREATE c dim=1\n", lineCount: 1) == ["OK 0"])
            let stored = try await ask(channel, ids.map { "FSET c \($0) \(json)\n" }.joined(), lineCount: 300)
            #expect(stored.allSatisfy { $0 == "OK 0" })
            // The read is held until the write is done. Its answer is longer than the part that is flushed at once.
            let burst = "PUT c i0 [1]\nFGET c \(ids.joined(separator: " "))\nPING\nGET c i0\n"
            let lines = try await ask(channel, burst, lineCount: 305)
            #expect(lines.count == 305)
            #expect(lines.prefix(2) == ["OK 0", "OK 300"])
            #expect(lines.suffix(3) == ["OK 0", "OK 1", "i0 [1]"])
            #expect(Set(lines[2..<302]).count == 300)
        }
    }

    /// Once an answer is sent, there is room for later requests, even if no other event follows.
    @Test func heldRequestsContinueOnceThereIsRoom() async throws {
        try await withConnection(heldBytesMax: 1, notifies: false) { channel, _ in
            #expect(try await ask(channel, "CREATE c dim=1\n", lineCount: 1) == ["OK 0"])
            #expect(try await ask(channel, "PUT c a [1]\n", lineCount: 1) == ["OK 0"])
            let burst = "TOPK c 1 [1]\nTOPK c 1 [3]\nPUT c a [2]\nGET c a\nPING\n"
            let lines = try await ask(channel, burst, lineCount: 8)
            #expect(lines == ["OK 1", "a 1", "OK 1", "a 3", "OK 0", "OK 1", "a [2]", "OK 0"])
        }
    }

    /// Many rows of many observations become durable at once. They are written in turns. After some turns the loop has
    /// no task to run, and looks at its other sockets, until a timer starts the next turn.
    @Test func manyRowsLetOtherConnectionsHaveTheirTurn() async throws {
        try await withConnection { channel, _ in
            #expect(try await ask(channel, "CREATE c dim=1\n", lineCount: 1) == ["OK 0"])
            let (count, idCount) = (8, 16_384)
            let ids = Array(repeating: "a", count: idCount).joined(separator: " ")
            let burst = (1...count).map { "OBSERVE c \($0) return=logq \(ids)\n" }.joined()
            try await channel.writeInbound(ByteBuffer(string: burst))
            var lineCount = 0
            var momentCount = 0
            let end = ContinuousClock.now + .seconds(60)
            while lineCount < count * (idCount + 1) {
                if let bytes = try await channel.readOutbound(as: ByteBuffer.self) {
                    lineCount += bytes.readableBytesView.count { $0 == 0x0A }
                } else {
                    try #require(ContinuousClock.now < end, "no more than \(lineCount) lines came back")
                    if lineCount > 0 { momentCount += 1 }
                    await channel.testingEventLoop.advanceTime(by: .milliseconds(1))
                    await Task.yield()
                }
            }
            #expect(momentCount >= 2)
        }
    }

    // MARK: - Searches

    /// The timeout of a search also runs while the search waits for its turn on the connection.
    @Test func theTimeOfASearchRunsWhileItIsHeld() async throws {
        try await withConnection(queriesUnderWayMax: 1) { channel, services in
            #expect(try await ask(channel, "CREATE c dim=1\nPUT c a [1]\n", lineCount: 2) == ["OK 0", "OK 0"])
            let gate = Gate()
            defer { gate.open() }
            try gate.hold(services.pool, try services.collection(named: "c"))
            let burst = "TOPK c 1 timeout_ms=60000 [1]\nTOPK c 1 timeout_ms=1 [1]\nPING\n"
            try await channel.writeInbound(ByteBuffer(string: burst))
            #expect(services.pool.statistics.waitingCount == 1)
            try wait(until: .now + .milliseconds(1))
            gate.open()
            let lines = try await ask(channel, "", lineCount: 4)
            let advice = "nothing is returned: try again later, or with a longer timeout_ms="
            #expect(lines == ["OK 1", "a 1", "ERR TIMEOUT got no answer within 1 ms, \(advice)", "OK 0"])
            // The search that keeps the thread busy, and the search that was answered.
            #expect(services.pool.statistics.searchCount == 2)
            #expect(services.metrics.errorCount == 1)
        }
    }

    @Test func theSearchesOfAConnectionThatIsGoneAreDropped() async throws {
        try await withConnection { channel, services in
            #expect(try await ask(channel, "CREATE c dim=1\nPUT c a [1]\n", lineCount: 2) == ["OK 0", "OK 0"])
            let gate = Gate()
            defer { gate.open() }
            let collection = try services.collection(named: "c")
            try gate.hold(services.pool, collection)
            try await channel.writeInbound(ByteBuffer(string: "TOPK c 1 [1]\nTOPK c 1 [1]\n"))
            #expect(services.pool.statistics.waitingCount == 2)
            try await channel.close()
            gate.open()
            let next = Gate()
            try next.hold(services.pool, collection)
            next.open()
            #expect(services.pool.statistics.searchCount == 2)
        }
    }
}
