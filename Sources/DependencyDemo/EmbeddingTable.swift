/// Embeddings with their gradients and row-wise Adagrad.
///
/// A step touches few rows of a large table. `touched` lists these rows, and only they are updated and cleared.
final class EmbeddingTable {
    let values: Matrix
    private let gradients: Matrix
    private var accumulators: [Float]
    private var isTouched: [Bool]
    private(set) var touched: [Int32] = []

    init(rows: Int, settings: TwoTowerModel.Settings, random: inout SeededRandom) {
        values = Matrix(rows: rows, columns: settings.dimension)
        values.fill(deviation: settings.initialDeviation, using: &random)
        gradients = Matrix(rows: rows, columns: settings.dimension)
        accumulators = [Float](repeating: settings.initialAccumulator, count: rows)
        isTouched = [Bool](repeating: false, count: rows)
    }

    func gradient(_ row: Int32) -> [Float] { gradients.vector(Int(row)) }

    func add(_ gradient: UnsafePointer<Float>, scale: Float, to row: Int32) {
        let sum = gradients[Int(row)]
        for index in 0..<gradients.columnCount { sum[index] += scale * gradient[index] }
        if !isTouched[Int(row)] {
            isTouched[Int(row)] = true
            touched.append(row)
        }
    }

    /// a += mean(g²), row −= rate · g / √a. Returns the rows that changed.
    @discardableResult
    func applyGradients(rate: Float) -> [Int32] {
        let dimension = values.columnCount
        for row in touched {
            let gradient = gradients[Int(row)]
            let value = values[Int(row)]
            var square: Float = 0
            for index in 0..<dimension { square += gradient[index] * gradient[index] }
            accumulators[Int(row)] += square / Float(dimension)
            let step = rate / accumulators[Int(row)].squareRoot()
            for index in 0..<dimension { value[index] -= step * gradient[index] }
            gradient.update(repeating: 0, count: dimension)
            isTouched[Int(row)] = false
        }
        defer { touched.removeAll(keepingCapacity: true) }
        return touched
    }
}

/// Vectors divided by their length, and the backward pass of that division.
final class NormalizedRows {
    let unit: Matrix
    private var lengths: [Float]

    init(count: Int, dimension: Int) {
        unit = Matrix(rows: count, columns: dimension)
        lengths = [Float](repeating: 1, count: count)
    }

    func set(_ row: Int, to vector: UnsafePointer<Float>) {
        unit[row].update(from: vector, count: unit.columnCount)
        normalize(row)
    }

    /// Divides the row by its length. A zero vector stays zero.
    func normalize(_ row: Int) {
        let vector = unit[row]
        var square: Float = 0
        for index in 0..<unit.columnCount { square += vector[index] * vector[index] }
        lengths[row] = max(square.squareRoot(), 1e-12)
        for index in 0..<unit.columnCount { vector[index] /= lengths[row] }
    }

    /// Turns the gradient g with respect to x̂ = x/‖x‖ into the gradient with respect to x: (g − x̂ (x̂·g)) / ‖x‖.
    func throughNorm(_ row: Int, _ gradient: UnsafeMutablePointer<Float>) {
        let vector = unit[row]
        var along: Float = 0
        for index in 0..<unit.columnCount { along += vector[index] * gradient[index] }
        for index in 0..<unit.columnCount {
            gradient[index] = (gradient[index] - vector[index] * along) / lengths[row]
        }
    }
}
