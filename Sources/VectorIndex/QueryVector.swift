/// The one definition of a score.
///
/// Everything that ranks, prunes or prints a score asks here, so that a score is the same 64 bits on every path, every
/// CPU and every day: float64, summed in 16 lanes in a fixed order (`CVectorKernels` says which). The query is kept
/// as float64, padded with zeros to whole steps of 16, so that the kernels never need its tail.
internal import CVectorKernels

package struct QueryVector: Sendable {
    package let metric: Metric
    package let dimension: Int
    /// The Euclidean length of the query.
    package let norm: Double

    /// The numbers of the query, then zeros up to a multiple of 16.
    let elements: [Double]
    // A table of functions that lives as long as the process.
    nonisolated(unsafe) private let kernels: UnsafePointer<vector_kernels>

    package init(_ vector: [Float], metric: Metric) {
        self.init(vector, metric: metric, kernels: vector_kernels_current())
    }

    init(_ vector: [Float], metric: Metric, kernels: UnsafePointer<vector_kernels>) {
        let steps = (vector.count + 15) / 16
        var padded = [Double](repeating: 0, count: steps * 16)
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

    /// Scores `count` rows, each `stride` floats after the one before. The rows need no alignment.
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
