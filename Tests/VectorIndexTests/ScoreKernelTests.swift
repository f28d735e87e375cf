// Every set of kernels that this CPU supports, compared with the one in plain C, bit for bit.

import CVectorKernels
import TestSupport
import Testing

@testable import VectorIndex

/// The sets to compare with "scalar". On a machine without any of them, nothing is compared.
let vectorKernelNames: [String] = ["avx512", "avx2", "neon"].filter { (name: String) in
    vector_kernels_named(name) != nil
}

/// Rows that begin at any byte: memory, an offset into it, and a stride in bytes.
struct RowBytes {
    let memory: UnsafeMutableRawBufferPointer
    let offset: Int
    let stride: Int

    /// Allocates exactly the bytes of the rows, so that a sanitizer notices reads beyond them.
    init(count: Int, dimension: Int, offset: Int, gap: Int, value: () -> Float) {
        let stride = dimension * 4 + gap
        self.offset = offset
        self.stride = stride
        memory = .allocate(byteCount: offset + count * stride - gap, alignment: 64)
        for row in 0..<count {
            for index in 0..<dimension {
                let bits = value().bitPattern.littleEndian
                memory.storeBytes(of: bits, toByteOffset: offset + row * stride + index * 4, as: UInt32.self)
            }
        }
    }

    var start: UnsafeRawPointer { UnsafeRawPointer(memory.baseAddress!) + offset }
}

@Suite struct ScoreKernelTests {
    private func sums(
        _ kernels: UnsafePointer<vector_kernels>,
        _ query: [Double],
        _ dimension: Int,
        _ rows: RowBytes,
        _ count: Int
    ) -> [[UInt64]] {
        var dots = [Double](repeating: .nan, count: count)
        var products = dots
        var squares = dots
        var distances = dots
        kernels.pointee.dot(query, dimension, rows.start, count, rows.stride, &dots)
        kernels.pointee.dot_and_square(query, dimension, rows.start, count, rows.stride, &products, &squares)
        kernels.pointee.squared_distance(query, dimension, rows.start, count, rows.stride, &distances)
        #expect(dots == products)
        return [dots, squares, distances].map { $0.map(\.bitPattern) }
    }

    /// Runs both sets over `dimensions` at byte offsets 0...15, with the numbers from `value`.
    private func compare(
        _ name: String,
        dimensions: some Sequence<Int>,
        seed: UInt64,
        _ value: (inout SeededGenerator) -> Float
    ) throws {
        print("seed \(seed)")
        let kernels = try #require(vector_kernels_named(name))
        let scalar = try #require(vector_kernels_named("scalar"))
        var random = SeededGenerator(seed: seed)
        for dimension in dimensions {
            for offset in 0..<16 {
                let count = 3
                let rows = RowBytes(count: count, dimension: dimension, offset: offset, gap: offset % 3) {
                    value(&random)
                }
                defer { rows.memory.deallocate() }
                var query = [Double](repeating: 0, count: (dimension + 15) / 16 * 16)
                for index in 0..<dimension { query[index] = Double(value(&random)) }
                let got = sums(kernels, query, dimension, rows, count)
                let expected = sums(scalar, query, dimension, rows, count)
                guard got == expected else {
                    Issue.record("\(name) differs at dimension \(dimension), byte offset \(offset)")
                    return
                }
            }
        }
    }

    @Test(arguments: vectorKernelNames)
    func everyDimensionAtEveryOffset(name: String) throws {
        try compare(name, dimensions: 1...130, seed: 1) { Float.random(in: -1...1, using: &$0) }
        try compare(name, dimensions: [255, 256, 257, 768, 1_000, 4_095, 4_096], seed: 2) {
            Float.random(in: -1...1, using: &$0)
        }
    }

    @Test(arguments: vectorKernelNames)
    func hugeTinyAndDenormalNumbers(name: String) throws {
        let extremes: [Float] = [
            0, -0.0, .leastNonzeroMagnitude, -.leastNonzeroMagnitude, .leastNormalMagnitude, 1e-30, -1e-30, 1, -1,
            1e30, -1e30, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, 1.000_000_1,
        ]
        try compare(name, dimensions: 1...70, seed: 3) { extremes.randomElement(using: &$0)! }
        try compare(name, dimensions: 1...70, seed: 4) {
            // Any finite bit pattern.
            var value = Float.nan
            while !value.isFinite { value = Float(bitPattern: UInt32.random(in: .min ... .max, using: &$0)) }
            return value
        }
    }

    @Test func scalarKernelsFollowTheDefinition() throws {
        let scalar = try #require(vector_kernels_named("scalar"))
        var random = SeededGenerator(seed: 5)
        for dimension in [1, 2, 15, 16, 17, 33, 100] {
            let row = (0..<dimension).map { _ in Float.random(in: -9...9, using: &random) }
            let query = (0..<dimension).map { _ in Double(Float.random(in: -9...9, using: &random)) }
            var lanes = [Double](repeating: 0, count: 16)
            for index in 0..<dimension { lanes[index % 16] += query[index] * Double(row[index]) }
            let eight = (0..<8).map { lanes[$0] + lanes[$0 + 8] }
            let four = (0..<4).map { eight[$0] + eight[$0 + 4] }
            let expected = (four[0] + four[2]) + (four[1] + four[3])
            let padded = query + [Double](repeating: 0, count: 16)
            var got = 0.0
            scalar.pointee.dot(padded, dimension, row, 1, dimension * 4, &got)
            #expect(got.bitPattern == expected.bitPattern)
        }
    }

    @Test func anUnsupportedSetOfKernelsIsNil() {
        #expect(vector_kernels_named("abacus") == nil)
        #expect(vector_kernels_named(vector_kernels_name()) == vector_kernels_current())
        #expect(vector_kernels_named("scalar") != nil)
    }
}
