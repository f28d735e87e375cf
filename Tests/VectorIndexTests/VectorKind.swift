import TestSupport

/// Kinds of vectors that are difficult for a bound.
enum VectorKind: CaseIterable {
    case normal
    /// Near one of a few centres.
    case clustered
    /// One of a few vectors.
    case repeated
    /// Mostly zeros, sometimes only zeros.
    case sparse
    /// Small whole numbers, so that ties are common.
    case whole
    /// Up to the largest float32.
    case huge
    /// Long enough for some products to overflow, and short enough that not all do.
    case long
    /// Around the smallest normal float32.
    case tiny
    case denormal
    /// Lengths from 1e-30 to 1e30.
    case anyLength

    func vector(_ dimension: Int, using random: inout SeededGenerator) -> [Float] {
        switch self {
        case .normal:
            return Self.normal(dimension, using: &random)
        case .clustered:
            var center = SeededGenerator(seed: UInt64.random(in: 0..<5, using: &random))
            let vector = Self.normal(dimension, using: &center)
            return zip(vector, Self.normal(dimension, using: &random)).map { $0 + 0.02 * $1 }
        case .repeated:
            var one = SeededGenerator(seed: UInt64.random(in: 100..<103, using: &random))
            return Self.normal(dimension, using: &one)
        case .sparse:
            return (0..<dimension).map { _ in
                Int.random(in: 0..<8, using: &random) == 0 ? Float.random(in: -1...1, using: &random) : 0
            }
        case .whole:
            return (0..<dimension).map { _ in Float(Int.random(in: -2...2, using: &random)) }
        case .huge:
            let largest = Float.greatestFiniteMagnitude
            return (0..<dimension).map { _ in
                [1, -1, 0.5, Float.random(in: -1...1, using: &random)].randomElement(using: &random)! * largest
            }
        case .long:
            var length: Float = 1e34
            for _ in 0..<Int.random(in: 0...3, using: &random) { length *= 10 }
            return Self.normal(dimension, using: &random).map { $0 * length }
        case .tiny:
            return Self.normal(dimension, using: &random).map { $0 * 3e-38 }
        case .denormal:
            return (0..<dimension).map { _ in
                Float(Int.random(in: -300...300, using: &random)) * .leastNonzeroMagnitude
            }
        case .anyLength:
            var length: Float = 1
            for _ in 0..<Int.random(in: 0...30, using: &random) { length *= 10 }
            if Bool.random(using: &random) { length = 1 / length }
            return Self.normal(dimension, using: &random).map { $0 * length }
        }
    }

    private static func normal(_ dimension: Int, using random: inout SeededGenerator) -> [Float] {
        (0..<dimension).map { _ in (0..<4).reduce(-2) { sum, _ in sum + Float.random(in: 0...1, using: &random) } }
    }
}
