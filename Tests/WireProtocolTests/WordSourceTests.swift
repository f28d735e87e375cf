import NIOCore
import PackedStrings
import TestSupport
import Testing

@testable import WireProtocol

/// The parser reads binary requests with the grammar of lines.
struct WordSourceTests {
    private func parse(_ words: [[UInt8]], idsMax: Int = 16_384) throws(WireError) -> Request {
        var framer = RESPFramer(lineBytesMax: 1_000_000)
        framer.append(ByteBuffer(bytes: RESPSocket.request(words)))
        guard case .request = framer.next() else { throw WireError(.internalError, "the framer found no request") }
        return try framer.withWords { words throws(WireError) in try TestVerbs.parse(&words, idsMax: idsMax) }
    }

    private func parse(_ texts: String..., idsMax: Int = 16_384) throws(WireError) -> Request {
        try parse(texts.map { Array($0.utf8) }, idsMax: idsMax)
    }

    @Test func readsARequestFromAnArray() throws {
        let put = try parse("put", "shop", "50%=a b,", "[1,2]", "{ \"a\":\n 1 }")
        #expect(TestVerbs.syntaxes[put.verb].name == "PUT")
        #expect(put[.collection] == "shop")
        #expect(put[.id] == Array("50%=a b,".utf8))
        #expect(put[.vector] == [1, 2])
        #expect(put[.optionalJSON] == Array("{\"a\":1}".utf8))
        let topK = try parse("TOPK", "shop", "3", "with=logq", "except=a%20b,c", "like=a%3D")
        #expect(topK[TestVerbs.k] == 3)
        #expect(topK[TestVerbs.with] == [.logq])
        #expect(topK[TestVerbs.except] == PackedStrings(["a b", "c"].map { Array($0.utf8) }))
        #expect(topK[TestVerbs.query] == .id(Array("a=".utf8)))
        #expect(try parse("FREQSET", "shop", "7", "a", "1", "-")[.estimates].gaps == [1])
        #expect(try parse("FREQSET", "shop", "7", "%", "1", "-")[.estimates].ids == PackedStrings([Array("%".utf8)]))
    }

    @Test func idsMayHaveAnyBytes() throws {
        let all = Array(UInt8.min...UInt8.max)
        let ids = [Array(all.dropLast()), [0], Array("\r\n".utf8), [0xFF]]
        let name = [Array("GET".utf8), Array("c".utf8)]
        #expect(try parse(name + ids)[.ids] == PackedStrings(ids))
        #expect(throws: WireError(.badID, "got an id of 256 bytes, expected 1 to 255")) { try parse(name + [all]) }
        #expect(throws: WireError(.badID, "got an id of 0 bytes, expected 1 to 255")) { try parse(name + [[]]) }
    }

    /// An id may look like an option. A verb without options takes it as it is, any other after `--`.
    @Test func twoDashesEndTheOptions() throws {
        let ids = PackedStrings(["seq=w:1", "--"].map { Array($0.utf8) })
        #expect(try parse("GET", "c", "seq=w:1", "--")[.ids] == ids)
        #expect(try parse("GET", "c", "--", "seq=w:1", "--")[.ids] == ids)
        let observe = try parse("OBSERVE", "c", "1", "seq=x:2", "--", "seq=w:1", "--")
        #expect(observe[.ids] == ids)
        #expect(observe[TestVerbs.sequence] == SequenceNumber(producer: "x", number: 2))
        #expect(throws: WireError(.badRequest, "got 0 words after GET, expected GET c id...")) {
            try parse("GET")
        }
        #expect { try parse("OBSERVE", "c", "1", "nope=1", "a") } throws: {
            ($0 as? WireError)?.message.hasPrefix("got option 'nope', expected ") == true
        }
    }

    @Test func vectorsMayBeRaw() throws {
        func vector(_ bytes: [UInt8]) throws -> [Float] {
            try parse([Array("TOPK".utf8), Array("c".utf8), Array("1".utf8), bytes])[.vector]
        }
        func raw(_ values: [Float]) -> [UInt8] {
            values.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) } }
        }
        #expect(try vector(raw([1, -2.5])) == [1, -2.5])
        #expect(try vector(Array("[1,2.25]".utf8)) == [1, 2.25])
        #expect(try vector(Array("f32:AACAPw==".utf8)) == [1])
        // These begin like an option, like a text and like base64.
        for bytes in [Array("ab=\u{1}".utf8), Array("[ab\u{1}".utf8), Array("f32:\u{0}\u{0}\u{0}\u{1}".utf8)] {
            let expected = stride(from: 0, to: bytes.count, by: 4).map { at in
                Float(bitPattern: bytes[at..<at + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) })
            }
            #expect(try vector(bytes) == expected)
        }
        #expect(throws: WireError(.badVector, "got nan as number 2, expected a finite number")) {
            try vector(raw([1, .nan]))
        }
        let expected = "a vector like [0.1,0.2] or f32:zczMPQ==, or 4 raw bytes for each number"
        #expect(throws: WireError(.badVector, "got 5 bytes, expected \(expected)")) { try vector([1, 2, 3, 4, 5]) }
        #expect(throws: WireError(.badVector, "got '1,2', expected \(expected)")) { try vector(Array("1,2".utf8)) }
        // A text with a mistake is not taken for numbers, although it has eight bytes.
        #expect { try vector(Array("[1,2,3x]".utf8)) } throws: { ($0 as? WireError)?.code == .badVector }
    }

    @Test func errorsAreThoseOfLines() {
        #expect { try parse("GET", "c") } throws: {
            ($0 as? WireError)?.message == "got 1 word after GET, expected GET c id..."
        }
        #expect { try parse("GET", "c", "a", "b", idsMax: 1) } throws: {
            ($0 as? WireError)?.message == "got 2 ids, expected at most 1"
        }
        #expect { try parse("PING", "x") } throws: {
            ($0 as? WireError)?.message == "got 'x' too many, expected PING"
        }
        #expect { try parse("FSET", "c", "a", "{\"a\":", "1}") } throws: {
            ($0 as? WireError)?.message == "got 2 words at the end, expected the JSON as one word"
        }
    }
}
