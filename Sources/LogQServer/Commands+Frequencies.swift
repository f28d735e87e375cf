import Foundation
import ItemStore
import PackedStrings
import SamplingFrequency
import WireProtocol

/// Observations in, log Q out.
extension Commands {
    /// With `return=` the rows are those of `LOGQ`, from what the writer noted when the observation had been applied.
    static func observe(_ request: Request, _ services: Services) throws(WireError) -> Change {
        let ids = request.ids
        let returnsFrequencies = request.choice(.returns) != nil
        var change = Change(
            .observe(
                collection: request.collection,
                step: request.step,
                sequence: request.writerSequence(.seq).map { WriterSequence(writer: $0.writer, number: $0.number) },
                ids: ids,
                returnsFrequencies: returnsFrequencies
            )
        )
        guard returnsFrequencies else {
            for option in [OptionName.unit, .batch, .strength] where request.value(of: option) != nil {
                throw WireError(.badRequest, "got \(option.rawValue)= without return=, expected both or neither")
            }
            return change
        }
        let correction = try Correction(request)
        // A number takes 24 bytes at most, a state 6.
        change.answerByteCount =
            try answerByteCount(ids, rowBytes: 33, services) + ids.count * MemoryLayout<FrequencyRecord>.stride
        change.rows = { outcome in
            guard case .observed(let snapshot) = outcome else { return nil }
            return correction.lookup(ids) { snapshot.estimates($0) }
        }
        return change
    }

    static func setFrequencies(_ request: Request) -> Write {
        .setFrequencies(
            collection: request.collection,
            step: request.step,
            ids: request.ids,
            gaps: request.gaps,
            counts: request.counts
        )
    }

    static func logQ(_ request: Request, _ services: Services) throws(WireError) -> Lookup {
        let correction = try Correction(request)
        let collection = try services.collection(named: request.collection)
        let ids = request.ids
        return correction.lookup(ids) { collection.frequencies(of: ids, $0) }
    }

    /// What `unit=`, `batch=` and `strength=` ask for: the rows of `LOGQ`, wherever the estimates come from.
    private struct Correction {
        private let unit: FrequencyUnit
        private let batch: Double?
        private let strength: Double

        init(_ request: Request) throws(WireError) {
            unit = request.choice(.unit).map { CommandTable.units[$0] } ?? .q
            batch = request.integer(.batch).map { Double($0) }
            strength = request.number(.strength) ?? 1
            guard (unit == .expected) == (batch != nil) else {
                let got = batch == nil ? "unit=expected without batch=" : "batch= with unit=\(unit.rawValue)"
                throw WireError(.badRequest, "got \(got), expected both unit=expected and batch=, or neither")
            }
        }

        func lookup(_ ids: PackedStrings, _ estimates: @escaping (Range<Int>) -> [FrequencyEstimate]) -> Lookup {
            Lookup(rowCount: ids.count, rowsPerSlice: rowsPerSlice(rowBytes: 128)) {
                let estimates = estimates($0)
                return RowBlock(
                    count: $0.count,
                    [
                        Column(.ids(ids, from: $0.lowerBound)), Column(.numbers(estimates.map(value))),
                        states(estimates),
                    ]
                )
            }
        }

        private func value(_ estimate: FrequencyEstimate) -> Double {
            let quantity =
                switch unit {
                case .q: estimate.q
                case .p: estimate.p
                case .expected: estimate.expected(batch: batch ?? 1)
                }
            // Adding 0 turns -0, which a strength of 0 gives, into 0.
            return strength * log(quantity) + 0
        }
    }

    static func frequencies(_ request: Request, _ services: Services) throws(WireError) -> Lookup {
        let collection = try services.collection(named: request.collection)
        let batch = request.integer(.batch).map { Double($0) }
        let ids = request.ids
        return Lookup(rowCount: ids.count, rowsPerSlice: rowsPerSlice(rowBytes: 256)) {
            let estimates = collection.frequencies(of: ids, $0)
            return RowBlock(
                count: $0.count,
                [
                    Column(.ids(ids, from: $0.lowerBound)),
                    Column(.numbers(estimates.map(\.q)), label: "q"),
                    Column(.numbers(estimates.map(\.p)), label: "p"),
                    Column(
                        .numbers(estimates.map { estimate in batch.map(estimate.expected(batch:)) ?? .nan }),
                        label: "expected"
                    ),
                    Column(.numbers(estimates.map { $0.gap ?? .nan }), label: "gap"),
                    Column(.numbers(estimates.map(\.count)), label: "count"),
                    Column(.integers(estimates.map { $0.lastStep ?? -1 }), label: "last"),
                    states(estimates, label: "state"),
                ]
            )
        }
    }

    private static let stateWords: [StaticString] = ["seen", "once", "unseen", "stale"]

    private static func states(_ estimates: [FrequencyEstimate], label: StaticString? = nil) -> Column {
        let choices = estimates.map { estimate -> UInt8 in
            switch estimate.state {
            case .seen: 0
            case .once: 1
            case .unseen: 2
            case .stale: 3
            }
        }
        return Column(.choices(choices, among: stateWords), label: label)
    }
}
