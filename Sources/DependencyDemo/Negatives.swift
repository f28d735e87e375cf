internal import Foundation

/// The source of the negatives of a step.
///
/// - in-batch: the other pairs of the batch.
/// - mixed: those, and items drawn uniformly from all (Yang et al., WWW 2020). So the many items that are rarely in a
///   batch become negatives too.
/// - hard: those of in-batch, and for some rows a few items that the model ranks high, but not highest (Facebook's
///   search, KDD 2020).
package enum Negatives: String, CaseIterable, Sendable {
    case inBatch = "in-batch"
    case mixed
    case hard
}

/// The numbers of negatives, and the corrections to subtract from logits.
struct NegativeSampling: Sendable {
    let negatives: Negatives
    /// Whether corrections are subtracted. The requests are sent either way, so that both runs do the same work.
    let usesLogQ: Bool
    /// For `mixed`: B′, the number of items drawn uniformly.
    var uniformCount = 512
    /// For `hard`: the number of rows of a step that get hard negatives, the number for each of these rows, and the
    /// range of ranks. With a batch of 1,024 that is one hard column to about 100 others.
    var hardRowCount = 5
    var hardCount = 2
    var hardRanks = 101...500

    var extraColumnsMax: Int {
        switch negatives {
        case .inBatch: 0
        case .mixed: uniformCount
        case .hard: hardRowCount * hardCount
        }
    }

    /// The corrections to subtract from the batch's own columns.
    func corrections(_ observation: Observation) -> [Float] {
        guard usesLogQ else { return [Float](repeating: 0, count: observation.batch.count) }
        guard negatives == .mixed, let share = observation.drawn.first?.probability else {
            return observation.batch.map { Float($0) }
        }
        let (batch, drawn) = (observation.batch.count, observation.drawn.count)
        return observation.batch.map { Float(Self.mixed($0, batch, uniform: share, drawn)) }
    }

    /// The extra columns of `mixed`, which count for all rows.
    func columns(_ observation: Observation) -> [ExtraColumn] {
        let (batch, drawn) = (observation.batch.count, observation.drawn.count)
        return observation.drawn.map {
            let correction = usesLogQ ? Self.mixed($0.logQ, batch, uniform: $0.probability, drawn) : 0
            return ExtraColumn(dependency: $0.dependency, correction: Float(correction))
        }
    }

    /// The extra columns of `hard`, which count for one row each.
    ///
    /// A hard column is not drawn by popularity, so log q does not apply to it. Its row draws h of the W items in the
    /// range of ranks, each with probability h/W. In a batch of B columns, an item is expected B·q times. h/W
    /// corresponds to B·q as h/(W·B) corresponds to q, so log(h/(W·B)) is subtracted. A hard column thus stands for W/h
    /// items. Items of the range that are also in the batch count twice, which is intended.
    func columns(_ hard: [[Int32]], batch: Int) -> [ExtraColumn] {
        let correction = Float(log(Double(hardCount) / Double(hardRanks.count * batch)))
        return hard.enumerated().flatMap { row, items in
            items.map { ExtraColumn(dependency: $0, correction: usesLogQ ? correction : 0, row: row) }
        }
    }

    /// log q* of an item, where q* = (B·q + B′/M) / (B + B′). q* is the probability of the item in one column of a
    /// mixed batch, whichever source the column has.
    static func mixed(_ logQ: Double, _ batch: Int, uniform: Double, _ drawn: Int) -> Double {
        log((Double(batch) * exp(logQ) + Double(drawn) * uniform) / Double(batch + drawn))
    }
}
