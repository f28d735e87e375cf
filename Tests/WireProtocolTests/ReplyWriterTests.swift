import NIOCore
import PackedStrings
import TestSupport
import Testing

@testable import WireProtocol

struct ReplyWriterTests {
    private func text(_ rows: RowBlock, _ format: VectorText.Format = .text) -> String {
        var writer = LineReplyWriter()
        writer.encoding.vectorFormat = format
        var buffer = ByteBuffer()
        writer.write(rows, into: &buffer)
        return String(buffer: buffer)
    }

    private func text(_ error: WireError) -> String {
        var buffer = ByteBuffer()
        LineReplyWriter().write(error, into: &buffer)
        return String(buffer: buffer)
    }

    private func strings(_ texts: String...) -> PackedStrings {
        PackedStrings(texts.map { Array($0.utf8) })
    }

    @Test func writesHeaders() {
        #expect(text(.empty) == "OK 0\n")
        #expect(text(WireError(.badID, "got x")) == "ERR BADID got x\n")
        #expect(text(WireError(.full, "two\nlines\u{0}")) == "ERR FULL two?lines?\n")
    }

    @Test func writesEveryKindOfColumn() {
        let ids = strings("a b", "é")
        let block = RowBlock(
            count: 2,
            [
                Column(.ids(ids)),
                Column(.numbers([0.5, .nan]), label: "q"),
                Column(.integers([7, -1]), label: "last"),
                Column(.vectors([1, 2], dimension: 2, isPresent: [false, true])),
                Column(.texts(["x", "y"])),
                Column(.json(strings("{\"a\":1}", ""), isPresent: [true, false])),
            ]
        )
        #expect(
            text(block) == """
                OK 2
                a%20b q=0.5 last=7 - x {"a":1}
                é q=- last=- [1,2] y -

                """
        )
        let vectors = RowBlock(count: 2, [Column(.vectors([1, 2], dimension: 1))])
        #expect(text(vectors, .base64) == "OK 2\nf32:AACAPw==\nf32:AAAAQA==\n")
    }

    @Test func rowsMayBeWrittenInSlices() {
        let ids = strings("a", "b", "c")
        var buffer = ByteBuffer()
        let writer = LineReplyWriter()
        writer.beginRows(count: 3, into: &buffer)
        #expect(writer.encoding.writeRows(RowBlock(count: 2, [Column(.ids(ids))]), into: &buffer))
        #expect(writer.encoding.writeRows(RowBlock(count: 1, [Column(.ids(strings("c")))]), into: &buffer))
        #expect(String(buffer: buffer) == text(RowBlock(count: 3, [Column(.ids(ids))])))
    }

    @Test func aReplyThatIsTooLongIsRemoved() {
        let ids = strings("a", "b", "c")
        let whole = text(RowBlock(count: 3, [Column(.ids(ids))]))
        for replyBytesMax in 0...whole.utf8.count {
            var buffer = ByteBuffer(string: "before ")
            let writer = LineReplyWriter(replyBytesMax: replyBytesMax)
            writer.write(RowBlock(count: 3, [Column(.ids(ids))]), into: &buffer)
            let isWhole = replyBytesMax == whole.utf8.count
            #expect(String(buffer: buffer).hasPrefix(isWhole ? "before " + whole : "before ERR LIMIT "))
        }
    }

    /// The client reads back what the server wrote.
    @Test func repliesReadBack() throws {
        var random = SeededGenerator()
        for _ in 0..<200 {
            let count = Int.random(in: 0...20, using: &random)
            let ids = PackedStrings(
                (0..<count).map { _ in
                    (0..<Int.random(in: 1...20, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
                }
            )
            // Often repeat the previous number.
            let some = [0, -0.0, 1e-6, Double.random(in: -1...1, using: &random)]
            let numbers = (0..<count).map { _ in some.randomElement(using: &random)! }
            var decoder = ReplyDecoder(replyBytesMax: 1 << 20)
            var buffer = ByteBuffer()
            let block = RowBlock(count: count, [Column(.ids(ids)), Column(.numbers(numbers))])
            LineReplyWriter().write(block, into: &buffer)
            decoder.append(buffer)
            guard case .rows(let rows)? = try decoder.next() else {
                Issue.record("expected rows")
                continue
            }
            var idsRead = PackedStrings()
            var numbersRead: [Double] = []
            try rows.read { reader throws(WireError) in
                while var row = reader.next() {
                    try IDText.decode(row.nextWord()!, into: &idsRead)
                    numbersRead.append(NumberText.double(row.nextWord()!)!)
                }
            }
            #expect(idsRead == ids)
            #expect(numbersRead.map(\.bitPattern) == numbers.map(\.bitPattern))
        }
    }
}
