import SystemSupport

/// The probability q of a sampled negative, and its expected count among the draws.
///
/// | drawn                                | q of an item                |
/// |--------------------------------------|-----------------------------|
/// | uniformly from M items               | 1 / M                       |
/// | by frequency, distorted by a power   | count^power / Σ count^power |
/// | mixed, B by frequency : B′ uniformly | (B·q + B′/M) / (B + B′)     |
///
/// | n draws                | expected count                             |
/// |------------------------|--------------------------------------------|
/// | with replacement       | n·q                                        |
/// | unique, after t tries  | 1 − (1 − q)^t, the probability to be there |
///
/// These are TensorFlow's formulas (`range_sampler.cc`: `uniform`, `fixed_unigram`, `unique`). As in TensorFlow, the
/// expected count of unique draws is an approximation: the number of tries counts as fixed, although it depends on the
/// draws. TensorFlow has an exception that is not made here: unique draws without a repetition count as n·q, as with
/// replacement.

/// The probability of each of `itemCount` items that are equally likely.
package func uniformProbability(itemCount: Int) -> Double {
    precondition(itemCount > 0, "got \(itemCount) items, expected 1 or more")
    return 1 / Double(itemCount)
}

/// The probability of an id in a mixed draw. A draw by frequency, in which the id has the probability `q`, has the
/// weight `byFrequency` (B). A uniform draw among `itemCount` items has the weight `uniform` (B′).
package func mixedProbability(q: Double, byFrequency: Double, uniform: Double, itemCount: Int) -> Double {
    let largest = max(byFrequency, uniform)
    precondition(largest > 0 && largest.isFinite, "got weights \(byFrequency) and \(uniform)")
    // The sum of huge weights would overflow, so they are divided by a power of two, which is exact.
    let (weight, rest) = (byFrequency / largest.binade, uniform / largest.binade)
    return (weight * q + rest * uniformProbability(itemCount: itemCount)) / (weight + rest)
}

/// The expected count of an id among `draws` draws with replacement.
package func expectedCount(q: Double, draws: Int) -> Double {
    Double(draws) * q
}

/// The expected count of an id among unique draws that took this many tries, which is the probability that it is drawn.
package func expectedCount(q: Double, tries: Int) -> Double {
    // Not 1 − (1 − q)^tries, because that would lose a small q.
    -expm1(Double(tries) * log1p(-q))
}

/// The logarithm of q, p or an expected count, for every answer and every corrected score. Because only this function
/// computes it, a score that a client corrects with `LOGQ` has the same digits as one that the engine corrects.
package func logFrequency(_ quantity: Double) -> Double {
    log(quantity)
}
