// Codes of every set of kernels, compared with plain arithmetic: the result of encoding a vector, and the slots that a
// scan keeps.

import CVectorKernels
import TestSupport
import Testing

@testable import VectorIndex

/// A slab whose codes begin at any byte. Its memory has exactly the size that it needs, so that a sanitizer notices
/// accesses beyond it.
private final class OddSlab {
    let dimension: Int
    let slotCount: Int
    let slab: code_slab
    private let codes: UnsafeMutablePointer<UInt8>
    private let floats: [UnsafeMutablePointer<Float>]
    private let bounds: UnsafeMutablePointer<code_terms>

    init(dimension: Int, slotCount: Int, offset: Int) {
        self.dimension = dimension
        self.slotCount = slotCount
        let groups = (dimension + 3) / 4
        codes = .allocate(capacity: offset + slotCount * (groups + 1) * 4)
        codes.initialize(repeating: 0, count: offset + slotCount * (groups + 1) * 4)
        floats = (0..<3).map { _ in .allocate(capacity: slotCount) }
        for array in floats { array.initialize(repeating: .nan, count: slotCount) }
        bounds = .allocate(capacity: slotCount / 16)
        slab = code_slab(
            groups: groups,
            blocks: codes + offset,
            norms: floats[0],
            errors: floats[1],
            offsets: floats[2],
            bounds: bounds,
            has_offsets: true
        )
        withUnsafePointer(to: slab) { code_slab_clear($0, 0, slotCount) }
    }

    deinit {
        codes.deallocate()
        for array in floats { array.deallocate() }
        bounds.deallocate()
    }

    private func code(_ slot: Int, _ index: Int) -> Int {
        Int(slab.blocks[slot / 16 * (slab.groups + 1) * 64 + index / 4 * 64 + slot % 16 * 4 + index % 4]) - 128
    }

    func scale(_ slot: Int) -> Double {
        let block = slab.blocks + slot / 16 * (slab.groups + 1) * 64
        let offset = slab.groups * 64 + slot % 16 * 4
        return Double(UnsafeRawPointer(block).loadUnaligned(fromByteOffset: offset, as: Float.self))
    }

    /// The decoded vector of a slot.
    func decoded(_ slot: Int) -> [Double] {
        (0..<dimension).map { scale(slot) * Double(code(slot, $0)) }
    }

    func sum(_ slot: Int, _ query: [Int8]) -> Int {
        (0..<dimension).reduce(0) { $0 + code(slot, $1) * Int(query[$1]) }
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
            let slab = OddSlab(dimension: dimension, slotCount: 16, offset: dimension % 16)
            for kind in VectorKind.allCases {
                let slot = Int.random(in: 0..<16, using: &random)
                let vector = kind.vector(dimension, using: &random)
                for form in [code_plain, code_normalized, code_offset] {
                    encode(vector, at: dimension % 5, form, into: slab, slot, kernels)
                    check(slab, slot, vector, form, "\(name) \(kind) \(dimension)")
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
        _ slot: Int,
        _ kernels: UnsafePointer<vector_kernels>
    ) {
        withUnsafeTemporaryAllocation(byteCount: offset + vector.count * 4, alignment: 64) { memory in
            vector.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(rebasing: memory[offset...]).copyMemory(from: $0)
            }
            withUnsafePointer(to: slab.slab) {
                vector_kernels_encode(kernels, memory.baseAddress! + offset, vector.count, form, $0, slot)
            }
        }
    }

    private func check(_ slab: OddSlab, _ slot: Int, _ vector: [Float], _ form: code_form, _ what: String) {
        let norm = vector.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
        let factor = form == code_normalized && norm > 0 ? 1 / norm : 1
        let decoded = slab.decoded(slot)
        let errorSquare = zip(vector, decoded).reduce(0) { sum, pair in
            let error = Double(pair.0) * factor - pair.1
            return sum + error * error
        }
        let decodedNorm = decoded.reduce(0) { $0 + $1 * $1 }.squareRoot()
        let error = errorSquare.squareRoot()
        expect(slab.slab.norms[slot], bounds: decodedNorm, what)
        expect(slab.slab.errors[slot], bounds: error, what)
        // At most half a scale for each dimension, unless the scale would underflow.
        let scale = slab.scale(slot)
        if scale > 0 {
            #expect(error <= 0.501 * scale * Double(vector.count).squareRoot(), "\(what)")
        } else {
            #expect(vector.allSatisfy { Double($0.magnitude) * factor < 127 * 1.2e-38 }, "\(what)")
        }
        let offset = slab.slab.offsets[slot]
        #expect(form == code_offset || offset == 0, "\(what)")
        if form == code_offset { expect(-offset, isBoundedBy: norm * norm / 2, what) }
    }

    /// The bound must not be below the value, and only slightly above it for values between 1e-30 and 1e30.
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
    func keepsTheSlotsAboveTheThreshold(name: String) throws {
        let kernels = try kernels(name)
        var random = SeededGenerator()
        for dimension in Array(1...130) + [255, 256, 257, 1_030, 4_096] {
            for offset in dimension < 20 || TestScale.isFull ? Array(0..<16) : [dimension % 16] {
                let slab = OddSlab(dimension: dimension, slotCount: 64, offset: offset)
                // Some slots stay empty, and so does a whole block.
                for slot in 0..<48 where slot % 7 != 3 {
                    let vector = VectorKind.normal.vector(dimension, using: &random)
                    encode(vector, at: 0, code_plain, into: slab, slot, kernels)
                }
                try scan(slab, queryCount: 1 + (dimension + offset) % 8, kernels, using: &random)
            }
        }
    }

    /// The query's part of a bound, with arbitrary numbers, because the kernels accept any.
    private struct Side {
        let codes: [Int8]
        let normFactor: Float
        let errorFactor: Float
        let offsetFactor: Float
        /// Slots whose bound is at least this threshold are expected. It is in the middle of a gap between two bounds.
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
            let slots = found.filter { $0.query == query }.map { Int($0.slot) }
            #expect(Set(slots) == side.expected, "dimension \(slab.dimension), query \(query) of \(queryCount)")
            #expect(slots.count == side.expected.count, "a slot occurs twice")
        }
    }

    private func chooseThreshold(_ slab: OddSlab, _ side: inout Side, using random: inout SeededGenerator) {
        let terms = slab.slab
        let bounds = (0..<slab.slotCount).filter { terms.offsets[$0] > -.infinity }.map { slot in
            let sum = Double(slab.sum(slot, side.codes)) * slab.scale(slot)
            let rest =
                Double(side.normFactor) * Double(terms.norms[slot])
                + Double(side.errorFactor) * Double(terms.errors[slot])
                + Double(side.offsetFactor) * Double(terms.offsets[slot])
            return (bound: sum + rest, slot: slot)
        }.sorted { $0.bound > $1.bound }
        // A gap that rounding cannot close. There is one among this many numbers.
        let size = bounds[0].bound.magnitude + bounds.last!.bound.magnitude
        let gaps = (1..<bounds.count).filter { bounds[$0 - 1].bound - bounds[$0].bound > 1e-5 * size }
        let cut = gaps.randomElement(using: &random) ?? 0
        side.threshold =
            cut == 0 ? bounds.last!.bound - size : (bounds[cut - 1].bound + bounds[cut].bound) / 2
        side.expected = Set(bounds.filter { $0.bound >= side.threshold }.map(\.slot))
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
            // There is room for only one block, so every call must stop and the next one continue.
            var some = [code_hit](repeating: code_hit(), count: 16 * sides.count)
            let vectors = code_vectors(first: 0, stride: 0, rows: nil, first_slot: 0)
            var block = 0
            while block < slab.slotCount / 16 {
                let before = block
                let count = withUnsafePointer(to: slab.slab) {
                    kernels.pointee.scan(&queries, $0, vectors, &block, slab.slotCount / 16, &some, some.count)
                }
                #expect(block > before, "a call made no progress")
                all += some[..<count]
            }
            return all
        }
    }

    @Test(arguments: names)
    func clearedSlotsAreNoHits(name: String) throws {
        let kernels = try kernels(name)
        let slab = OddSlab(dimension: 5, slotCount: 32, offset: 3)
        let side = Side(
            codes: [1, 2, 3, 4, 5],
            normFactor: 1,
            errorFactor: 128,
            offsetFactor: 1,
            threshold: -.infinity
        )
        #expect(hits(slab, [side], kernels).isEmpty)
        encode([1, 2, 3, 4, 5], at: 0, code_plain, into: slab, 17, kernels)
        #expect(hits(slab, [side], kernels).map(\.slot) == [17])
        withUnsafePointer(to: slab.slab) { code_slab_clear_slot($0, 17) }
        #expect(hits(slab, [side], kernels).isEmpty)
    }
}
