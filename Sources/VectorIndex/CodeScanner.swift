/// Scans codes for up to eight queries at once.
///
/// It finds the slots that a query must look at: every slot with a score that could reach the query's threshold, and
/// few others. Let x be the query, y the vector of a slot, and x̂ and ŷ their decoded codes. Then |⟨x,y⟩ − ⟨x̂,ŷ⟩| ≤
/// ‖x−x̂‖·‖ŷ‖ + ‖x‖·‖y−ŷ‖, by the Cauchy-Schwarz inequality for each of the two errors. For each metric, the score
/// follows from ⟨x,y⟩ and the norms, and rises with ⟨x,y⟩:
///
///     dot      ⟨x,y⟩
///     cosine   ⟨x, y/‖y‖⟩ / ‖x‖; the codes are those of y/‖y‖
///     l2       2⟨x,y⟩ − ‖x‖² − ‖y‖²
///
/// Why rounding loses no slot: the kernels compute the bound in float32, in six operations of relative error 2^-24
/// each. Its terms are at most ‖x̂‖·‖ŷ‖ + ‖x−x̂‖·‖ŷ‖ + ‖x‖·‖y−ŷ‖, and the part that comes from ‖y‖². With the coarsest
/// query codes, at most 64, ‖x̂‖ ≤ 1.5·‖x‖ up to 4,096 dimensions and 2.5·‖x‖ up to 32,768. So the error is below 2^-20
/// of ‖x‖·‖ŷ‖ + ‖x‖·‖y−ŷ‖ + ‖y‖²/2. The factors and ‖y‖² are inflated by 2^-18 of that. This also covers the rounding
/// of the score itself in float64. The smallest error of a slot, 2^-120, covers underflow. Products can overflow only
/// for vectors of length 2^100 or more. Their norm is stored as infinite, so the bound is infinite or not a number, and
/// the slot is a hit.
///
/// Queries may also rank by a score plus a number that is in no slab, because it changes all the time (`Addends`). It
/// is added where l2 has −‖y‖²/2, and divided by the query's scale like all other terms. The scale then has a lower
/// limit, so that this division cannot overflow.
internal import CVectorKernels

package final class CodeScanner {
    package static let queryCountMax = code_queries_max
    /// The most hits that one call collects. The hits of one block always fit.
    private static let hitsMax = 2 * CodeSlab.slotsInBlock * queryCountMax
    static let inflation = 0x1p-18

    /// Not private, because tests narrow the bound.
    var queries: code_queries
    private var scales: [ThresholdScale]
    private let codes: UnsafeMutableRawBufferPointer
    private let hits: UnsafeMutablePointer<CodeHit>
    private let kernels: UnsafePointer<vector_kernels>
    /// The numbers to add to the scores; nil if there are none.
    package let addends: Addends?

    /// Takes 1 to 8 queries of one dimension and metric. Until a threshold is set, every slot that is not empty is a
    /// hit.
    ///
    /// `addendBlocksMax`: if above 0, `addends` are added to the scores, and one call scans at most this many blocks.
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

    /// From now on, slots that certainly score below `score` are not hits of the query. Infinity excludes all slots,
    /// apart from those with a bound that is infinite or not a number.
    package func setThreshold(_ score: Double, of query: Int) {
        Self.set(&queries.thresholds, query, scales[query].threshold(score))
    }

    /// Scans these blocks in order until all are scanned or there is no more room for hits. Removes the scanned ones
    /// from `blocks`. The hits are valid until the next call. A new threshold takes effect at the next call.
    ///
    /// If there are `addends`, they must hold a value for each slot of these blocks.
    ///
    /// `vectors`: the vectors of the span's rows, one after another. Those of hits are prefetched, so that they are in
    /// the cache when they are scored.
    package func hits(
        in span: SlotSpan,
        _ blocks: inout Range<Int>,
        vectors: UnsafePointer<Float>
    ) -> UnsafeBufferPointer<CodeHit> {
        hits(in: span.slab, &blocks, span.places(of: vectors))
    }

    /// The same for slots without rows.
    func hits(in slab: CodeSlab, _ blocks: inout Range<Int>) -> UnsafeBufferPointer<CodeHit> {
        hits(in: slab, &blocks, code_vectors(first: 0, stride: 0, rows: nil, first_slot: 0))
    }

    private func hits(
        in slab: CodeSlab,
        _ blocks: inout Range<Int>,
        _ vectors: code_vectors
    ) -> UnsafeBufferPointer<CodeHit> {
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

    /// Converts a score to a threshold for the kernels: (score + addend)·factor, less the largest possible rounding
    /// error.
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

    /// Encodes a query and computes its factors, all divided by its scale.
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
            // Offsets are zero unless there are addends.
            Self.set(&queries.offset_factors, query, addends == nil ? 1 : Float(1 / scale))
            scales.append(ThresholdScale(addend: 0, factor: 1 / scale))
        case .cosine:
            Self.set(&queries.offset_factors, query, addends == nil ? 1 : Float(norm))
            scales.append(ThresholdScale(addend: 0, factor: norm))
        case .l2:
            // Offsets are never above zero, so a factor that is too small only widens the bound. With addends they may
            // be; then the inflation covers the difference.
            let factor = Float(min(1 / scale, Double(Float.greatestFiniteMagnitude)))
            Self.set(&queries.offset_factors, query, factor.nextDown)
            scales.append(ThresholdScale(addend: vector.norm * vector.norm, factor: 0.5 / scale))
        }
        setThreshold(-.infinity, of: query)
    }

    private typealias EightFloats = (Float, Float, Float, Float, Float, Float, Float, Float)

    /// Sets an element of a C array, which Swift imports as a tuple.
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

/// A slot that a query must look at. Has the memory layout of `code_hit`, because the kernels write it.
@usableFromInline
package struct CodeHit {
    @usableFromInline package let slot: UInt32
    package let query: UInt32
}
