import SystemSupport

/// Counts with a half-life h, by forward decay (Cormode et al., "Forward decay", ICDE 2009): a hit at step t adds
/// 2^(t/h). Newer hits weigh more, which has the same effect as fading all older ones. But old counts are never
/// touched, and hits may arrive in any order.
///
/// Weights grow without bound, so steps are divided into *epochs* of 512 half-lives, and a count in epoch e has the
/// unit 2^(512·e). The count of an id is in the epoch of the last step at which the id was seen. A change or a read
/// converts it to a newer epoch by a power of two, which rounds nothing. So a count depends only on the hits of its id.
package struct CountDecay: Sendable, Equatable {
    /// In steps, at least 1. Nil: every hit counts 1 forever, and there is only one epoch.
    package let halfLife: Double?

    package static let none = CountDecay(halfLife: nil)

    package init(halfLife: Double?) {
        precondition(
            halfLife.map { $0 >= 1 && $0.isFinite } ?? true,
            "got a half-life of \(halfLife!), expected 1 or more"
        )
        self.halfLife = halfLife
    }

    /// The unit of an epoch is 2 to this power times the unit of the epoch before it.
    package static let epochExponent = 512
    /// After this many epochs, only the smallest normal number remains of any count.
    private static let epochsToTrace = 4
    private static let exponentMax = 0x1p62

    /// A hit at a step, with its weight. The journal must store the weight, because `exp2` may round differently on
    /// another machine.
    package func hit(at step: Int64) -> Hit {
        guard let halfLife else { return Hit(step: step) }
        let (exponent, rest) = position(of: step, halfLife)
        return Hit(step: step, exponent: Int(exponent), weight: exp2(rest / halfLife))
    }

    /// The epoch of a step; the first epoch for "no step" (−1). The result is the same on every machine, because it
    /// needs no `exp2`.
    package func epoch(of step: Int64) -> Int {
        guard let halfLife, step >= 0 else { return 0 }
        return Int(position(of: step, halfLife).exponent) / Self.epochExponent
    }

    /// step / halfLife, as a whole number of half-lives and a remainder in steps. So a weight has full precision even
    /// after many half-lives. (Steps above 2^53 are rounded to a Double. From 2^62 half-lives on, nothing fades.)
    private func position(of step: Int64, _ halfLife: Double) -> (exponent: Double, rest: Double) {
        let step = Double(step)
        let exponent = min((step / halfLife).rounded(.down), Self.exponentMax)
        return (exponent, exponent == Self.exponentMax ? 0 : step.addingProduct(-exponent, halfLife))
    }

    /// Converts a count from one epoch to another. A count above 0 never becomes 0, however old it is.
    package static func convert(_ count: Double, from epoch: Int, to other: Int) -> Double {
        guard epoch != other, count > 0 else { return count }
        // The conversion goes back only if a reader's totals are older than the record, and then by one epoch at most.
        let epochs = max(-1, min(epochsToTrace, other - epoch))
        let converted = Double(sign: .plus, exponent: -epochExponent * epochs, significand: count)
        return min(max(converted, .leastNormalMagnitude), .greatestFiniteMagnitude)
    }
}

/// The properties that all hits of one observation share.
package struct Hit: BitwiseCopyable, Sendable, Equatable {
    package let step: Int64
    /// A hit weighs weight·2^exponent. `weight` is from 1 to 2, except at steps above 2^53.
    package let exponent: Int
    package let weight: Double

    package init(step: Int64, exponent: Int = 0, weight: Double = 1) {
        self.step = step
        self.exponent = exponent
        self.weight = weight
    }

    /// The amount that this hit adds to a count in `epoch`. That must not be before the hit's own epoch, because the
    /// amount would overflow. A hit that is a thousand half-lives late changes no sum, but its weight is never 0.
    package func weight(in epoch: Int) -> Double {
        let shift = max(exponent - CountDecay.epochExponent * epoch, -4_000)
        return max(Double(sign: .plus, exponent: shift, significand: weight), .leastNormalMagnitude)
    }
}
