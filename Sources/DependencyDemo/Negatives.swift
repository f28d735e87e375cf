/// Where a step's negatives come from, and what is subtracted from their logits.
///
/// - in-batch: the other pairs of the batch.
/// - mixed: those, and some of all items alike (Yang et al., WWW 2020): the many items that hardly ever stand in a batch
///   are negatives, too.
/// - hard: those, and for some rows a few items that the model ranks high already, but not highest (Facebook's search,
///   KDD 2020).
internal import Foundation

package enum Negatives: String, CaseIterable, Sendable {
    case inBatch = "in-batch"
    case mixed
    case hard
}

/// How many negatives, and what is subtracted from their logits.
struct NegativeSampling: Sendable {
    let negatives: Negatives
    /// Whether corrections are subtracted. They are asked for either way, so that both runs do the same work.
    let usesLogQ: Bool
    /// mixed: B′, the items drawn uniformly.
    var uniformCount = 512
    /// hard: the rows of a step that get some, how many each, and the ranks that these come from. With a batch of 1,024
    /// that is one hard column to about 100 easy ones.
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

    /// What is subtracted from the batch's own columns.
    func corrections(_ observation: Observation) -> [Float] {
        guard usesLogQ else { return [Float](repeating: 0, count: observation.batch.count) }
        guard negatives == .mixed, let share = observation.drawn.first?.probability else {
            return observation.batch.map { Float($0) }
        }
        let (batch, drawn) = (observation.batch.count, observation.drawn.count)
        return observation.batch.map { Float(Self.mixed($0, batch, uniform: share, drawn)) }
    }

    /// Columns for all rows.
    func columns(_ observation: Observation) -> [ExtraColumn] {
        let (batch, drawn) = (observation.batch.count, observation.drawn.count)
        return observation.drawn.map {
            let correction = usesLogQ ? Self.mixed($0.logQ, batch, uniform: $0.probability, drawn) : 0
            return ExtraColumn(dependency: $0.dependency, correction: Float(correction))
        }
    }

    /// Columns for one row each.
    ///
    /// A hard column is not drawn by popularity, so log q of the stream is not its own. Its row draws h of the W items in
    /// the range of ranks, each with probability h/W, where an item is in a batch of B columns B·q times: h/W is to B·q
    /// as h/(W·B) is to q, and that one's logarithm is subtracted. So a hard column stands for W/h items. Items of the
    /// range that the batch holds as well count twice: that is the weight these negatives are for.
    func columns(_ hard: [[Int32]], batch: Int) -> [ExtraColumn] {
        let correction = Float(log(Double(hardCount) / Double(hardRanks.count * batch)))
        return hard.enumerated().flatMap { row, items in
            items.map { ExtraColumn(dependency: $0, correction: usesLogQ ? correction : 0, row: row) }
        }
    }

    /// log q* of an item, q* = (B·q + B′/M) / (B + B′): its probability in one column of a mixed batch, wherever the
    /// column comes from.
    static func mixed(_ logQ: Double, _ batch: Int, uniform: Double, _ drawn: Int) -> Double {
        log((Double(batch) * exp(logQ) + Double(drawn) * uniform) / Double(batch + drawn))
    }
}
