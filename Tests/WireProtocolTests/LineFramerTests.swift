import NIOCore
import PackedStrings
import TestSupport
import Testing

@testable import WireProtocol

struct LineFramerTests {
    /// The framer's results when `bytes` arrive in pieces of `pieceBytes`.
    private func frames(_ bytes: [UInt8], pieceBytes: Int, lineBytesMax: Int = 100) -> [String] {
        var framer = LineFramer(lineBytesMax: lineBytesMax)
        var frames: [String] = []
        var rest = ByteBuffer(bytes: bytes)
        while let piece = rest.readSlice(length: min(pieceBytes, rest.readableBytes)), piece.readableBytes > 0 {
            framer.append(piece)
            while let frame = framer.next() {
                switch frame {
                case .request(let byteCount):
                    frames.append(framer.withLine(byteCount: byteCount) { String(decoding: $0, as: UTF8.self) })
                    framer.consume(byteCount: byteCount)
                case .lost(let error):
                    frames.append("lost \(error.code.rawValue)")
                }
            }
        }
        return frames
    }

    @Test(arguments: [1, 2, 3, 5, 1_000])
    func cutsLinesFromPiecesOfAnySize(pieceBytes: Int) {
        let bytes = Array("PING\nGET c a\r\n\n\r\na\rb\r\r\nlast".utf8)
        #expect(frames(bytes, pieceBytes: pieceBytes) == ["PING", "GET c a", "", "", "a\rb\r"])
    }

    @Test(arguments: [1, 7, 1_000])
    func boundsALine(pieceBytes: Int) {
        let longest = String(repeating: "x", count: 100)
        #expect(frames(Array((longest + "\n").utf8), pieceBytes: pieceBytes) == [longest])
        #expect(frames(Array((longest + "x\nPING\n").utf8), pieceBytes: pieceBytes) == ["lost LIMIT"])
        #expect(frames(Array(("PING\n" + longest + "xxxx").utf8), pieceBytes: pieceBytes) == ["PING", "lost LIMIT"])
    }

    @Test(arguments: [1, 4, 1_000])
    func recognisesOtherProtocols(pieceBytes: Int) {
        func check(_ text: String, _ expected: [String]) {
            #expect(frames(Array(text.utf8), pieceBytes: pieceBytes) == expected)
        }
        check("\r\nPING\n", ["lost BADREQUEST"])
        check("\nPING\n", ["lost BADREQUEST"])
        check("PING\n\nPING\n", ["PING", "", "PING"])
        #expect(frames([0x16, 0x03, 0x01, 0x02, 0x00], pieceBytes: pieceBytes) == ["lost BADREQUEST"])
        #expect(frames([0x16, 0x0A, 0x16, 0x03, 0x0A], pieceBytes: pieceBytes).count == 2)
    }

    /// Every request gives the same result byte by byte, in random pieces and in one piece.
    @Test func requestsDoNotDependOnPieces() {
        var random = SeededGenerator()
        let parser = TestVerbs.parser()
        let lines = [
            "PING", "put shop caf%C3%A9 [1,-2.5e-3] {\"a\": [1, 2]}", "GET shop a b c", "GET shop", "NOPE",
            "TOPK c 3 with=logq except=a,b [0.1]", "FREQSET c - a 1 2 b - -", "OBSERVE c 3 seq=w:1 a a", " x",
            "SCORE c f32:AACAPw== a", "FSET c a {\"a\":1,\"a\":2}", "",
        ]
        let bytes = Array(lines.map { $0 + "\n" }.joined().utf8)
        func results(_ nextPieceBytes: () -> Int) -> [String] {
            var framer = LineFramer(lineBytesMax: 1_000)
            var results: [String] = []
            var rest = ByteBuffer(bytes: bytes)
            while rest.readableBytes > 0 {
                framer.append(rest.readSlice(length: min(nextPieceBytes(), rest.readableBytes))!)
                while case .request(let byteCount) = framer.next() {
                    results.append(
                        framer.withLine(byteCount: byteCount) { line in
                            do throws(RefusedRequest) { return "\(try parser.parse(line))" } catch { return "\(error)" }
                        }
                    )
                    framer.consume(byteCount: byteCount)
                }
            }
            return results
        }
        let whole = results { .max }
        #expect(whole.count == lines.count)
        #expect(results { 1 } == whole)
        for _ in 0..<100 { #expect(results { Int.random(in: 1...40, using: &random) } == whole) }
    }

    /// For any bytes, every line has one result, on one line.
    @Test func survivesRandomBytes() {
        var random = SeededGenerator()
        let parser = TestVerbs.parser(idsMax: 10)
        let verbs = TestVerbs.syntaxes.map(\.name)
        let alphabet = Array(" abcf32:[],.%=-0123456789{}\"\\\n\r\u{0}é".utf8)
        for _ in 0..<20_000 {
            var bytes = Array((verbs.randomElement(using: &random)! + " c ").utf8)
            for _ in 0..<Int.random(in: 0...60, using: &random) {
                let isAny = Int.random(in: 0..<8, using: &random) == 0
                bytes.append(
                    isAny ? UInt8.random(in: 0...255, using: &random) : alphabet.randomElement(using: &random)!
                )
            }
            bytes.append(0x0A)
            var framer = LineFramer(lineBytesMax: 50)
            framer.append(ByteBuffer(bytes: bytes))
            var lineCount = 0
            while case .request(let byteCount) = framer.next() {
                lineCount += 1
                framer.withLine(byteCount: byteCount) { line in
                    do throws(RefusedRequest) {
                        let request = try parser.parse(line)
                        #expect(!request[.vector].contains { !$0.isFinite })
                        #expect(request[.ids].count <= 10)
                    } catch {
                        #expect(!error.error.message.utf8.contains { $0 < 0x20 || $0 == 0x7F })
                    }
                }
                framer.consume(byteCount: byteCount)
            }
            #expect(lineCount <= bytes.count { $0 == 0x0A })
        }
    }
}
