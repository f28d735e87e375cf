/// SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012): a 64-bit hash of a byte string under a
/// 128-bit key. Without the key nobody can find strings that collide. The hash is the same on every machine, so it can
/// be stored; that of Swift's `Hasher` differs between processes.
package struct SipHash: Sendable, Equatable {
    /// The key's 16 bytes as two little-endian words.
    private let key: (UInt64, UInt64)

    package init(key: (UInt64, UInt64)) {
        self.key = key
    }

    package static func == (left: SipHash, right: SipHash) -> Bool {
        left.key == right.key
    }

    package func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var state = State(key)
        let wholeCount = bytes.count & ~7
        for offset in stride(from: 0, to: wholeCount, by: 8) {
            state.absorb(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
        }
        // The remaining bytes, with the length in the highest byte.
        var last = UInt64(truncatingIfNeeded: bytes.count) << 56
        for offset in wholeCount..<bytes.count {
            last |= UInt64(bytes[offset]) << UInt64(8 * (offset - wholeCount))
        }
        state.absorb(last)
        return state.finish()
    }

    private struct State {
        var v0: UInt64
        var v1: UInt64
        var v2: UInt64
        var v3: UInt64

        /// The constants spell "somepseudorandomlygeneratedbytes".
        @inline(__always)
        init(_ key: (UInt64, UInt64)) {
            v0 = key.0 ^ 0x736f_6d65_7073_6575
            v1 = key.1 ^ 0x646f_7261_6e64_6f6d
            v2 = key.0 ^ 0x6c79_6765_6e65_7261
            v3 = key.1 ^ 0x7465_6462_7974_6573
        }

        @inline(__always)
        mutating func absorb(_ word: UInt64) {
            v3 ^= word
            round()
            round()
            v0 ^= word
        }

        @inline(__always)
        mutating func finish() -> UInt64 {
            v2 ^= 0xff
            for _ in 0..<4 { round() }
            return v0 ^ v1 ^ v2 ^ v3
        }

        @inline(__always)
        private mutating func round() {
            v0 &+= v1
            v2 &+= v3
            v1 = v1.rotated(by: 13) ^ v0
            v3 = v3.rotated(by: 16) ^ v2
            v0 = v0.rotated(by: 32)
            v2 &+= v1
            v0 &+= v3
            v1 = v1.rotated(by: 17) ^ v2
            v3 = v3.rotated(by: 21) ^ v0
            v2 = v2.rotated(by: 32)
        }
    }
}

extension UInt64 {
    @inline(__always)
    fileprivate func rotated(by bits: UInt64) -> UInt64 {
        self << bits | self >> (64 - bits)
    }
}
