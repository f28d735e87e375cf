internal import CVectorKernels

/// Row-major float32 numbers in memory that does not move, as the C kernels require.
///
/// A class, so that it is never copied by accident. Two threads that work on one matrix must use different rows.
final class Matrix: @unchecked Sendable {
    let rowCount: Int
    let columnCount: Int
    let values: UnsafeMutablePointer<Float>

    init(rows: Int, columns: Int) {
        rowCount = rows
        columnCount = columns
        values = .allocate(capacity: max(1, rows * columns))
        values.initialize(repeating: 0, count: rows * columns)
    }

    deinit { values.deallocate() }

    subscript(row: Int) -> UnsafeMutablePointer<Float> {
        assert(row < rowCount)
        return values + row * columnCount
    }

    func vector(_ row: Int) -> [Float] {
        [Float](UnsafeBufferPointer(start: self[row], count: columnCount))
    }

    /// Draws every number from N(0, deviation²).
    func fill(deviation: Float, using random: inout SeededRandom) {
        for index in 0..<rowCount * columnCount {
            values[index] = deviation * random.gaussian()
        }
    }

    func fill(with value: Float) {
        values.update(repeating: value, count: rowCount * columnCount)
    }
}

/// The first columns of some rows of a matrix.
struct Block {
    let start: UnsafeMutablePointer<Float>
    let rows: Int
    let columns: Int
    let stride: Int

    subscript(row: Int) -> UnsafeMutablePointer<Float> { start + row * stride }
}

extension Matrix {
    func block(_ rows: Range<Int>, columns: Int? = nil) -> Block {
        precondition(rows.upperBound <= rowCount && (columns ?? 0) <= columnCount)
        let start = values + rows.lowerBound * columnCount
        return Block(start: start, rows: rows.count, columns: columns ?? columnCount, stride: columnCount)
    }
}

extension Block {
    /// self = a·bᵀ
    func set(_ a: Block, timesTransposed b: Block) {
        precondition(rows == a.rows && columns == b.rows && a.columns == b.columns)
        multiply(matrix_a_bt, adds: false, depth: a.columns, a, b)
    }

    /// self = a·b
    func set(_ a: Block, times b: Block) {
        precondition(rows == a.rows && columns == b.columns && a.columns == b.rows)
        multiply(matrix_a_b, adds: false, depth: a.columns, a, b)
    }

    /// self += aᵀ·b
    func add(transposed a: Block, times b: Block) {
        precondition(rows == a.columns && columns == b.columns && a.rows == b.rows)
        multiply(matrix_at_b, adds: true, depth: a.rows, a, b)
    }

    private func multiply(_ form: matrix_form, adds: Bool, depth: Int, _ a: Block, _ b: Block) {
        let kernels = vector_kernels_current()
        vector_kernels_multiply(
            kernels,
            form,
            adds,
            rows,
            columns,
            depth,
            a.start,
            a.stride,
            b.start,
            b.stride,
            start,
            stride
        )
    }
}
