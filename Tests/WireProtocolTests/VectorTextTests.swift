import Foundation
import NIOCore
import TestSupport
import Testing

@testable import WireProtocol

struct VectorTextTests {
    private func read(_ text: String) throws(WireError) -> [Float] {
        try text.withBytes { bytes throws(WireError) in try VectorText.read(bytes) }
    }

    private func write(_ values: [Float], _ format: VectorText.Format) -> String {
        var writer = RequestWriter(vectorFormat: format)
        writer.vector(values)
        return String(String(buffer: writer.buffer).dropFirst())
    }

    @Test func readsAndWritesText() throws {
        #expect(try read("[0.1,-2,3e5]") == [0.1, -2, 3e5])
        #expect(try read("[1]") == [1])
        #expect(write([0.1, -2, 1e-5], .text) == "[0.1,-2,1e-5]")
        #expect(write([], .text) == "[]")
    }

    @Test func readsAndWritesBase64() throws {
        #expect(write([0.1], .base64) == "f32:zczMPQ==")
        #expect(write([1, 2], .base64) == "f32:AACAPwAAAEA=")
        #expect(write([1, 2, 3], .base64) == "f32:AACAPwAAAEAAAEBA")
        #expect(try read("f32:zczMPQ==") == [0.1])
    }

    @Test(arguments: [
        "[", "]", "[]", "f32:", "[1", "1]", "[1,]", "[,1]", "[1,,2]", "[1 2]", "[nan]", "[inf]", "[1,-inf]", "[1e39]",
        "[-1e400]",
        "[0x1]", "[a]", "[1]]", "[[1]", "f32", "f64:AAAA", "f32:AAA", "f32:AAAA", "f32:AACAPw=", "f32:AACAPw",
        "f32:AACAP===", "f32:AAC?Pw==", "f32:AAC\u{E9}w==", "f32:====", "f32:AACAPx==", "f32:=AAA", "f32:A===",
        "f32:AACAfw==", "f32:AACA/w==", "f32:AADAfw==", "[1]x",
    ])
    func refusesMalformedVectors(text: String) {
        #expect { try read(text) } throws: { ($0 as? WireError)?.code == .badVector }
    }

    @Test func saysWhichNumberIsBad() {
        #expect(throws: WireError(.badVector, "got 'nan' as number 3, expected a finite number")) {
            try read("[1,2,nan,4]")
        }
        #expect(throws: WireError(.badVector, "got '' as number 2, expected a finite number")) { try read("[1,]") }
        #expect(throws: WireError(.badVector, "got inf as number 1, expected a finite number")) {
            try read("f32:AACAfw==")
        }
    }

    @Test func roundTripsRandomBitPatterns() throws {
        var random = SeededGenerator()
        for count in 1..<200 {
            let values = (0..<count).map { _ in
                let value = Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &random))
                return value.isFinite ? value : 0.5
            }
            for format in [VectorText.Format.text, .base64] {
                let back = try read(write(values, format))
                #expect(back.map(\.bitPattern) == values.map(\.bitPattern))
            }
            let bytes = values.withUnsafeBytes { Data($0) }
            #expect(write(values, .base64) == "f32:" + bytes.base64EncodedString())
        }
    }
}
