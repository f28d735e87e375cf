/// Up to eight queries on their way through codes.
///
/// It finds the slots that a query has to look at: all whose score could reach the query's threshold, and few others.
/// With x̂ and ŷ what the codes of query and row say, |⟨x,y⟩ − ⟨x̂,ŷ⟩| ≤ ‖x−x̂‖·‖ŷ‖ + ‖x‖·‖y−ŷ‖ (Cauchy and Schwarz
/// on each part of what is left out), and for each metric a score is a rising function of ⟨x,y⟩ and what is known of
/// the row:
///
///     dot      ⟨x,y⟩                      cosine   ⟨x, y/‖y‖⟩ / ‖x‖, and y/‖y‖ is what was encoded
///     l2       2⟨x,y⟩ − ‖x‖² − ‖y‖²
///
/// Why no row is lost to rounding. The kernels compute the bound in float32, six operations of relative error 2^-24
/// each. Its terms are at most ‖x̂‖·‖ŷ‖ + ‖x−x̂‖·‖ŷ‖ + ‖x‖·‖y−ŷ‖ and what comes from ‖y‖². With the coarsest query codes,
/// up to 64, ‖x̂‖ ≤ 1.5·‖x‖ up to 4,096 dimensions and 2.5·‖x‖ up to 32,768, so the error is below 2^-20 of
/// ‖x‖·‖ŷ‖ + ‖x‖·‖y−ŷ‖ + ‖y‖²/2. The factors and ‖y‖² are inflated by 2^-18 of that, which leaves room for the score's own
/// rounding in float64 too. What underflows is covered by the smallest error that a row can have, 2^-120. Products can
/// overflow only where rows are 2^100 long or more; such a row has an infinite norm, so its bound is infinite or no
/// number, and it stays.
///
/// Queries may also rank by scores to which something is added that changes all the time, so that it stands in no slab
/// (`Addends`). It goes where l2 has −‖y‖²/2, divided by the query's scale like all else; the scale is then not so small
/// that this could overflow.
internal import CVectorKernels

package final class CodeScanner {
    package static let queryCountMax = code_queries_max
    /// As many hits are collected before they are told; at least those of one block.
    private static let hitsMax = 2 * CodeSlab.slotsInBlock * queryCountMax
    static let inflation = 0x1p-18

    /// Internal for tests, which narrow the bound.
    var queries: code_queries
    private var scales: [ThresholdScale]
    private let codes: UnsafeMutableRawBufferPointer
    private let hits: UnsafeMutablePointer<CodeHit>
    private let kernels: UnsafePointer<vector_kernels>
    /// What is added to the scores; nil: nothing.
    package let addends: Addends?

    /// For 1 to 8 queries of one dimension and metric. Until a threshold is set, every slot that is not empty is a hit.
    ///
    /// `addendBlocksMax`: if above 0, something is added to each score, and so many blocks at most are scanned at a time.
    package convenience init(_ vectors: [QueryVector], addendBlocksMax: Int = 0) {
        self.init(vectors, addendBlocksMax: addendBlocksMax, kernels: vector_kernels_current())
    }

    init(_ vectors: [QueryVector], addendBlocksMax: Int = 0, kernels: UnsafePointer<vector_kernels>) {
        precondition((1...Self.queryCountMax).contains(vectors.count))
        let groups = (vectors[0].dimension + 3) / 4
        codes = .allocate(byteCount: groups * Self.queryCountMax * 4, alignment: 64)
        codes.initializeMemory(as: UInt8.self, repeating: 0)
        hits = .allocate(capacity: Self.hitsMax)
        self.kernels = kernels
        addends = addendBlocksMax > 0 ? Addends(blocksMax: addendBlocksMax, vectors[0].metric) : nil
        let zeros: EightFloats = (0, 0, 0, 0, 0, 0, 0, 0)
        queries = code_queries(
            count: vectors.count,
            codes: UnsafePointer(codes.baseAddress!.assumingMemoryBound(to: Int8.self)),
            starts: (0, 0, 0, 0, 0, 0, 0, 0),
            norm_factors: zeros,
            error_factors: zeros,
            offset_factors: zeros,
            thresholds: zeros
        )
        scales = []
        for (query, vector) in vectors.enumerated() { encode(vector, as: query) }
    }

    deinit {
        codes.deallocate()
        hits.deallocate()
    }

    /// From here on slots that certainly score below `score` are no hits for the query. Infinity takes out all but those
    /// whose bound is infinite.
    package func setThreshold(_ score: Double, of query: Int) {
        Self.set(&queries.thresholds, query, scales[query].threshold(score))
    }

    /// Scans from the first of these blocks on until there is an end of them or of the room for hits, and removes what
    /// was scanned from `blocks`. The hits are valid until the next call. Thresholds that are raised meanwhile hold from
    /// the next call on.
    ///
    /// `vectors`: where the vector of the slab's first slot would stand if all stood in one array. Those of hits are
    /// asked for, so that they are near when they are scored.
    ///
    /// If something is added to the scores, `addends` holds it for all of these blocks.
    package func hits(
        in slab: CodeSlab,
        _ blocks: inout Range<Int>,
        vectors: UInt
    ) -> UnsafeBufferPointer<CodeHit> {
        let vectors = code_vectors(first: vectors, stride: slab.dimension * MemoryLayout<Float>.size)
        var block = blocks.lowerBound
        let slab = addends.map { $0.added(to: slab.slab, blocks) } ?? slab.slab
        let count = withUnsafePointer(to: slab) { slab in
            hits.withMemoryRebound(to: code_hit.self, capacity: Self.hitsMax) {
                kernels.pointee.scan(&queries, slab, vectors, &block, blocks.upperBound, $0, Self.hitsMax)
            }
        }
        blocks = block..<blocks.upperBound
        return UnsafeBufferPointer(start: hits, count: count)
    }

    // MARK: - Queries

    /// How a score becomes a threshold of the kernels: (score + addend)·factor, lowered by what rounding could add.
    private struct ThresholdScale {
        let addend: Double
        let factor: Double

        func threshold(_ score: Double) -> Float {
            guard score.isFinite else { return Float(score) }
            let exact = (score + addend) * factor
            let rounding = (score.magnitude + addend) * factor * 0x1p-36 + exact.magnitude * inflation
            let lowered = exact - rounding
            let nearest = Float(lowered)
            return Double(nearest) > lowered ? nearest.nextDown : nearest
        }
    }

    /// Encodes a query and what belongs to it, all divided by its scale.
    private func encode(_ vector: QueryVector, as query: Int) {
        let largest = vector.elements.reduce(0) { max($0, $1.magnitude) }
        let codeMax = Double(kernels.pointee.query_code_max)
        let scale = max(largest > 0 ? largest / codeMax : 1, addends == nil ? 0 : 0x1p-100)
        var sum = 0
        var errorSquare = 0.0
        for (index, element) in vector.elements.enumerated() where index < vector.dimension {
            let exact = element / scale
            let code = max(-codeMax, min(codeMax, exact.rounded(.toNearestOrEven)))
            codes.storeBytes(
                of: Int8(code),
                toByteOffset: (index / 4 * Self.queryCountMax + query) * 4 + index % 4,
                as: Int8.self
            )
            sum += Int(code)
            errorSquare += (exact - code) * (exact - code)
        }
        let norm = vector.norm / scale
        let error = errorSquare.squareRoot() * (1 + 0x1p-30)
        withUnsafeMutableBytes(of: &queries.starts) {
            $0.storeBytes(of: Int32(-128 * sum), toByteOffset: query * MemoryLayout<Int32>.stride, as: Int32.self)
        }
        Self.set(&queries.norm_factors, query, Self.roundedUp(error + norm * Self.inflation))
        Self.set(&queries.error_factors, query, Self.roundedUp(norm * (1 + Self.inflation)))
        switch vector.metric {
        case .dot:
            // Offsets are zeros, unless something is added.
            Self.set(&queries.offset_factors, query, addends == nil ? 1 : Float(1 / scale))
            scales.append(ThresholdScale(addend: 0, factor: 1 / scale))
        case .cosine:
            Self.set(&queries.offset_factors, query, addends == nil ? 1 : Float(norm))
            scales.append(ThresholdScale(addend: 0, factor: norm))
        case .l2:
            // Offsets are never above zero, so a factor that is too small only widens the bound; of what is added the
            // inflation covers it.
            let factor = Float(min(1 / scale, Double(Float.greatestFiniteMagnitude)))
            Self.set(&queries.offset_factors, query, factor.nextDown)
            scales.append(ThresholdScale(addend: vector.norm * vector.norm, factor: 0.5 / scale))
        }
        setThreshold(-.infinity, of: query)
    }

    private typealias EightFloats = (Float, Float, Float, Float, Float, Float, Float, Float)

    /// Sets an element of one of the C arrays, which Swift sees as tuples.
    private static func set(_ eight: inout EightFloats, _ query: Int, _ value: Float) {
        withUnsafeMutableBytes(of: &eight) {
            $0.storeBytes(of: value, toByteOffset: query * MemoryLayout<Float>.stride, as: Float.self)
        }
    }

    static func roundedUp(_ value: Double) -> Float {
        let nearest = Float(value)
        return Double(nearest) < value ? nearest.nextUp : nearest
    }
}

/// A slot that a query has to look at. Laid out as the kernels write it.
package struct CodeHit {
    package let slot: UInt32
    package let query: UInt32
}

/// Asks the CPU for memory that will be read soon, and goes on.
package func prefetch(_ address: UnsafeRawPointer, byteCount: Int) {
    vector_kernels_prefetch(UInt(bitPattern: address), byteCount)
}
