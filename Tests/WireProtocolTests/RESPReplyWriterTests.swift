import NIOCore
import PackedStrings
import Testing

@testable import WireProtocol

struct RESPReplyWriterTests {
    private func text(
        _ version: RESPReplyWriter.Version,
        _ rows: RowBlock,
        _ format: VectorText.Format = .text
    ) -> String {
        var writer = RESPReplyWriter()
        writer.version = version
        writer.encoding.vectorFormat = format
        var buffer = ByteBuffer()
        writer.write(rows, into: &buffer)
        return String(buffer: buffer).replacing("\r\n", with: "|")
    }

    private func strings(_ texts: String...) -> PackedStrings {
        PackedStrings(texts.map { Array($0.utf8) })
    }

    private var everyKind: RowBlock {
        RowBlock(
            count: 2,
            [
                Column(.ids(strings("a b", "%"))),
                Column(.integers([7, -1])),
                Column(.vectors([1, 2.5], dimension: 2, isPresent: [false, true])),
                Column(.json(strings("{\"a\":1}", ""), isPresent: [true, false])),
                Column(.numbers([0.5, .nan]), label: "q"),
                Column(.texts(["once", "seen"]), label: "state"),
            ]
        )
    }

    @Test func writesEveryKindOfColumn() {
        #expect(
            text(.two, everyKind) == "*2|*5|$3|a b|:7|$-1|$7|{\"a\":1}|*4|$1|q|$3|0.5|$5|state|$4|once|"
                + "*5|$1|%|$-1|$7|[1,2.5]|$-1|*4|$1|q|$-1|$5|state|$4|seen|"
        )
        #expect(
            text(.three, everyKind, .base64) == "*2|*5|$3|a b|:7|_|$7|{\"a\":1}|%2|$1|q|,0.5|$5|state|$4|once|"
                + "*5|$1|%|_|$16|f32:AACAPwAAIEA=|_|%2|$1|q|_|$5|state|$4|seen|"
        )
    }

    @Test func writesRawVectors() {
        let block = RowBlock(count: 2, [Column(.vectors([1, 2.5, 3, 4], dimension: 2))])
        var writer = RESPReplyWriter()
        writer.encoding.vectorFormat = .raw
        var buffer = ByteBuffer()
        writer.write(block, into: &buffer)
        let expected = "*2\r\n$8\r\n\0\0\u{80}?\0\0 @\r\n$8\r\n\0\0@@\0\0\u{80}@\r\n".unicodeScalars.map {
            UInt8($0.value)
        }
        #expect(Array(buffer.readableBytesView) == expected)
    }

    @Test func aRowOfOneColumnIsItsValue() {
        #expect(text(.two, RowBlock(count: 2, [Column(.texts(["x", "é\n"]))])) == "*2|$1|x|$3|é\n|")
        #expect(text(.three, RowBlock(count: 0, [Column(.texts([]))])) == "*0|")
    }

    @Test func writesWhatIsNoTable() {
        #expect(text(.two, .empty) == "+OK|")
        var map = RowBlock(count: 1, [Column(.texts(["a:b"])), Column(.texts(["1 2"]))])
        map.shape = .map
        #expect(text(.two, map) == "*2|$3|a:b|$3|1 2|")
        #expect(text(.three, map) == "%1|$3|a:b|$3|1 2|")
        map.shape = .properties
        #expect(text(.three, map) == "$9|a_b:1 2||")
        let value = ReplyValue.list([.status("PONG"), .integer(-3), .bytes([0x61]), .null, .map([("n", .text("v"))])])
        #expect(text(.two, RowBlock(value: value)) == "*5|+PONG|:-3|$1|a|$-1|*2|$1|n|$1|v|")
        #expect(text(.three, RowBlock(value: value)) == "*5|+PONG|:-3|$1|a|_|%1|$1|n|$1|v|")
    }

    @Test func writesErrors() {
        var buffer = ByteBuffer()
        RESPReplyWriter().write(WireError(.badID, "two\r\nlines"), into: &buffer)
        #expect(String(buffer: buffer) == "-BADID two??lines\r\n")
    }

    @Test func boundsAReply() {
        let writer = RESPReplyWriter(replyBytesMax: 100)
        var buffer = ByteBuffer()
        writer.write(RowBlock(count: 1, [Column(.texts([String(repeating: "x", count: 101)]))]), into: &buffer)
        #expect(String(buffer: buffer).hasPrefix("-LIMIT got a reply of more than 100 bytes"))
    }
}
