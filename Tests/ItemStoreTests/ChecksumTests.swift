/// CRC-32C: known vectors, and agreement of the instruction with the tables at every length and alignment.
import CChecksum
import Testing

@Suite struct ChecksumTests {
    private func both(_ bytes: [UInt8]) -> [UInt32] {
        bytes.withUnsafeBytes { buffer in
            [
                checksum_crc32c(0, buffer.baseAddress, buffer.count),
                checksum_crc32c_portable(0, buffer.baseAddress, buffer.count),
            ]
        }
    }

    @Test func knownVectors() {
        // The check value of the CRC catalogue, then RFC 3720, B.4.
        #expect(both(Array("123456789".utf8)) == [0xE306_9283, 0xE306_9283])
        #expect(both([UInt8](repeating: 0, count: 32)) == [0x8A91_36AA, 0x8A91_36AA])
        #expect(both([UInt8](repeating: 0xFF, count: 32)) == [0x62A8_AB43, 0x62A8_AB43])
        #expect(both((0..<32).map { UInt8($0) }) == [0x46DD_794E, 0x46DD_794E])
        #expect(both((0..<32).reversed().map { UInt8($0) }) == [0x113F_DB5C, 0x113F_DB5C])
        #expect(both([]) == [0, 0])
        #expect(both([UInt8](repeating: 0, count: 8)) != both([UInt8](repeating: 0, count: 9)))
    }

    @Test func instructionAndTablesAgree() {
        let bytes = (0..<5_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 11) }
        let lengths = Array(0...80) + [255, 256, 257, 4_079, 4_080, 4_081]
        bytes.withUnsafeBytes { buffer in
            for offset in 0..<16 {
                for length in lengths {
                    let start = buffer.baseAddress! + offset
                    let fast = checksum_crc32c(0x1234_5678, start, length)
                    #expect(fast == checksum_crc32c_portable(0x1234_5678, start, length), "\(length) at \(offset)")
                }
            }
        }
    }

    @Test func chains() {
        let bytes = (0..<100).map { UInt8($0) }
        let whole = both(bytes)[0]
        bytes.withUnsafeBytes { buffer in
            let start = buffer.baseAddress!
            for cut in 0...100 {
                let first = checksum_crc32c(0, start, cut)
                #expect(checksum_crc32c(first, start + cut, 100 - cut) == whole)
                let portable = checksum_crc32c_portable(0, start, cut)
                #expect(checksum_crc32c_portable(portable, start + cut, 100 - cut) == whole)
            }
        }
    }

    @Test func everyFlippedBitIsNoticed() {
        var bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0) }
        let whole = both(bytes)
        for index in bytes.indices {
            for bit in 0..<8 {
                bytes[index] ^= 1 << bit
                let changed = both(bytes)
                #expect(changed[0] != whole[0] && changed[1] != whole[1])
                bytes[index] ^= 1 << bit
            }
        }
    }
}
