import Foundation

/// Whether counts follow their probabilities: Pearson's test.
package enum ChiSquare {
    /// Σ (observed − expected)² / expected. `weights`: the probabilities, up to a factor; each at 5 expected or more.
    package static func statistic(_ counts: [Int], weights: [Double]) -> Double {
        let scale = Double(counts.reduce(0, +)) / weights.reduce(0, +)
        return zip(counts, weights).reduce(0) { sum, pair in
            let expected = pair.1 * scale
            return sum + (Double(pair.0) - expected) * (Double(pair.0) - expected) / expected
        }
    }

    /// What the statistic exceeds by chance once in a thousand times: the 0.999 quantile, after Wilson and Hilferty
    /// (1931), who found the cube root to be nearly normal. From ten degrees of freedom on at most 0.6 % too large.
    package static func bound(degreesOfFreedom: Int) -> Double {
        let degrees = Double(degreesOfFreedom)
        let normalQuantile = 3.090232306
        let root = 1 - 2 / (9 * degrees) + normalQuantile * (2 / (9 * degrees)).squareRoot()
        return degrees * root * root * root
    }

    /// The statistic over its bound: below 1 for all but one in a thousand samples of these probabilities.
    package static func excess(_ counts: [Int], weights: [Double]) -> Double {
        statistic(counts, weights: weights) / bound(degreesOfFreedom: counts.count - 1)
    }
}
