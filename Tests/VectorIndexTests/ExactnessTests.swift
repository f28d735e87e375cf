// Codes, bound and selection together, compared with scoring every row: the same ids, and the same 64 bits of each
// score.

import CVectorKernels
import TestSupport
import Testing

@testable import VectorIndex

/// Rows, their codes, and a search over them.
private final class IndexedRows {
    let rows: [Float]
    let count: Int
    let dimension: Int
    let metric: Metric
    let slab: CodeSlab
    /// A factor for the bound. Below 1, the result is no longer a bound.
    var boundFactor: Float = 1
    /// The numbers that are added to the scores of the rows; nil: none. Their bounds may be too high by `addendSlack`.
    var addends: [Double]?
    var addendSlack = 0.0
    private let memory: UnsafeMutableRawPointer
    private let kernels: UnsafePointer<vector_kernels>
    private(set) var scoredCount = 0

    init(_ rows: [Float], dimension: Int, metric: Metric, kernels: UnsafePointer<vector_kernels>) {
        self.rows = rows
        self.dimension = dimension
        self.metric = metric
        self.kernels = kernels
        count = rows.count / dimension
        let slotCount = (count + 15) / 16 * 16
        let byteCount = CodeSlab.byteCount(slotCount: slotCount, dimension: dimension)
        memory = .allocate(byteCount: byteCount, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        slab = CodeSlab(memory, slotCount, dimension, metric, kernels)
        slab.prepare(0..<slotCount)
        rows.withUnsafeBufferPointer {
            for row in 0..<count { slab.set(row, $0.baseAddress! + row * dimension) }
        }
    }

    deinit {
        memory.deallocate()
    }

    static func id(_ row: Int) -> [UInt8] { Array("\(row &* 7_919 % 100_003)-\(row)".utf8) }

    struct Found: Equatable {
        let id: [UInt8]
        let score: UInt64
    }

    private func found(_ selection: TopKSelection) -> [Found] {
        selection.sorted().map { entry in
            Found(id: selection.withID(at: entry.place) { Array($0) }, score: entry.score.bitPattern)
        }
    }

    /// The result of scoring every row with the scalar kernels.
    func bruteForce(_ query: [Float], k: Int) -> [Found] {
        let vector = QueryVector(query, metric: metric, kernels: vector_kernels_named("scalar")!)
        var selection = TopKSelection(k: k)
        var scores = [Double](repeating: 0, count: count)
        rows.withUnsafeBufferPointer {
            vector.scores(rows: $0.baseAddress!, count: count, stride: dimension, into: &scores)
        }
        if let addends { scores = zip(scores, addends).map { $0 + $1 } }
        for (row, score) in scores.enumerated() where score >= selection.threshold {
            _ = Self.id(row).withUnsafeBytes { selection.insert(score: score, id: $0) }
        }
        return found(selection)
    }

    /// The result of a scan of the codes, with all queries in one pass.
    func search(_ queries: [[Float]], k: Int) -> [[Found]] {
        let vectors = queries.map { QueryVector($0, metric: metric, kernels: kernels) }
        let scanner = CodeScanner(vectors, addendBlocksMax: addends == nil ? 0 : Self.runBlocks, kernels: kernels)
        scanner.multiplyBound(by: boundFactor)
        var selections = queries.map { _ in TopKSelection(k: k) }
        let blockCount = (count + 15) / 16
        var blocks = 0..<0
        rows.withUnsafeBufferPointer { rows in
            while blocks.upperBound < blockCount || !blocks.isEmpty {
                if blocks.isEmpty { blocks = blocks.upperBound..<min(blocks.upperBound + Self.runBlocks, blockCount) }
                write(scanner.addends, blocks)
                for hit in scanner.hits(in: slab, &blocks) {
                    let (row, query) = (Int(hit.slot), Int(hit.query))
                    scoredCount += 1
                    let score = vectors[query].score(rows.baseAddress! + row * dimension) + (addends?[row] ?? 0)
                    guard score >= selections[query].threshold else { continue }
                    _ = Self.id(row).withUnsafeBytes { selections[query].insert(score: score, id: $0) }
                    scanner.setThreshold(selections[query].threshold, of: query)
                }
            }
        }
        return selections.map(found)
    }

    /// The number of blocks that one call of the scanner gets, as with the blocks of a chunk.
    private static let runBlocks = 5

    private func write(_ bounds: CodeScanner.Addends?, _ blocks: Range<Int>) {
        guard let bounds, let addends else { return }
        for row in blocks.lowerBound * 16..<blocks.upperBound * 16 {
            let addend = row < count ? addends[row] + addendSlack : -.greatestFiniteMagnitude
            bounds.values[row - blocks.lowerBound * 16] = CodeScanner.Addends.bound(addend)
        }
    }
}

extension CodeScanner {
    /// Widens or narrows the bound.
    fileprivate func multiplyBound(by factor: Float) {
        for field in [\code_queries.norm_factors, \code_queries.error_factors] {
            let (a, b, c, d, e, f, g, h) = queries[keyPath: field]
            queries[keyPath: field] = (
                a * factor, b * factor, c * factor, d * factor, e * factor, f * factor, g * factor, h * factor
            )
        }
    }
}

@Suite struct ExactnessTests {
    struct Case: CustomTestStringConvertible {
        let kernels: String
        let metric: Metric
        var testDescription: String { "\(kernels) \(metric)" }

        static let all = (["scalar"] + vectorKernelNames).flatMap { name in
            Metric.allCases.map { Case(kernels: name, metric: $0) }
        }
    }

    /// 10,000 queries for each metric and set of kernels with `LOGQD_TEST_SCALE=full`.
    @Test(arguments: Case.all)
    func equalsBruteForce(_ test: Case) throws {
        let kernels = try #require(vector_kernels_named(test.kernels))
        var random = SeededGenerator()
        let queryCountMin = TestScale.isFull ? 10_000 : 150
        var queryCount = 0
        while queryCount < queryCountMin {
            let dimension = Self.dimension(queryCount, using: &random)
            // Rows of one kind or of all kinds. The amount of work is similar for every dimension.
            let kind = VectorKind.allCases.randomElement(using: &random)
            let mixes = Int.random(in: 0..<4, using: &random) == 0
            let rowCount = Int.random(in: 1...max(40, min(600, 40_000 / dimension)), using: &random)
            let rows = (0..<rowCount).flatMap { _ in
                (mixes ? VectorKind.allCases.randomElement(using: &random) : kind)!.vector(dimension, using: &random)
            }
            let index = IndexedRows(rows, dimension: dimension, metric: test.metric, kernels: kernels)
            for k in [1, 10, rowCount, rowCount + 5] {
                let queries = (0..<Int.random(in: 1...8, using: &random)).map { _ in
                    (mixes ? VectorKind.allCases.randomElement(using: &random) : kind)!.vector(
                        dimension,
                        using: &random
                    )
                }
                queryCount += queries.count
                let found = index.search(queries, k: k)
                for (query, found) in zip(queries, found) {
                    let expected = index.bruteForce(query, k: k)
                    try #require(
                        found == expected,
                        "\(dimension) dimensions, \(mixes ? "all kinds" : "\(kind!)"), k \(k), query \(query)"
                    )
                }
            }
        }
    }

    /// The same comparison with addends to the scores.
    @Test(arguments: Case.all)
    func equalsBruteForceWithAddends(_ test: Case) throws {
        let kernels = try #require(vector_kernels_named(test.kernels))
        var random = SeededGenerator()
        for _ in 0..<(TestScale.isFull ? 3_000 : 25) {
            let dimension = Int.random(in: 1...70, using: &random)
            let kind = VectorKind.allCases.randomElement(using: &random)!
            let rowCount = Int.random(in: 1...400, using: &random)
            let rows = (0..<rowCount).flatMap { _ in kind.vector(dimension, using: &random) }
            let index = IndexedRows(rows, dimension: dimension, metric: test.metric, kernels: kernels)
            let size = [0, 1e-45, 1e-30, 1e-3, 1, 15, 1e4, 7e5].randomElement(using: &random)!
            let isOneSided = Bool.random(using: &random)
            // Similar to logarithms of counts: some rows have equal addends.
            let levels = (0..<20).map { _ in Double.random(in: (isOneSided ? 0 : -size)...size, using: &random) }
            index.addends = (0..<rowCount).map { _ in levels.randomElement(using: &random)! }
            index.addendSlack = [0, size / 64].randomElement(using: &random)!
            let k = [1, 10, rowCount + 5].randomElement(using: &random)!
            let queries = (0..<Int.random(in: 1...8, using: &random)).map { _ in
                kind.vector(dimension, using: &random)
            }
            for (query, found) in zip(queries, index.search(queries, k: k)) {
                try #require(
                    found == index.bruteForce(query, k: k),
                    "\(kind), \(dimension) dimensions, addends up to \(size), k \(k), query \(query)"
                )
            }
        }
    }

    private static func dimension(_ queryCount: Int, using random: inout SeededGenerator) -> Int {
        if queryCount == 0 { return 4_096 }
        return Int.random(in: 0..<3, using: &random) == 0
            ? .random(in: 70...1_030, using: &random) : .random(in: 1...70, using: &random)
    }

    /// A million vectors with `LOGQD_TEST_SCALE=full`.
    @Test(arguments: Case.all)
    func manyEqualVectors(_ test: Case) throws {
        let kernels = try #require(vector_kernels_named(test.kernels))
        let count = TestScale.isFull ? 1_000_000 : 20_000
        let vector: [Float] = [0.3, -0.7, 0.1]
        let rows = [Float]((0..<count).map { _ in vector }.joined())
        let index = IndexedRows(rows, dimension: 3, metric: test.metric, kernels: kernels)
        let query: [Float] = [0.9, 0.2, -0.4]
        #expect(index.search([query], k: 10) == [index.bruteForce(query, k: 10)])
    }

    /// Products of codes and scale that overflow to −∞. So the codes' score is below any float32, and the true score is
    /// higher.
    @Test(arguments: Case.all)
    func productsThatOverflow(_ test: Case) throws {
        let kernels = try #require(vector_kernels_named(test.kernels))
        let rows = Array(repeating: [Float](repeating: -2.6215e36, count: 4), count: 1_100)
        let best = [Float](repeating: -2.618e36, count: 4)
        let index = IndexedRows(
            (rows + [best]).flatMap { $0 },
            dimension: 4,
            metric: test.metric,
            kernels: kernels
        )
        let query: [Float] = [1, 0.003_938_582_3, 0.003_938_582_3, 0.003_938_582_3]
        let expected = index.bruteForce(query, k: 1)
        #expect(index.search([query], k: 1) == [expected])
        if test.metric == .dot { #expect(expected.map(\.id) == [IndexedRows.id(1_100)]) }
    }

    /// Codes must save work: of rows in general position, only few are scored.
    @Test(arguments: Case.all)
    func fewRowsAreScored(_ test: Case) throws {
        let kernels = try #require(vector_kernels_named(test.kernels))
        var random = SeededGenerator(seed: 5)
        let rows = (0..<2_000).flatMap { _ in VectorKind.normal.vector(64, using: &random) }
        let index = IndexedRows(rows, dimension: 64, metric: test.metric, kernels: kernels)
        for _ in 0..<5 { _ = index.search([VectorKind.normal.vector(64, using: &random)], k: 10) }
        #expect(index.scoredCount < 5 * 2_000 / 4, "scored \(index.scoredCount) of 10,000")
        let before = index.scoredCount
        // The addends of half of the rows are so low that the answer consists of the others.
        index.addends = (0..<2_000).map { -1_000 * Double($0 % 2) }
        for _ in 0..<5 { _ = index.search([VectorKind.normal.vector(64, using: &random)], k: 10) }
        #expect(index.scoredCount - before < 5 * 1_000 / 4, "scored \(index.scoredCount - before) of 10,000")
    }

    // MARK: - The bound is as wide as necessary, and no wider

    /// The errors of the rows' codes have the direction of the query, so the bound is reached.
    @Test(arguments: Case.all)
    func rowErrorsThatMeetTheBound(_ test: Case) throws {
        var random = SeededGenerator()
        let dimension = 64
        let signs = (0..<dimension).map { _ in Bool.random(using: &random) ? Float(1) : -1 }
        // A row of whole codes has no error. Its largest code is 127, so the scale is `step`.
        let step: Float = 1 / 128
        func codes(_ sum: Int) -> [Float] {
            var codes = [Float](repeating: 0, count: dimension)
            codes[0] = 127 * signs[0]
            codes[1] = Float(sum - 127) * signs[1]
            return codes
        }
        let hidden = zip(codes(100), signs).enumerated().map { index, pair in
            (pair.0 + (index == 0 ? 0 : 0.49 * pair.1)) * step
        }
        try expectBoundIsNeeded(test, decoy: codes(125).map { $0 * step }, hidden: hidden, query: signs)
    }

    /// The error of the query's codes has the direction of the row.
    @Test(arguments: Case.all)
    func queryErrorsThatMeetTheBound(_ test: Case) throws {
        let kernels = try #require(vector_kernels_named(test.kernels))
        var random = SeededGenerator()
        let dimension = 64
        let codeMax = Float(kernels.pointee.query_code_max)
        let signs = (0..<dimension).map { _ in Bool.random(using: &random) ? Float(1) : -1 }
        // Both rows have the same length and no error. The query's codes slightly favour the decoy.
        let query = signs.enumerated().map { index, sign in index == 0 ? codeMax : 0.49 * sign }
        let hidden = signs.enumerated().map { index, sign in index == 0 ? 0 : sign }
        var decoy = [Float](repeating: 0, count: dimension)
        decoy[0] = 25 / codeMax
        decoy[1] = (Float(dimension - 1) - decoy[0] * decoy[0]).squareRoot()
        try expectBoundIsNeeded(test, decoy: decoy, hidden: hidden, query: query)
    }

    /// The hidden row is the best one. With half the bound, the scan wrongly skips it because of the decoy before it.
    private func expectBoundIsNeeded(_ test: Case, decoy: [Float], hidden: [Float], query: [Float]) throws {
        guard test.metric == .dot else { return }
        let kernels = try #require(vector_kernels_named(test.kernels))
        // The rows are in different blocks, the decoy's first, so that its score is the threshold for the hidden row.
        let rows = Array(repeating: decoy, count: 256) + [hidden]
        let index = IndexedRows(
            rows.flatMap { $0 },
            dimension: decoy.count,
            metric: test.metric,
            kernels: kernels
        )
        let expected = index.bruteForce(query, k: 1)
        #expect(expected.map(\.id) == [IndexedRows.id(256)])
        #expect(index.search([query], k: 1) == [expected])
        index.boundFactor = 0.5
        #expect(index.search([query], k: 1) != [expected])
    }
}
