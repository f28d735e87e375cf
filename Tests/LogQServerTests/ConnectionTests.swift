import Foundation
import ItemStore
import Logging
import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import LogQServer

/// The handler in a pipeline of its own, for what a real socket does too rarely to be tested.
@Suite(.timeLimit(.minutes(2)))
struct ConnectionTests {
    /// Says after every flush that writability changed, as a socket does that took all at once.
    private final class Notifier: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer

        func flush(context: ChannelHandlerContext) {
            context.flush()
            context.fireChannelWritabilityChanged()
        }
    }

    private func withConnection(
        searchesUnderWayMax: Int = 256,
        heldBytesMax: Int = 32 << 20,
        notifies: Bool = true,
        _ body: (NIOAsyncTestingChannel, Services) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "logqd-test-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let store = try ItemStore.open(StoreConfiguration(directory: directory.path), logger: Logger(label: "test"))
        let pool = QueryPool(threadCount: 1, waitingMax: 100)
        let services = Services(store: store, pool: pool, configuration: ServerConfiguration())
        let channel = NIOAsyncTestingChannel()
        try await channel.testingEventLoop.executeInContext {
            let bounds = ConnectionState<Connection.Answer>.Bounds(
                searchesUnderWayMax: searchesUnderWayMax,
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

    /// Sends a burst and collects what comes back until it has as many lines.
    private func ask(_ channel: NIOAsyncTestingChannel, _ burst: String, lineCount: Int) async throws -> [Substring] {
        try await channel.writeInbound(ByteBuffer(string: burst))
        var text = ""
        let end = ContinuousClock.now + .seconds(60)
        while text.utf8.count(where: { $0 == 0x0A }) < lineCount {
            if let bytes = try await channel.readOutbound(as: ByteBuffer.self) {
                text += String(buffer: bytes)
            } else {
                try #require(ContinuousClock.now < end, "no more than \(text.utf8.count) bytes came back")
                // What was put off for a moment comes only when somebody tells this loop that the moment is over.
                await channel.testingEventLoop.advanceTime(by: .milliseconds(1))
                await Task.yield()
            }
        }
        return text.split(separator: "\n")
    }

    /// A long answer is flushed while its request is being taken; what that flush sets off must not take it again.
    @Test func aFlushInTheMiddleTakesNoRequestTwice() async throws {
        try await withConnection { channel, _ in
            let json = "{\"a\":\"" + String(repeating: "x", count: 3_000) + "\"}"
            let ids = (0..<300).map { "i\($0)" }
            #expect(try await ask(channel, "CREATE c dim=1\n", lineCount: 1) == ["OK 0"])
            let stored = try await ask(channel, ids.map { "FSET c \($0) \(json)\n" }.joined(), lineCount: 300)
            #expect(stored.allSatisfy { $0 == "OK 0" })
            // The read is held until the write is done, and its answer is longer than what is flushed at once.
            let burst = "PUT c i0 [1]\nFGET c \(ids.joined(separator: " "))\nPING\nGET c i0\n"
            let lines = try await ask(channel, burst, lineCount: 305)
            #expect(lines.count == 305)
            #expect(lines.prefix(2) == ["OK 0", "OK 300"])
            #expect(lines.suffix(3) == ["OK 0", "OK 1", "i0 [1]"])
            #expect(Set(lines[2..<302]).count == 300)
        }
    }

    /// An answer that leaves makes room for the requests behind it, also if nothing else ever happens.
    @Test func whatABoundHeldBackGoesOnWhenThereIsRoom() async throws {
        try await withConnection(heldBytesMax: 1, notifies: false) { channel, _ in
            #expect(try await ask(channel, "CREATE c dim=1\n", lineCount: 1) == ["OK 0"])
            #expect(try await ask(channel, "PUT c a [1]\n", lineCount: 1) == ["OK 0"])
            let burst = "TOPK c 1 [1]\nTOPK c 1 [3]\nPUT c a [2]\nGET c a\nPING\n"
            let lines = try await ask(channel, burst, lineCount: 8)
            #expect(lines == ["OK 1", "a 1", "OK 1", "a 3", "OK 0", "OK 1", "a [2]", "OK 0"])
        }
    }

    /// Many rows of many observations become durable at once. They are written in turns: after some of them the loop has
    /// nothing to run, and looks at its other sockets, until it is told that a moment has passed.
    @Test func manyRowsLetOthersHaveTheirTurn() async throws {
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

    /// A search that waits for its turn on the connection waits all the same.
    @Test func theTimeOfASearchRunsWhileItIsHeld() async throws {
        try await withConnection(searchesUnderWayMax: 1) { channel, services in
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
            // The one that was held, and the one that had its answer.
            #expect(services.pool.statistics.searchCount == 2)
            #expect(services.metrics.errorCount.load(ordering: .relaxed) == 1)
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
