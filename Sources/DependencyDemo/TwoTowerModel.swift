internal import CVectorKernels
internal import Dispatch
internal import Foundation

/// A two-tower model. One tower turns a package into a vector, the other tower a dependency. The dot product of the two
/// vectors is the score of the pair.
///
///     u = mean of the embeddings of the package's tokens        û = u / ‖u‖
///     v = the dependency's embedding                            v̂ = v / ‖v‖
///     logit[b, c] = û_b · v̂_c / τ − correction_c                one row and one column for each pair of the batch
///     loss = Σ_b −log softmax(logit[b])[b]
///
/// The other pairs of the batch are the negatives. So popular dependencies are often negatives, and the model ranks
/// them too low. To remove this bias, log q of the column is subtracted, where q is the probability that the column's
/// item is drawn for it. It is not log p, because a popular dependency is in many columns, and each counts. The
/// positive's own column is corrected as well. A column that repeats the row's own dependency is not a negative, so it
/// is masked. Extra columns belong to no pair, and follow the batch's columns.
///
/// The optimizer is Adagrad with one accumulator for each row: a += mean(g²), row −= rate · g / √a.
final class TwoTowerModel {
    struct Settings: Sendable {
        var dimension = 48
        var temperature: Float = 0.07
        var learningRate: Float = 0.05
        var initialDeviation: Float = 0.1
        var initialAccumulator: Float = 0.1
        var batch = 1_024
        /// The most columns that a step may have besides the batch's own.
        var extraColumnsMax = 0
    }

    let settings: Settings
    let tokens: EmbeddingTable
    let dependencies: EmbeddingTable
    /// The tokens of each package.
    let packageTokens: [[Int32]]

    // Buffers for one step. A batch is always split into the same two halves, so the result does not depend on the
    // number of threads.
    private let queries: NormalizedRows
    private let items: NormalizedRows
    private let queryGradients: Matrix
    private let itemGradients: [Matrix]
    private let logits: [Matrix]
    private static let workerCount = 2
    private static let rowsAtOnce = 128

    init(packageTokens: [[Int32]], tokenCount: Int, dependencyCount: Int, settings: Settings, seed: UInt64) {
        self.settings = settings
        self.packageTokens = packageTokens
        var random = SeededRandom(seed: seed)
        tokens = EmbeddingTable(rows: tokenCount, settings: settings, random: &random)
        dependencies = EmbeddingTable(rows: dependencyCount, settings: settings, random: &random)
        queries = NormalizedRows(count: settings.batch, dimension: settings.dimension)
        let columnCount = settings.batch + settings.extraColumnsMax
        items = NormalizedRows(count: columnCount, dimension: settings.dimension)
        queryGradients = Matrix(rows: settings.batch, columns: settings.dimension)
        itemGradients = (0..<Self.workerCount).map { _ in Matrix(rows: columnCount, columns: settings.dimension) }
        logits = (0..<Self.workerCount).map { _ in Matrix(rows: Self.rowsAtOnce, columns: columnCount) }
    }

    /// û of a package.
    func query(_ package: Int32) -> [Float] { query(tokens: packageTokens[Int(package)]) }

    /// û of a package with these tokens.
    func query(tokens numbers: [Int32]) -> [Float] {
        let row = NormalizedRows(count: 1, dimension: settings.dimension)
        setQuery(numbers, row: 0, in: row)
        return row.unit.vector(0)
    }

    /// v̂ of a dependency.
    func item(_ dependency: Int32) -> [Float] {
        let row = NormalizedRows(count: 1, dimension: settings.dimension)
        row.set(0, to: dependencies.values[Int(dependency)])
        return row.unit.vector(0)
    }

    /// Computes the gradients of both towers, without applying them. Returns the loss, summed over the pairs of the
    /// batch. `corrections[b]` is subtracted from column b.
    func computeGradients(
        _ batch: some Collection<Pair>,
        corrections: [Float],
        extra: [ExtraColumn] = []
    ) -> Double {
        precondition(batch.count <= settings.batch && corrections.count == batch.count)
        precondition(extra.count <= settings.extraColumnsMax)
        let pairs = Array(batch)
        let columns = Columns(pairs, corrections, extra)
        for (row, pair) in pairs.enumerated() {
            setQuery(packageTokens[Int(pair.package)], row: row, in: queries)
        }
        for (column, dependency) in columns.dependencies.enumerated() {
            items.set(column, to: dependencies.values[Int(dependency)])
        }
        let half = (pairs.count + Self.workerCount - 1) / Self.workerCount
        // Each worker writes only its own losses, rows and matrices.
        let losses = UnsafeMutableBufferPointer<Double>.allocate(capacity: Self.workerCount)
        defer { losses.deallocate() }
        nonisolated(unsafe) let (this, target) = (self, losses)
        DispatchQueue.concurrentPerform(iterations: Self.workerCount) { worker in
            let rows = min(worker * half, pairs.count)..<min((worker + 1) * half, pairs.count)
            target[worker] = this.work(worker, rows, columns)
        }
        collectGradients(pairs, columns)
        return losses.reduce(0, +)
    }

    /// Applies the gradients to the embeddings. Returns the dependencies that changed.
    func applyGradients() -> [Int32] {
        tokens.applyGradients(rate: settings.learningRate)
        return dependencies.applyGradients(rate: settings.learningRate)
    }

    private func setQuery(_ numbers: [Int32], row: Int, in rows: NormalizedRows) {
        let sum = rows.unit[row]
        sum.update(repeating: 0, count: settings.dimension)
        for number in numbers {
            let token = tokens.values[Int(number)]
            for index in 0..<settings.dimension { sum[index] += token[index] }
        }
        let scale = 1 / Float(max(1, numbers.count))
        for index in 0..<settings.dimension { sum[index] *= scale }
        rows.normalize(row)
    }

    /// Computes the logits, the softmax and the gradients of û for one worker's rows, and its part of the gradients of
    /// v̂. It works on one block of rows at a time, so that the logits stay in the cache. Returns the loss.
    private func work(_ worker: Int, _ rows: Range<Int>, _ columns: Columns) -> Double {
        let items = items.unit.block(0..<columns.count)
        let shares = itemGradients[worker].block(0..<columns.count)
        itemGradients[worker].fill(with: 0)
        var loss = 0.0
        for start in stride(from: rows.lowerBound, to: rows.upperBound, by: Self.rowsAtOnce) {
            let block = start..<min(start + Self.rowsAtOnce, rows.upperBound)
            let queries = queries.unit.block(block)
            let scores = logits[worker].block(0..<block.count, columns: columns.count)
            scores.set(queries, timesTransposed: items)
            for row in block {
                loss += softmax(scores[row - start], positive: row, columns)
            }
            queryGradients.block(block).set(scores, times: items)
            shares.add(transposed: scores, times: queries)
        }
        return loss
    }

    /// Replaces a row of products û·v̂ by the gradient of its loss with respect to them. Returns the loss.
    private func softmax(_ row: UnsafeMutablePointer<Float>, positive: Int, _ columns: Columns) -> Double {
        let scale = 1 / settings.temperature
        let own = columns.dependencies[positive]
        let positiveLogit = row[positive] * scale - columns.corrections[positive]
        var highest = columns.dependencies.withUnsafeBufferPointer { dependencies in
            columns.corrections.withUnsafeBufferPointer { corrections in
                var highest = positiveLogit
                for column in 0..<columns.sharedCount {
                    let logit = row[column] * scale - corrections[column]
                    row[column] = dependencies[column] == own ? Columns.masked : logit
                    highest = max(highest, row[column])
                }
                return highest
            }
        }
        for column in columns.sharedCount..<columns.count {
            let isMine = columns.owners[column - columns.sharedCount] == positive
            let takesPart = isMine && columns.dependencies[column] != own
            row[column] = takesPart ? row[column] * scale - columns.corrections[column] : Columns.masked
            highest = max(highest, row[column])
        }
        row[positive] = positiveLogit
        let sum = vector_kernels_current().pointee.exponentiate(row, columns.count, highest)
        let factor = scale / sum
        for column in 0..<columns.count { row[column] *= factor }
        row[positive] -= scale
        return Double(highest - positiveLogit) + log(Double(sum))
    }

    /// Propagates the gradients of û and v̂ back to the embeddings.
    private func collectGradients(_ pairs: [Pair], _ columns: Columns) {
        for (column, dependency) in columns.dependencies.enumerated() {
            let gradient = itemGradients[0][column]
            for other in itemGradients[1...] {
                for index in 0..<settings.dimension { gradient[index] += other[column][index] }
            }
            items.throughNorm(column, gradient)
            dependencies.add(gradient, scale: 1, to: dependency)
        }
        for (row, pair) in pairs.enumerated() {
            queries.throughNorm(row, queryGradients[row])
            let numbers = packageTokens[Int(pair.package)]
            for number in numbers {
                tokens.add(queryGradients[row], scale: 1 / Float(numbers.count), to: number)
            }
        }
    }
}

/// A column for a negative that is not from the batch.
struct ExtraColumn: Sendable {
    let dependency: Int32
    let correction: Float
    /// The only row for which the column counts; nil for all rows.
    var row: Int?
}

/// The columns of a step's logits: those of the batch, then extra columns for all rows, then extra columns for one row
/// each.
private struct Columns: Sendable {
    /// The logit of a masked column.
    static let masked: Float = -1e30

    let dependencies: [Int32]
    let corrections: [Float]
    /// The number of columns that count for all rows. They come first.
    let sharedCount: Int
    /// The row of each other column, in order.
    let owners: [Int]
    var count: Int { dependencies.count }

    init(_ pairs: [Pair], _ corrections: [Float], _ extra: [ExtraColumn]) {
        let shared = extra.filter { $0.row == nil }
        let owned = extra.filter { $0.row != nil }
        dependencies = pairs.map(\.dependency) + (shared + owned).map(\.dependency)
        self.corrections = corrections + (shared + owned).map(\.correction)
        sharedCount = pairs.count + shared.count
        owners = owned.compactMap(\.row)
    }
}
