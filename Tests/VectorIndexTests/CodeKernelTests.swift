// Codes of every set of kernels: what encoding says of a vector, and which rows a scan keeps, against plain arithmetic.

import CVectorKernels
import TestSupport
import Testing

@testable import VectorIndex

/// A slab whose codes begin at any byte, in exactly as much memory as it needs, so that a sanitizer sees what goes
/// too far.
private final class OddSlab {
    let dimension: Int
    let rowCount: Int
    let slab: code_slab
    private let codes: UnsafeMutablePointer<UInt8>
    private let floats: [UnsafeMutablePointer<Float>]
    private let bounds: UnsafeMutablePointer<code_terms>

    init(dimension: Int, rowCount: Int, offset: Int) {
        self.dimension = dimension
        self.rowCount = rowCount
        let groups = (dimension + 3) / 4
        codes = .allocate(capacity: offset + rowCount * (groups + 1) * 4)
        codes.initialize(repeating: 0, count: offset + rowCount * (groups + 1) * 4)
        floats = (0..<3).map { _ in .allocate(capacity: rowCount) }
        for array in floats { array.initialize(repeating: .nan, count: rowCount) }
        bounds = .allocate(capacity: rowCount / 16)
        slab = code_slab(
            groups: groups,
            blocks: codes + offset,
            norms: floats[0],
            errors: floats[1],
            offsets: floats[2],
            bounds: bounds,
            has_offsets: true
        )
        withUnsafePointer(to: slab) { code_slab_clear($0, 0, rowCount) }
    }

    deinit {
        codes.deallocate()
        for array in floats { array.deallocate() }
        bounds.deallocate()
    }

    private func code(_ row: Int, _ index: Int) -> Int {
        Int(slab.blocks[row / 16 * (slab.groups + 1) * 64 + index / 4 * 64 + row % 16 * 4 + index % 4]) - 128
    }

    func scale(_ row: Int) -> Double {
        let block = slab.blocks + row / 16 * (slab.groups + 1) * 64
        let offset = slab.groups * 64 + row % 16 * 4
        return Double(UnsafeRawPointer(block).loadUnaligned(fromByteOffset: offset, as: Float.self))
    }

    /// The decoded vector of a row.
    func decoded(_ row: Int) -> [Double] {
        (0..<dimension).map { scale(row) * Double(code(row, $0)) }
    }

    func sum(_ row: Int, _ query: [Int8]) -> Int {
        (0..<dimension).reduce(0) { $0 + code(row, $1) * Int(query[$1]) }
    }
}

@Suite struct CodeKernelTests {
    static let names = ["scalar"] + vectorKernelNames

    private func kernels(_ name: String) throws -> UnsafePointer<vector_kernels> {
        try #require(vector_kernels_named(name))
    }

    // MARK: - Encoding

    @Test(arguments: names)
    func termsBoundWhatTheCodesLeaveOut(name: String) throws {
        let kernels = try kernels(name)
        var random = SeededGenerator()
        for dimension in Array(1...70) + [255, 256, 1_030, 4_096] {
            let slab = OddSlab(dimension: dimension, rowCount: 16, offset: dimension % 16)
            for kind in VectorKind.allCases {
                let row = Int.random(in: 0..<16, using: &random)
                let vector = kind.vector(dimension, using: &random)
                for form in [code_plain, code_normalized, code_offset] {
                    encode(vector, at: dimension % 5, form, into: slab, row, kernels)
                    check(slab, row, vector, form, "\(name) \(kind) \(dimension)")
                }
            }
        }
    }

    /// Encodes from memory that begins at any byte.
    private func encode(
        _ vector: [Float],
        at offset: Int,
        _ form: code_form,
        into slab: OddSlab,
        _ row: Int,
        _ kernels: UnsafePointer<vector_kernels>
    ) {
        withUnsafeTemporaryAllocation(byteCount: offset + vector.count * 4, alignment: 64) { memory in
            vector.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(rebasing: memory[offset...]).copyMemory(from: $0)
            }
            withUnsafePointer(to: slab.slab) {
                vector_kernels_encode(kernels, memory.baseAddress! + offset, vector.count, form, $0, row)
            }
        }
    }

    private func check(_ slab: OddSlab, _ row: Int, _ vector: [Float], _ form: code_form, _ what: String) {
        let norm = vector.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
        let factor = form == code_normalized && norm > 0 ? 1 / norm : 1
        let decoded = slab.decoded(row)
        let errorSquare = zip(vector, decoded).reduce(0) { sum, pair in
            let error = Double(pair.0) * factor - pair.1
            return sum + error * error
        }
        let decodedNorm = decoded.reduce(0) { $0 + $1 * $1 }.squareRoot()
        let error = errorSquare.squareRoot()
        expect(slab.slab.norms[row], bounds: decodedNorm, what)
        expect(slab.slab.errors[row], bounds: error, what)
        // Half a step a dimension at the most, unless the scale would underflow.
        let step = slab.scale(row)
        if step > 0 {
            #expect(error <= 0.501 * step * Double(vector.count).squareRoot(), "\(what)")
        } else {
            #expect(vector.allSatisfy { Double($0.magnitude) * factor < 127 * 1.2e-38 }, "\(what)")
        }
        let offset = slab.slab.offsets[row]
        #expect(form == code_offset || offset == 0, "\(what)")
        if form == code_offset { expect(-offset, isBoundedBy: norm * norm / 2, what) }
    }

    /// Not below the value, and hardly above it where float32 can say so.
    private func expect(_ bound: Float, bounds value: Double, _ what: String) {
        #expect(Double(bound) >= value, "\(what)")
        let isInRange = value > 1e-30 && value < 1e30
        #expect(!isInRange || Double(bound) <= value * 1.000_01, "\(what)")
    }

    private func expect(_ bound: Float, isBoundedBy value: Double, _ what: String) {
        #expect(Double(bound) <= value, "\(what)")
        let isInRange = value > 1e-30 && value < 1e38
        #expect(!isInRange || Double(bound) >= value * 0.999_99, "\(what)")
    }

    // MARK: - Scanning

    @Test(arguments: names)
    func keepsTheRowsAboveTheThreshold(name: String) throws {
        let kernels = try kernels(name)
        var random = SeededGenerator()
        for dimension in Array(1...130) + [255, 256, 257, 1_030, 4_096] {
            for offset in dimension < 20 || TestScale.isFull ? Array(0..<16) : [dimension % 16] {
                let slab = OddSlab(dimension: dimension, rowCount: 64, offset: offset)
                // Some rows stay empty, a whole block too.
                for row in 0..<48 where row % 7 != 3 {
                    let vector = VectorKind.normal.vector(dimension, using: &random)
                    encode(vector, at: 0, code_plain, into: slab, row, kernels)
                }
                try scan(slab, queryCount: 1 + (dimension + offset) % 8, kernels, using: &random)
            }
        }
    }

    /// One query's side of the bound, made up: the kernels take any numbers.
    private struct Side {
        let codes: [Int8]
        let normFactor: Float
        let errorFactor: Float
        let offsetFactor: Float
        /// Rows whose bound is at least this: the threshold, in the middle of a gap between two bounds.
        var threshold: Double = 0
        var expected: Set<Int> = []
    }

    private func scan(
        _ slab: OddSlab,
        queryCount: Int,
        _ kernels: UnsafePointer<vector_kernels>,
        using random: inout SeededGenerator
    ) throws {
        let codeMax = kernels.pointee.query_code_max
        var sides = (0..<queryCount).map { _ in
            Side(
                codes: (0..<slab.dimension).map { _ in Int8.random(in: -codeMax...codeMax, using: &random) },
                normFactor: .random(in: 0.1...40, using: &random),
                errorFactor: .random(in: 127...2_000, using: &random),
                offsetFactor: .random(in: 0.1...10, using: &random)
            )
        }
        for query in sides.indices { chooseThreshold(slab, &sides[query], using: &random) }
        let found = hits(slab, sides, kernels)
        for (query, side) in sides.enumerated() {
            let rows = found.filter { $0.query == query }.map { Int($0.row) }
            #expect(Set(rows) == side.expected, "dimension \(slab.dimension), query \(query) of \(queryCount)")
            #expect(rows.count == side.expected.count, "no row twice")
        }
    }

    private func chooseThreshold(_ slab: OddSlab, _ side: inout Side, using random: inout SeededGenerator) {
        let terms = slab.slab
        let bounds = (0..<slab.rowCount).filter { terms.offsets[$0] > -.infinity }.map { row in
            let sum = Double(slab.sum(row, side.codes)) * slab.scale(row)
            let rest =
                Double(side.normFactor) * Double(terms.norms[row])
                + Double(side.errorFactor) * Double(terms.errors[row])
                + Double(side.offsetFactor) * Double(terms.offsets[row])
            return (bound: sum + rest, row: row)
        }.sorted { $0.bound > $1.bound }
        // A gap that rounding can't cross; there is one among so many numbers.
        let size = bounds[0].bound.magnitude + bounds.last!.bound.magnitude
        let gaps = (1..<bounds.count).filter { bounds[$0 - 1].bound - bounds[$0].bound > 1e-5 * size }
        let cut = gaps.randomElement(using: &random) ?? 0
        side.threshold =
            cut == 0 ? bounds.last!.bound - size : (bounds[cut - 1].bound + bounds[cut].bound) / 2
        side.expected = Set(bounds.filter { $0.bound >= side.threshold }.map(\.row))
    }

    private func hits(
        _ slab: OddSlab,
        _ sides: [Side],
        _ kernels: UnsafePointer<vector_kernels>
    ) -> [code_hit] {
        var codes = [Int8](repeating: 0, count: slab.slab.groups * 32)
        for (query, side) in sides.enumerated() {
            for (index, code) in side.codes.enumerated() { codes[(index / 4 * 8 + query) * 4 + index % 4] = code }
        }
        func eight<Value>(
            _ none: Value,
            _ value: (Side) -> Value
        ) -> (
            Value, Value, Value, Value, Value, Value, Value, Value
        ) {
            let all = sides.map(value) + Array(repeating: none, count: 8 - sides.count)
            return (all[0], all[1], all[2], all[3], all[4], all[5], all[6], all[7])
        }
        return codes.withUnsafeBufferPointer { codes in
            var queries = code_queries(
                count: sides.count,
                codes: codes.baseAddress!,
                starts: eight(0) { -128 * $0.codes.reduce(0) { $0 + Int32($1) } },
                norm_factors: eight(0, \.normFactor),
                error_factors: eight(0, \.errorFactor),
                offset_factors: eight(0, \.offsetFactor),
                thresholds: eight(0) { Float($0.threshold) }
            )
            var all: [code_hit] = []
            // Room for one block: every call has to stop and go on.
            var some = [code_hit](repeating: code_hit(), count: 16 * sides.count)
            var block = 0
            let vectors = code_vectors(first: 0, stride: slab.dimension * 4)
            while block < slab.rowCount / 16 {
                let before = block
                let count = withUnsafePointer(to: slab.slab) {
                    kernels.pointee.scan(&queries, $0, vectors, &block, slab.rowCount / 16, &some, some.count)
                }
                #expect(block > before, "a call gets on")
                all += some[..<count]
            }
            return all
        }
    }

    @Test(arguments: names)
    func clearedRowsAreNoHits(name: String) throws {
        let kernels = try kernels(name)
        let slab = OddSlab(dimension: 5, rowCount: 32, offset: 3)
        let side = Side(
            codes: [1, 2, 3, 4, 5],
            normFactor: 1,
            errorFactor: 128,
            offsetFactor: 1,
            threshold: -.infinity
        )
        #expect(hits(slab, [side], kernels).isEmpty)
        encode([1, 2, 3, 4, 5], at: 0, code_plain, into: slab, 17, kernels)
        #expect(hits(slab, [side], kernels).map(\.row) == [17])
        withUnsafePointer(to: slab.slab) { code_slab_clear_row($0, 17) }
        #expect(hits(slab, [side], kernels).isEmpty)
    }
}
