#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Counts with a half-life, by forward decay: a hit at step t adds 2^(t/h), h the half-life. Newer hits weigh more, which
/// is the same as letting all older ones fade, but nothing old is touched and the order in which hits arrive does not
/// matter (Cormode et al., "Forward decay", ICDE 2009).
///
/// Weights grow without end, so they are measured in *epochs* of 512 half-lives: epoch e counts in units of 2^(512·e). A
/// record's count is in the epoch of the last step that its id was seen in, and is brought to a newer one, by a power of
/// two, which rounds nothing, when it is changed or read. So what a count is follows from the hits of its id alone.
package struct CountDecay: Sendable, Equatable {
    /// In steps, at least 1; nil: a hit counts 1 for ever, and there is one epoch.
    package let halfLife: Double?

    package static let none = CountDecay(halfLife: nil)

    package init(halfLife: Double?) {
        precondition(
            halfLife.map { $0 >= 1 && $0.isFinite } ?? true,
            "got a half-life of \(halfLife!), expected 1 or more"
        )
        self.halfLife = halfLife
    }

    /// How many binary orders of magnitude an epoch is.
    package static let epochExponent = 512
    /// So many epochs leave nothing but a trace of any count.
    private static let epochsToTrace = 4
    private static let exponentMax = 0x1p62

    /// A hit at a step, with its weight. The weight is for the journal to keep: another machine's `exp2` may round
    /// differently.
    package func hit(at step: Int64) -> Hit {
        guard let halfLife else { return Hit(step: step) }
        let (exponent, rest) = position(of: step, halfLife)
        return Hit(step: step, exponent: Int(exponent), weight: exp2(rest / halfLife))
    }

    /// The epoch of a step; of none (−1) the first. Exact arithmetic: the same on every machine.
    package func epoch(of step: Int64) -> Int {
        guard let halfLife, step >= 0 else { return 0 }
        return Int(position(of: step, halfLife).exponent) / Self.epochExponent
    }

    /// step / halfLife as a whole number of half-lives and a rest in steps, so that the weight is right to the last digits
    /// also when there were many half-lives. (Steps above 2^53 are rounded to a Double; from 2^62 half-lives on nothing
    /// fades any more.)
    private func position(of step: Int64, _ halfLife: Double) -> (exponent: Double, rest: Double) {
        let step = Double(step)
        let exponent = min((step / halfLife).rounded(.down), Self.exponentMax)
        return (exponent, exponent == Self.exponentMax ? 0 : step.addingProduct(-exponent, halfLife))
    }

    /// A count of one epoch, in another. An id keeps a trace of its count, however old that is.
    package static func convert(_ count: Double, from epoch: Int, to other: Int) -> Double {
        guard epoch != other, count > 0 else { return count }
        // Backwards only for a reader whose totals are older than the record: there is no more than one in between.
        let epochs = max(-1, min(epochsToTrace, other - epoch))
        let converted = Double(sign: .plus, exponent: -epochExponent * epochs, significand: count)
        return min(max(converted, .leastNormalMagnitude), .greatestFiniteMagnitude)
    }
}

/// What all hits of an observation have in common.
package struct Hit: BitwiseCopyable, Sendable, Equatable {
    package let step: Int64
    /// A hit weighs weight·2^exponent; `weight` is from 1 to 2, but for steps above 2^53.
    package let exponent: Int
    package let weight: Double

    package init(step: Int64, exponent: Int = 0, weight: Double = 1) {
        self.step = step
        self.exponent = exponent
        self.weight = weight
    }

    /// What it adds to a count that is measured in `epoch`. Not before its own: it would not fit. One that comes a thousand
    /// half-lives too late is lost in any sum, and still no 0.
    package func weight(in epoch: Int) -> Double {
        let shift = max(exponent - CountDecay.epochExponent * epoch, -4_000)
        return max(Double(sign: .plus, exponent: shift, significand: weight), .leastNormalMagnitude)
    }
}
