import NIOCore
import TestSupport
import Testing

@testable import WireProtocol

struct RowCursorTests {
    /// A row with every kind of value, and then one in which all that may be missing is missing.
    private func text(_ framing: RowEncoding.Framing, _ format: VectorText.Format = .text) -> String {
        var encoding = RowEncoding(framing: framing)
        encoding.vectorFormat = format
        var buffer = ByteBuffer()
        for isPresent in [true, false] {
            "a b".withBytes { id in
                [Float](arrayLiteral: 1, 2.5).withUnsafeBufferPointer { vector in
                    "{}".withBytes { json in
                        encoding.writeRow(RowShape(5, labeled: 2), textBytesMax: 200, into: &buffer) { row in
                            row.id(id)
                            row.vector(isPresent ? vector : nil)
                            row.flag(isPresent)
                            row.integer(isPresent ? 7 : -1)
                            row.json(isPresent ? json : nil)
                            row.number(isPresent ? 0.5 : .nan, label: "q")
                            row.word("seen", label: "state")
                        }
                    }
                }
            }
        }
        return String(buffer: buffer).replacing("\r\n", with: "|")
    }

    @Test func writesLines() {
        #expect(text(.lines) == "a%20b [1,2.5] 1 7 {} q=0.5 state=seen\na%20b - 0 - - q=- state=seen\n")
        #expect(text(.lines, .base64).hasPrefix("a%20b f32:AACAPwAAIEA= 1 7 "))
    }

    @Test func writesRESP2() {
        #expect(
            text(.resp2) == "*6|$3|a b|$7|[1,2.5]|:1|:7|$2|{}|*4|$1|q|$3|0.5|$5|state|$4|seen|"
                + "*6|$3|a b|$-1|:0|$-1|$-1|*4|$1|q|$-1|$5|state|$4|seen|"
        )
    }

    @Test func writesRESP3() {
        #expect(
            text(.resp3, .base64) == "*6|$3|a b|$16|f32:AACAPwAAIEA=|#t|:7|$2|{}|%2|$1|q|,0.5|$5|state|$4|seen|"
                + "*6|$3|a b|_|#f|_|_|%2|$1|q|_|$5|state|$4|seen|"
        )
    }

    @Test func aRowOfOneValueIsTheValue() {
        var buffer = ByteBuffer()
        let encoding = RowEncoding(framing: .resp2)
        encoding.writeRow(RowShape(1), textBytesMax: 0, into: &buffer) { $0.integer(3) }
        #expect(String(buffer: buffer) == ":3\r\n")
    }

    /// A number that is written again has the text of the first time, also after a longer one.
    @Test func numbersRepeat() {
        var buffer = ByteBuffer()
        var last = WrittenNumber()
        for number in [0.1, 0.1, 1e-300, 1e-300, 0, -0.0, 0.1] {
            RowEncoding(framing: .lines).writeRow(RowShape(1), textBytesMax: 32, into: &buffer) { row in
                row.number(number, repeating: &last)
            }
        }
        #expect(String(buffer: buffer) == "0.1\n0.1\n1e-300\n1e-300\n0\n-0\n0.1\n")
    }
}
