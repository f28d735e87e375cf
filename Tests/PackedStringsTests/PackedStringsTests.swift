/// Strings in one allocation read back unchanged, whichever way they were added.
import PackedStrings
import Testing

@Suite struct PackedStringsTests {
    /// Empty strings at both ends and in sequence, no empty strings, and bytes that are not UTF-8.
    static let lists: [[[UInt8]]] = [[[], [1, 2, 3], [], [], [0, 255, 0], [7], []], [[9, 8], [7], [6, 5, 4]]]

    private func expectSame(_ packed: PackedStrings, _ strings: [[UInt8]]) {
        #expect(packed.count == strings.count)
        #expect(packed.isEmpty == strings.isEmpty)
        #expect(packed.byteCount == strings.reduce(0) { $0 + $1.count })
        for (index, string) in strings.enumerated() {
            #expect(Array(packed[index]) == string)
            #expect(packed.withString(index) { bytes in Array(bytes) } == string)
            #expect(packed.withAllBytes { all in Array(all[packed.range(index)]) } == string)
        }
    }

    @Test func empty() {
        expectSame(PackedStrings(), [])
        expectSame(PackedStrings([[UInt8]]()), [])
    }

    @Test(arguments: lists)
    func packed(strings: [[UInt8]]) {
        expectSame(PackedStrings(strings), strings)
    }

    @Test(arguments: lists)
    func appended(strings: [[UInt8]]) {
        var collections = PackedStrings()
        collections.reserveCapacity(strings: 7, bytes: 7)
        var buffers = PackedStrings()
        var pieces = PackedStrings()
        for string in strings {
            collections.append(string)
            string.withUnsafeBytes { bytes in buffers.append(bytes) }
            // As a decoder does: one byte, then the rest at once.
            if let first = string.first { pieces.appendByte(first) }
            Array(string.dropFirst()).withUnsafeBytes { rest in pieces.appendBytes(rest) }
            pieces.finishString()
        }
        for packed in [collections, buffers, pieces] {
            expectSame(packed, strings)
            #expect(packed == PackedStrings(strings))
        }
    }

    @Test func whereAStringEndsIsPartOfTheValue() {
        #expect(PackedStrings([[1, 2], [3]]) != PackedStrings([[1], [2, 3]]))
        #expect(PackedStrings([[1], []]) != PackedStrings([[1]]))
    }

    @Test func errorsPassThrough() {
        struct Stop: Error {}
        let packed = PackedStrings(Self.lists[0])
        #expect(throws: Stop.self) { try packed.withString(1) { _ in throw Stop() } }
    }
}
