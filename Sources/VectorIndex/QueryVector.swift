/// The only definition of a score.
///
/// All code that ranks, prunes or prints scores uses this type. So a score has the same 64 bits on every path and every
/// CPU. It is a float64, summed in 16 lanes in a fixed order (see `CVectorKernels.h`). The query is stored as float64,
/// padded with zeros to a multiple of 16, because then the kernels need no code for its tail.
internal import CVectorKernels

package struct QueryVector: Sendable {
    package let metric: Metric
    package let dimension: Int
    /// The Euclidean length of the query.
    package let norm: Double

    /// The elements of the query, then zeros up to a multiple of 16.
    let elements: [Double]
    // A static table of functions.
    nonisolated(unsafe) private let kernels: UnsafePointer<vector_kernels>

    package init(_ vector: [Float], metric: Metric) {
        self.init(vector, metric: metric, kernels: vector_kernels_current())
    }

    init(_ vector: [Float], metric: Metric, kernels: UnsafePointer<vector_kernels>) {
        var padded = [Double](repeating: 0, count: (vector.count + 15) / 16 * 16)
        for (index, value) in vector.enumerated() {
            padded[index] = Double(value)
        }
        var sum = 0.0
        var square = 0.0
        vector.withUnsafeBytes { bytes in
            if let row = bytes.baseAddress {
                kernels.pointee.dot_and_square(padded, vector.count, row, 1, bytes.count, &sum, &square)
            }
        }
        self.metric = metric
        self.dimension = vector.count
        self.norm = square.squareRoot()
        elements = padded
        self.kernels = kernels
    }

    /// Scores `count` rows; each starts `stride` floats after the previous one. The rows need no alignment.
    package func scores(
        rows: UnsafePointer<Float>,
        count: Int,
        stride: Int,
        into scores: UnsafeMutablePointer<Double>
    ) {
        let byteStride = stride * MemoryLayout<Float>.size
        vector_kernels_scores(kernels, metric.score, elements, dimension, norm, rows, count, byteStride, scores)
    }

    /// Scores one row.
    package func score(_ row: UnsafePointer<Float>) -> Double {
        var score = 0.0
        scores(rows: row, count: 1, stride: dimension, into: &score)
        return score
    }
}

extension QueryVector {
    /// The kernels that this process runs: "avx512", "avx2", "neon" or "scalar".
    package static var kernelName: String { String(cString: vector_kernels_name()) }
}

extension Metric {
    fileprivate var score: vector_score {
        switch self {
        case .dot: vector_score_dot
        case .cosine: vector_score_cosine
        case .l2: vector_score_l2
        }
    }
}
