#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Counts with a half-life, by forward decay: a hit at step t adds 2^((t − L)/h), L a fixed step and h the half-life.
/// Newer hits weigh more, which is the same as letting all older ones fade, but nothing old is touched and the order in
/// which hits arrive does not matter (Cormode et al., "Forward decay", ICDE 2009).
///
/// Weights grow without end, so every 512 half-lives a new *epoch* begins, in which all weights are smaller by 2^512. A
/// count remembers the epoch that it is measured in, and is brought to a newer one when it is read or changed: by a power
/// of two, which rounds nothing. When an epoch begins is part of the state, and the journal says it: every weight is
/// computed once, when a write is judged.
package struct CountDecay: Sendable, Equatable {
    /// In steps; nil: a hit counts 1 for ever.
    package let halfLife: Double?

    package init(halfLife: Double?) {
        precondition(halfLife.map { $0 > 0 && $0.isFinite } ?? true, "got a half-life of \(halfLife!)")
        self.halfLife = halfLife
    }

    /// What weights are measured by.
    package struct Scale: BitwiseCopyable, Sendable, Equatable {
        /// L; −1 before the first hit.
        package var landmark: Int64
        /// Epochs that began since L: weights are 2^((t − L)/h − 512·offset).
        package var offset: UInt32
        /// Epochs that ever began.
        package var epoch: UInt32

        package init(landmark: Int64 = -1, offset: UInt32 = 0, epoch: UInt32 = 0) {
            self.landmark = landmark
            self.offset = offset
            self.epoch = epoch
        }
    }

    /// How many binary orders of magnitude an epoch is.
    package static let epochExponent = 512
    /// So many epochs leave nothing but a trace of any count.
    private static let epochsToTrace: UInt32 = 4

    /// The scale for a hit at `step` when the one before it had `scale`.
    package func scale(after scale: Scale, for step: Int64) -> Scale {
        guard let halfLife else { return scale }
        guard scale.landmark >= 0 else { return Scale(landmark: step, epoch: scale.epoch) }
        let limit = Double(Self.epochExponent)
        let exponent = age(of: step, since: scale.landmark) / halfLife - Double(scale.offset) * limit
        guard exponent > limit else { return scale }
        let epochs = (exponent / limit).rounded(.down)
        if epochs < Double(Self.epochsToTrace) {
            let count = UInt32(epochs)
            return Scale(landmark: scale.landmark, offset: scale.offset + count, epoch: scale.epoch &+ count)
        }
        return Scale(landmark: step, epoch: scale.epoch &+ Self.epochsToTrace)
    }

    /// What a hit at `step` adds to a count, in this scale; 1 without a half-life.
    package func weight(of step: Int64, in scale: Scale) -> Double {
        guard let halfLife else { return 1 }
        let limit = Double(Self.epochExponent)
        let exponent = age(of: step, since: scale.landmark) / halfLife - Double(scale.offset) * limit
        // A hit that comes a thousand half-lives too late: so little that any sum loses it, and still no 0.
        return max(exp2(exponent), .leastNormalMagnitude)
    }

    /// A count of one epoch, in another. An id keeps a trace of its count, however old that is.
    package static func convert(_ count: Double, from epoch: UInt32, to other: UInt32) -> Double {
        guard epoch != other, count > 0 else { return count }
        let epochs = max(-2, min(Int(epochsToTrace), Int(Int32(bitPattern: other &- epoch))))
        let converted = Double(sign: .plus, exponent: -epochExponent * epochs, significand: count)
        return min(max(converted, .leastNormalMagnitude), .greatestFiniteMagnitude)
    }

    /// As a Double: the difference of two steps may overflow.
    private func age(of step: Int64, since landmark: Int64) -> Double {
        let (difference, overflow) = step.subtractingReportingOverflow(landmark)
        return overflow ? Double(step) - Double(landmark) : Double(difference)
    }
}
