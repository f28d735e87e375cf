import Foundation
import ItemStore
import Logging
import NIOCore
import NIOEmbedded
import PackedStrings
import Testing
import WireProtocol

@testable import LogQServer

/// A connection without a socket: here its channel fills and empties when the test says so.
struct ThrottledConnectionTests {
    /// Becomes unwritable with each write, and writable again when it is flushed: what a socket does whose client reads
    /// just then.
    private final class Throttle: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer

        private let channel: EmbeddedChannel

        init(channel: EmbeddedChannel) {
            self.channel = channel
        }

        func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
            context.write(data, promise: promise)
            channel.isWritable = false
            context.fireChannelWritabilityChanged()
        }

        func flush(context: ChannelHandlerContext) {
            context.flush()
            channel.isWritable = true
            context.fireChannelWritabilityChanged()
        }
    }

    private func withServices(
        isReadOnly: Bool = false,
        _ body: (Services) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "logqd-test-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        var storage = StoreConfiguration(directory: directory.path)
        if isReadOnly {
            try ItemStore.open(storage, logger: logger).close()
            storage.isReadOnly = true
        }
        let store = try ItemStore.open(storage, logger: logger)
        defer { store.close() }
        let pool = QueryPool(threadCount: 1, waitingMax: 16)
        defer { pool.close() }
        try await body(Services(store: store, pool: pool, configuration: ServerConfiguration()))
    }

    /// The write is refused at once, so the read that waited for it begins within the same turn, with a long row of
    /// answers before it. It must not begin a second time, nor may those behind it overtake it.
    @Test func answersOnceWhileTheChannelFillsAndEmpties() async throws {
        try await withServices(isReadOnly: true) { services in
            let channel = EmbeddedChannel()
            try channel.pipeline.syncOperations.addHandlers(Throttle(channel: channel), Connection(services: services))
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
            let helpCount = 400
            let requests = "DROP c\n" + String(repeating: "HELP\n", count: helpCount) + "COLLECTIONS\nNOPE\nPING\n"
            try channel.writeInbound(ByteBuffer(string: requests))
            channel.embeddedEventLoop.run()
            var output = ""
            while let bytes = try channel.readOutbound(as: ByteBuffer.self) { output += String(buffer: bytes) }
            let headers = output.split(separator: "\n").filter { $0.hasPrefix("OK ") || $0.hasPrefix("ERR ") }
            #expect(headers.count == helpCount + 4)
            let last = headers.suffix(3).map { $0.split(separator: " ").prefix(2).joined(separator: " ") }
            #expect(last == ["OK 0", "ERR UNKNOWN", "OK 0"])
            _ = try channel.finish(acceptAlreadyClosed: true)
        }
    }

    /// What the answers to searches may hold in memory is bounded by what is reserved for them.
    @Test func reservesEnoughForTheAnswerToASearch() async throws {
        try await withServices { services in
            func parse(_ line: String) throws -> Request {
                try Array(line.utf8).withUnsafeBytes { try services.parser.parse($0) }
            }
            let id = String(repeating: "%20", count: 255)
            let json = "{\"a\":\"\(String(repeating: "x", count: 3_890))\"}"
            let writes = [
                try Commands.create(parse("CREATE c dim=3")),
                try Commands.put(parse("PUT c \(id) [-1.1754945e-38,-1.1754945e-38,-1.1754945e-38] \(json)")),
                try Commands.put(parse("PUT c other [1,1,1]")),
            ]
            let outcomes = await withCheckedContinuation { continuation in
                do throws(StoreError) {
                    try services.store.submit(WriteBatch(writes) { continuation.resume(returning: $0) })
                } catch {
                    continuation.resume(returning: [.failed(error)])
                }
            }
            #expect(outcomes.count == 3)
            // One of the two, and so much is reserved.
            let options = "range_min=1 range_max=1 with=rank,vector,logq,features"
            let search = try Commands.topK(parse("TOPK c 10 \(options) [-1.5e-30,-1.25e-30,-1.1e-30]"), services)
            var buffer = ByteBuffer()
            let answer = search.collection.topK(search.query)
            ReplyWriter(replyBytesMax: 1 << 20).write(search.reply(answer), into: &buffer)
            #expect(buffer.readableBytes > 4_000)
            #expect(buffer.readableBytes <= search.answerByteCount)
            #expect(search.answerByteCount < 2 * buffer.readableBytes)
        }
    }
}
