import Foundation

/// Pearson's test of whether counts follow given probabilities.
package enum ChiSquare {
    /// Σ (observed − expected)² / expected. `weights` are proportional to the probabilities. Each expected count must
    /// be at least 5.
    package static func statistic(_ counts: [Int], weights: [Double]) -> Double {
        let scale = Double(counts.reduce(0, +)) / weights.reduce(0, +)
        return zip(counts, weights).reduce(0) { sum, pair in
            let expected = pair.1 * scale
            return sum + (Double(pair.0) - expected) * (Double(pair.0) - expected) / expected
        }
    }

    /// The bound that the statistic exceeds by chance once in a thousand times.
    ///
    /// It is the 0.999 quantile, by the approximation of Wilson and Hilferty (1931) that the cube root is nearly
    /// normal. With ten or more degrees of freedom, it is at most 0.6 % too large.
    package static func bound(degreesOfFreedom: Int) -> Double {
        let degrees = Double(degreesOfFreedom)
        let normalQuantile = 3.090232306
        let root = 1 - 2 / (9 * degrees) + normalQuantile * (2 / (9 * degrees)).squareRoot()
        return degrees * root * root * root
    }

    /// The statistic divided by its bound. By chance, it exceeds 1 once in a thousand times.
    package static func excess(_ counts: [Int], weights: [Double]) -> Double {
        statistic(counts, weights: weights) / bound(degreesOfFreedom: counts.count - 1)
    }
}
