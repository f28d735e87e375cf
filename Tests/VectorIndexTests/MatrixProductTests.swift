// The matrix functions, compared with three nested loops.

import CVectorKernels
import Foundation
import TestSupport
import Testing

@Suite struct MatrixProductTests {
    static let names = ["scalar"] + vectorKernelNames

    private func naive(
        _ form: matrix_form,
        _ rows: Int,
        _ columns: Int,
        _ depth: Int,
        _ a: [Float],
        _ aStride: Int,
        _ b: [Float],
        _ bStride: Int
    ) -> [Double] {
        var c = [Double](repeating: 0, count: rows * columns)
        for i in 0..<rows {
            for j in 0..<columns {
                for k in 0..<depth {
                    let left = form == matrix_at_b ? a[k * aStride + i] : a[i * aStride + k]
                    let right = form == matrix_a_bt ? b[j * bStride + k] : b[k * bStride + j]
                    c[i * columns + j] += Double(left) * Double(right)
                }
            }
        }
        return c
    }

    @Test(arguments: names)
    func productsOfEveryForm(name: String) throws {
        let kernels = try #require(vector_kernels_named(name))
        let seed: UInt64 = 21
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        let shapes = [
            (1, 1, 1), (1, 48, 1), (8, 48, 5), (9, 49, 3), (7, 47, 16), (16, 96, 2), (13, 17, 300), (5, 100, 513),
            (33, 50, 48), (0, 4, 4), (4, 0, 4), (4, 4, 0),
        ]
        for form in [matrix_a_bt, matrix_a_b, matrix_at_b] {
            for (rows, columns, depth) in shapes {
                // Rows with gaps between them, to check that the strides are used.
                let aStride = (form == matrix_at_b ? rows : depth) + 3
                let bStride = (form == matrix_a_bt ? depth : columns) + 1
                let cStride = columns + 2
                let aCount = (form == matrix_at_b ? depth : rows) * aStride
                let bCount = (form == matrix_a_bt ? columns : depth) * bStride
                let a = (0..<aCount).map { _ in Float.random(in: -1...1, using: &random) }
                let b = (0..<bCount).map { _ in Float.random(in: -1...1, using: &random) }
                let product = naive(form, rows, columns, depth, a, aStride, b, bStride)
                for adds in [false, true] {
                    let before = (0..<rows * cStride).map { _ in Float.random(in: -1...1, using: &random) }
                    var c = before
                    vector_kernels_multiply(
                        kernels,
                        form,
                        adds,
                        rows,
                        columns,
                        depth,
                        a,
                        aStride,
                        b,
                        bStride,
                        &c,
                        cStride
                    )
                    for i in 0..<rows {
                        for j in 0..<cStride {
                            let old = before[i * cStride + j]
                            guard j < columns else {
                                #expect(c[i * cStride + j] == old, "wrote between the rows")
                                continue
                            }
                            let expected = product[i * columns + j] + (adds ? Double(old) : 0)
                            let error = abs(Double(c[i * cStride + j]) - expected)
                            #expect(error < 1e-4, "\(form) \(rows)×\(columns)×\(depth) at \(i), \(j)")
                        }
                    }
                }
            }
        }
    }

    @Test(arguments: names)
    func exponentials(name: String) throws {
        let kernels = try #require(vector_kernels_named(name))
        for count in [1, 15, 16, 17, 40] {
            let values = (0..<count).map { Float($0) * 4.37 - 86 }
            var got = values
            let sum = kernels.pointee.exponentiate(&got, count, 0.25)
            for (value, result) in zip(values, got) {
                let expected = exp(Double(max(value - 0.25, -87)))
                #expect(abs(Double(result) / expected - 1) < 1e-6)
            }
            #expect(abs(Double(sum) / got.reduce(0) { $0 + Double($1) } - 1) < 1e-6)
        }
        // For very low inputs the results stay small, positive and finite. So a softmax neither overflows nor divides
        // by zero.
        var far: [Float] = [-1e30, -200, -87.5, -.infinity]
        let sum = kernels.pointee.exponentiate(&far, far.count, 0)
        #expect(far.allSatisfy { $0 > 0 && $0 < 1e-37 })
        #expect(sum > 0)
    }
}
