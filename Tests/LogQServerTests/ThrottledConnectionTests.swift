import Foundation
import ItemStore
import Logging
import NIOCore
import NIOEmbedded
import PackedStrings
import TestSupport
import Testing
import WireProtocol

@testable import LogQServer

/// A connection without a socket. The test decides when its channel becomes full or empty.
struct ThrottledConnectionTests {
    /// Becomes unwritable with each write, and writable again with each flush, like a socket whose client reads at that
    /// moment.
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
        let directory = try TemporaryDirectory()
        defer { withExtendedLifetime(directory) {} }
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

    /// The write is refused at once. So the read that waited for it begins within the same turn, after many other
    /// answers. It must not begin a second time, and later requests must not overtake it.
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

    /// The memory reserved for the answer to a search bounds the memory that it holds.
    @Test func reservesEnoughForTheAnswerToASearch() async throws {
        try await withServices { services in
            func write(_ line: String) throws -> Write? {
                let request = try Array(line.utf8).withUnsafeBytes { try services.lines.parser.parse($0) }
                guard case .change(let handler) = Verbs.all[request.verb].action else { return nil }
                return try handler(request, services).write
            }
            let id = String(repeating: "%20", count: 255)
            let json = "{\"a\":\"\(String(repeating: "x", count: 3_890))\"}"
            let writes = [
                try #require(try write("CREATE c dim=3")),
                try #require(try write("PUT c \(id) [-1.1754945e-38,-1.1754945e-38,-1.1754945e-38] \(json)")),
                try #require(try write("PUT c other [1,1,1]")),
            ]
            let outcomes = await withCheckedContinuation { continuation in
                do throws(StoreError) {
                    try services.store.submit(WriteBatch(writes) { continuation.resume(returning: $0) })
                } catch {
                    continuation.resume(returning: [.failed(error)])
                }
            }
            #expect(outcomes.count == 3)
            // The answer has one of the two rows, and `answerByteCount` is reserved for it.
            let options = "range_min=1 range_max=1 with=rank,vector,logq,features"
            let line = "TOPK c 10 \(options) [-1.5e-30,-1.25e-30,-1.1e-30]"
            let request = try Array(line.utf8).withUnsafeBytes { try services.lines.parser.parse($0) }
            guard case .query(let handler) = TopK.verb.action, case .search(let search) = try handler(request, services)
            else { throw WireError(.internalError, "TOPK is no search") }
            var buffer = ByteBuffer()
            let answer = search.collection.topK(search.question)
            LineReplyWriter(replyBytesMax: 1 << 20).write(try search.rows(answer), into: &buffer)
            #expect(buffer.readableBytes > 4_000)
            #expect(buffer.readableBytes <= search.answerByteCount)
            #expect(search.answerByteCount < 2 * buffer.readableBytes)
        }
    }
}
