#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What the probability of a sampled negative is, and how often it is to be expected among the draws.
///
/// | drawn                               | q of an item                         |
/// |-------------------------------------|--------------------------------------|
/// | uniformly from M items              | 1 / M                                |
/// | by frequency, distorted by a power  | count^power / Σ count^power          |
/// | mixed, B by frequency : B′ uniformly | (B·q + B′/M) / (B + B′)             |
///
/// | n draws                | expected count                      |
/// |------------------------|-------------------------------------|
/// | with replacement       | n·q                                 |
/// | unique, after t tries  | 1 − (1 − q)^t, the id is there once |
///
/// These are TensorFlow's (`range_sampler.cc`: `uniform`, `fixed_unigram`, `unique`). As there, the expected count of
/// unique draws is an approximation: it takes the number of tries for given, although it depends on what was drawn.
/// TensorFlow has one exception more: unique draws none of which was a repetition count n·q, as if with replacement.

/// q of each of `itemCount` items that are equally likely.
package func uniformProbability(itemCount: Int) -> Double {
    precondition(itemCount > 0, "got \(itemCount) items, expected 1 or more")
    return 1 / Double(itemCount)
}

/// What q is proportional to when drawn by frequency. `power` 1 follows the counts, 0 makes all that have one alike. An
/// id without a count is never drawn, whatever the power.
package func distortedCount(_ count: Double, power: Double) -> Double {
    guard count > 0 else { return 0 }
    // The usual powers exactly, not as the library rounds them.
    if power == 1 { return count }
    if power == 0 { return 1 }
    return pow(count, power)
}

/// q when a draw is by frequency, where it would be `q`, with the weight `byFrequency` (B), and uniform among
/// `itemCount` items with the weight `uniform` (B′).
package func mixedProbability(q: Double, byFrequency: Double, uniform: Double, itemCount: Int) -> Double {
    let largest = max(byFrequency, uniform)
    precondition(largest > 0 && largest.isFinite, "got weights \(byFrequency) and \(uniform)")
    // The sum of huge weights would not be finite; by a power of two, for that is exact.
    let (weight, rest) = (byFrequency / largest.binade, uniform / largest.binade)
    return (weight * q + rest * uniformProbability(itemCount: itemCount)) / (weight + rest)
}

/// How often an id is to be expected among `draws` draws with replacement.
package func expectedCount(q: Double, draws: Int) -> Double {
    Double(draws) * q
}

/// How often an id is to be expected among unique draws that took `tries` tries: the probability to be there.
package func expectedCount(q: Double, tries: Int) -> Double {
    // Not 1 − (1 − q)^tries: a small q would be lost in it.
    -expm1(Double(tries) * log1p(-q))
}
