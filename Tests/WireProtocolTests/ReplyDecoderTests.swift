import NIOCore
import PackedStrings
import Testing

@testable import WireProtocol

struct ReplyDecoderTests {
    private let stream = "OK 0\nOK 2\na 1\nb \nERR BADID got x, expected y\nOK 1\n\nERR FULL\nOK 0\n"

    private func expected() -> [DecodedReply] {
        [
            .rows(ReplyRows(count: 0, bytes: ByteBuffer())),
            .rows(ReplyRows(count: 2, bytes: ByteBuffer(string: "a 1\nb \n"))),
            .failure(code: "BADID", message: "got x, expected y"),
            .rows(ReplyRows(count: 1, bytes: ByteBuffer(string: "\n"))),
            .failure(code: "FULL", message: ""),
            .rows(ReplyRows(count: 0, bytes: ByteBuffer())),
        ]
    }

    @Test(arguments: [1, 2, 3, 7, 1_000])
    func cutsRepliesFromPiecesOfAnySize(pieceBytes: Int) throws {
        var decoder = ReplyDecoder(replyBytesMax: 100)
        var replies: [DecodedReply] = []
        var rest = ByteBuffer(string: stream)
        while rest.readableBytes > 0 {
            decoder.append(rest.readSlice(length: min(pieceBytes, rest.readableBytes))!)
            while let reply = try decoder.next() { replies.append(reply) }
        }
        #expect(replies == expected())
        #expect(decoder.pendingByteCount == 0)
    }

    @Test(arguments: [
        "OK\n", "OK x\n", "OK -1\n", "ok 0\n", "ERR\n", "\n", "HTTP/1.1 200 OK\n", "OK 0 0\n", "OK 1000\n",
    ])
    func refusesTextThatIsNotAReply(text: String) {
        var decoder = ReplyDecoder(replyBytesMax: 100)
        decoder.append(ByteBuffer(string: text))
        #expect(throws: ReplyFormatError.self) { try decoder.next() }
    }

    @Test(arguments: ["OK 2\na\n", "OK 1\n", ""])
    func boundsAReply(start: String) throws {
        var decoder = ReplyDecoder(replyBytesMax: 50)
        decoder.append(ByteBuffer(string: start + String(repeating: "x", count: 40)))
        #expect(try decoder.next() == nil)
        decoder.append(ByteBuffer(string: String(repeating: "x", count: 20)))
        #expect(throws: ReplyFormatError.self) { try decoder.next() }
    }

    @Test func readsWordsOfARow() throws {
        let rows = ReplyRows(count: 3, bytes: ByteBuffer(string: "a 1.5 {\"b\": 1}\n\nlast\n"))
        let texts = rows.read { reader in
            var texts: [[String]] = []
            while var row = reader.next() {
                var words: [String] = []
                if let first = row.nextWord() { words.append(String(decoding: first, as: UTF8.self)) }
                if let second = row.nextWord() { words.append(String(decoding: second, as: UTF8.self)) }
                words.append(String(decoding: row.rest(), as: UTF8.self))
                texts.append(words)
            }
            return texts
        }
        #expect(texts == [["a", "1.5", "{\"b\": 1}"], [""], ["last", ""]])
    }
}

struct RequestWriterTests {
    @Test func writesWordsInOrder() {
        var writer = RequestWriter(vectorFormat: .text)
        writer.begin("TOPK")
        writer.word("shop")
        writer.integer(10)
        writer.option("except", ids: PackedStrings([Array("a,b".utf8), Array("c".utf8)]))
        writer.option("with", "logq")
        writer.option("strength", 0.5)
        writer.option("limit", -3 as Int64)
        writer.vector([1, 0.5])
        writer.id("x y")
        writer.dash()
        writer.number(1e-7)
        writer.end()
        writer.begin("PING")
        writer.end()
        #expect(
            String(buffer: writer.buffer)
                == "TOPK shop 10 except=a%2Cb,c with=logq strength=0.5 limit=-3 [1,0.5] x%20y - 1e-7\nPING\n"
        )
    }
}
