import NIOCore
import PackedStrings
import TestSupport
import Testing

@testable import WireProtocol

struct IDTextTests {
    private func decode(_ text: [UInt8]) throws(WireError) -> [UInt8] {
        var ids = PackedStrings()
        try text.withBytes { bytes throws(WireError) in try IDText.decode(bytes, into: &ids) }
        #expect(ids.count == 1)
        return Array(ids[0])
    }

    private func encode(_ id: [UInt8]) -> [UInt8] {
        var writer = RequestWriter()
        id.withBytes { writer.id($0) }
        return Array(writer.buffer.readableBytesView.dropFirst())
    }

    @Test func everyByteTravels() throws {
        for byte in UInt8.min...UInt8.max {
            let id = [byte, 0x61, byte]
            let text = encode(id)
            #expect(try decode(text) == id)
            let isReserved = byte <= 0x20 || byte == 0x7F || "%=,".utf8.contains(byte)
            #expect(text.count == (isReserved ? 7 : 3))
        }
        #expect(encode(Array("a b%=,\u{7F}".utf8)) == Array("a%20b%25%3D%2C%7F".utf8))
    }

    @Test func readsHexOfEitherCase() throws {
        #expect(try decode(Array("%c3%A9%41".utf8)) == Array("éA".utf8))
    }

    @Test(arguments: ["%", "%4", "%zz", "%4g", "a%", "ab%2", "a=b", "a,b", "a\u{7F}", "\u{1}"])
    func refusesBadEscapesAndRawBytes(text: String) {
        #expect { try decode(Array(text.utf8)) } throws: { ($0 as? WireError)?.code == .badID }
    }

    @Test func boundsTheDecodedLength() throws {
        let longest = [UInt8](repeating: 0x61, count: 255)
        #expect(try decode(longest) == longest)
        let escaped = Array(String(repeating: "%00", count: 255).utf8)
        #expect(try decode(escaped) == [UInt8](repeating: 0, count: 255))
        for text in [longest + [0x61], escaped + [0x61], []] {
            #expect { try decode(text) } throws: { ($0 as? WireError)?.code == .badID }
        }
    }

    @Test func roundTripsRandomIDs() throws {
        var random = SeededGenerator()
        for _ in 0..<2_000 {
            let id = (0..<Int.random(in: 1...255, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            #expect(try decode(encode(id)) == id)
        }
    }

    @Test func aBadIDLeavesTheListUnchanged() {
        var ids = PackedStrings([Array("a".utf8)])
        #expect(throws: WireError.self) {
            try "b%2".withBytes { bytes throws(WireError) in try IDText.decode(bytes, into: &ids) }
        }
        #expect(ids == PackedStrings([Array("a".utf8)]))
    }
}
