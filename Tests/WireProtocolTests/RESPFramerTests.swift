import NIOCore
import PackedStrings
import TestSupport
import Testing

@testable import WireProtocol

struct RESPFramerTests {
    /// The framer's results when `bytes` arrive in pieces: the words of each request, or the code of its error.
    private func frames(_ bytes: [UInt8], lineBytesMax: Int = 100, _ nextPieceBytes: () -> Int) -> [[String]] {
        var framer = RESPFramer(lineBytesMax: lineBytesMax)
        var frames: [[String]] = []
        var rest = ByteBuffer(bytes: bytes)
        while rest.readableBytes > 0 {
            framer.append(rest.readSlice(length: min(nextPieceBytes(), rest.readableBytes))!)
            while let frame = framer.next() {
                switch frame {
                case .request(let byteCount):
                    frames.append(
                        framer.withWords { words in
                            var texts: [String] = []
                            while let word = words.next() { texts.append(String(decoding: word, as: UTF8.self)) }
                            return texts
                        }
                    )
                    framer.consume(byteCount: byteCount)
                case .lost(let error):
                    frames.append(["lost \(error)"])
                }
            }
            #expect(framer.isWaitingForBytes)
        }
        return frames
    }

    @Test(arguments: [1, 2, 3, 5, 1_000])
    func cutsRequestsFromPiecesOfAnySize(pieceBytes: Int) {
        let bytes = "*1\r\n$4\r\nPING\r\n*0\r\n*-1\r\n*3\r\n$3\r\nGET\r\n$0\r\n\r\n$4\r\n\r\n*1\r\n*1\r\n$2\r\nno"
        #expect(frames(Array(bytes.utf8)) { pieceBytes } == [["PING"], ["GET", "", "\r\n*1"]])
    }

    @Test(arguments: [1, 7, 1_000])
    func refusesWhatIsNotRESP(pieceBytes: Int) {
        func check(_ text: String, _ message: String) {
            let expected = [["lost BADREQUEST \(message)"]]
            #expect(frames(Array(text.utf8)) { pieceBytes } == expected)
        }
        check("PING\r\n", "got 'P' as the first byte of a request, expected '*'")
        check("*1\r\n:1\r\n", "got ':' as the first byte of a word, expected '$'")
        check("*1\n$4\nPING\n", "got '1' as the length of a request, expected digits and CR LF")
        check("*1x\r\n$4\r\nPING\r\n", "got '1x' as the length of a request, expected digits and CR LF")
        check("*\r\n", "got '' as the length of a request, expected digits and CR LF")
        check("*1\r\n$-1\r\n", "got a null as word 1, expected a bulk string")
        check("*1\r\n$-2\r\n", "got '-2' as the length of a word, expected digits and CR LF")
        check("*1\r\n$3\r\nPING\r\n", "got a word longer than the 3 bytes of its header, expected CR LF after them")
        let digits = String(repeating: "1", count: 40)
        #expect(frames(Array("*\(digits)".utf8)) { pieceBytes }.first?.first?.hasPrefix("lost BADREQUEST") == true)
    }

    /// The limit is that of the same request as a line, and holds before the bytes arrive.
    @Test(arguments: [1, 7, 1_000])
    func boundsARequest(pieceBytes: Int) {
        let longest = RESPSocket.request([Array("ECHO".utf8), Array(repeating: 0x61, count: 95)])
        #expect(frames(longest) { pieceBytes }.map(\.count) == [2])
        let limit = [["lost LIMIT got a request of more than 100 bytes, expected at most that"]]
        #expect(frames(Array("*2\r\n$4\r\nECHO\r\n$96\r\n".utf8)) { pieceBytes } == limit)
        #expect(frames(Array("*1\r\n$9999999999\r\n".utf8)) { pieceBytes } == limit)
        let words = [["lost LIMIT got a request of 51 words, expected at most 50"]]
        #expect(frames(Array("*51\r\n".utf8)) { pieceBytes } == words)
        let empty = RESPSocket.request(Array(repeating: [], count: 50))
        #expect(frames(empty) { pieceBytes }.map(\.count) == [50])
    }

    /// Every request gives the same result byte by byte, in random pieces and in one piece. Nothing traps, whatever
    /// the bytes are.
    @Test func requestsDoNotDependOnPieces() {
        var random = SeededGenerator()
        let parser = TestVerbs.parser(idsMax: 10)
        let names = TestVerbs.syntaxes.map { Array($0.name.utf8) }
        for _ in 0..<(TestScale.isFull ? 1_000_000 : 20_000) {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                var words = [names.randomElement(using: &random)!, Array("c".utf8)]
                for _ in 0..<Int.random(in: 0...4, using: &random) {
                    words.append(
                        (0..<Int.random(in: 0...12, using: &random)).map { _ in .random(in: 0...255, using: &random) }
                    )
                }
                bytes += RESPSocket.request(words)
            }
            if Bool.random(using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            let whole = frames(bytes) { .max }
            #expect(frames(bytes) { Int.random(in: 1...9, using: &random) } == whole)
            var framer = RESPFramer(lineBytesMax: 100)
            framer.append(ByteBuffer(bytes: bytes))
            while case .request(let byteCount) = framer.next() {
                framer.withWords { words in
                    do throws(RefusedRequest) {
                        let request = try parser.parse(&words)
                        #expect(request[.ids].count <= 10)
                        #expect(!request[.vector].contains { !$0.isFinite })
                    } catch {
                        #expect(!error.error.message.utf8.contains { $0 < 0x20 || $0 == 0x7F })
                    }
                }
                framer.consume(byteCount: byteCount)
            }
        }
    }
}
