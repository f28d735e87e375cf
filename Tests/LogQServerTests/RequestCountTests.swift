import Foundation
import ItemStore
import Logging
import NIOCore
import NIOEmbedded
import PackedStrings
import Testing
import WireProtocol

@testable import LogQServer

/// How a connection counts its requests, and the encoding of its replies.
struct RequestCountTests {
    private func withConnection(_ body: (EmbeddedChannel, Connection, Services) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "logqd-test-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let store = try ItemStore.open(StoreConfiguration(directory: directory.path), logger: logger)
        defer { store.close() }
        let pool = QueryPool(threadCount: 1, waitingMax: 16)
        defer { pool.close() }
        let services = Services(store: store, pool: pool, configuration: ServerConfiguration())
        let channel = EmbeddedChannel()
        let connection = Connection(services: services)
        try channel.pipeline.syncOperations.addHandler(connection)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        try body(channel, connection, services)
        _ = try channel.finish(acceptAlreadyClosed: true)
    }

    private func ask(_ channel: EmbeddedChannel, _ requests: String) throws -> String {
        try channel.writeInbound(ByteBuffer(string: requests))
        channel.embeddedEventLoop.run()
        var output = ""
        while let bytes = try channel.readOutbound(as: ByteBuffer.self) { output += String(buffer: bytes) }
        return output
    }

    private func index(of verb: Verb) throws -> Int {
        try #require(Verbs.all.firstIndex { $0 === verb })
    }

    /// A request counts for its verb, and so does its error, whether the parser or the handler refuses it.
    @Test func requestsAndErrorsAreCountedByVerb() throws {
        try withConnection { channel, _, services in
            let output = try ask(channel, "PING\nping\nGET\nGET c a\nNOPE\n\nTOPK c 0 [1]\nSWAP a a\nHELP\nHELP x\n")
            #expect(output.components(separatedBy: "ERR ").count == 8)
            let metrics = services.metrics
            let expected = [
                (Ping.verb, 2, 0), (Get.verb, 2, 2), (TopK.verb, 1, 1), (Swap.verb, 1, 1), (Help.verb, 2, 1),
            ]
            for (verb, requests, errors) in expected {
                #expect(metrics.counts(of: try index(of: verb)) == (requests, errors), "\(verb.syntax.name)")
            }
            #expect(metrics.counts(of: nil) == (2, 2))
            #expect(metrics.counts(of: try index(of: Put.verb)) == (0, 0))
            #expect(metrics.requestCount == 10 && metrics.errorCount == 7)
            #expect(metrics.errorCount(.unknown) == 2 && metrics.errorCount(.noCollection) == 1)
            #expect(metrics.errorCount(.badRequest) == 4 && metrics.errorCount(.busy) == 0)
            // INFO has what was used and what was sent, and nothing else.
            let rows = try ask(channel, "INFO requests\n").split(separator: "\n")
            #expect(
                rows == [
                    "OK 9", "verb:PING requests=2 errors=0", "verb:HELP requests=2 errors=1",
                    "verb:SWAP requests=1 errors=1", "verb:GET requests=2 errors=2", "verb:TOPK requests=1 errors=1",
                    "verb:- requests=2 errors=2", "error:BADREQUEST 4", "error:UNKNOWN 2", "error:NOCOLLECTION 1",
                ]
            )
        }
    }

    /// Writes replies with a mark of another kind, and errors as their codes.
    private struct OtherReplyWriter: ReplyWriter {
        var encoding = RowEncoding(framing: .lines)
        let replyBytesMax = 1_000

        func write(_ error: WireError, into buffer: inout ByteBuffer) {
            buffer.writeString("-\(error.code.rawValue)\r\n")
        }

        func beginRows(count: Int, into buffer: inout ByteBuffer) {
            buffer.writeString("*\(count)\r\n")
        }

        func write(_ rows: RowBlock, into buffer: inout ByteBuffer) {
            beginRows(count: rows.count, into: &buffer)
            for row in 0..<rows.count {
                for column in rows.columns {
                    guard case .texts(let texts) = column.values else { continue }
                    buffer.writeString("$\(texts[row].utf8.count)\r\n\(texts[row])\r\n")
                }
            }
        }
    }

    /// No verb knows how replies are encoded.
    @Test func theEncodingOfRepliesCanBeReplaced() throws {
        try withConnection { channel, connection, _ in
            connection.session.replies = OtherReplyWriter()
            let output = try ask(channel, "PING\nNOPE\nHELP PING\nQUIT\n")
            let expected = ["*0", "-UNKNOWN", "*2", "$17", "PING -- answer OK", "$13", "example: PING", "*0"]
            #expect(output.components(separatedBy: "\r\n").dropLast() == expected[...])
        }
    }
}
