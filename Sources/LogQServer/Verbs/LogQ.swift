import ItemStore
import PackedStrings
import SamplingFrequency
import SystemSupport
import WireProtocol

/// `LOGQ` returns the logarithms of sampling frequencies, which a trainer subtracts from its logits.
enum LogQ {
    /// The quantity whose logarithm the reply has.
    enum Unit: String, CaseIterable, Sendable {
        case q, p, expected
    }

    static let unit = DefaultedOptionKey<Unit>("unit", .word, default: .q) {
        "logarithm of \($0), per draw (the default); p, of being in a batch; or expected"
    }
    static let batch = OptionKey<Int>("batch", .integer(1...1 << 31), help: "draws in a batch, for the expected count")
    static let strength = DefaultedOptionKey<Double>("strength", .strength, default: 1) {
        "a factor for the logarithm, default \($0)"
    }

    static let verb = Verb(
        VerbSyntax("LOGQ", [.collection], options: [unit, batch, strength], tail: [.ids]),
        "what a trainer subtracts from its logits",
        example: "LOGQ songs unit=p yesterday help!",
        access: .read,
        .lookup(logQ)
    )

    private static func logQ(_ request: Request, _ services: Services) throws(WireError) -> Lookup {
        let correction = try Correction(request)
        let collection = try services.collection(named: request[.collection])
        let ids = request[.ids]
        return correction.lookup(ids) { collection.frequencies(of: ids, $0) }
    }

    /// The rows that `unit=`, `batch=` and `strength=` ask for. `OBSERVE` replies with the same rows, from the
    /// estimates right after the observation.
    struct Correction {
        private let unit: Unit
        private let batch: Double?
        private let strength: Double

        init(_ request: Request) throws(WireError) {
            unit = request[LogQ.unit]
            batch = request[LogQ.batch].map { Double($0) }
            strength = request[LogQ.strength]
            guard (unit == .expected) == (batch != nil) else {
                let got = batch == nil ? "unit=expected without batch=" : "batch= with unit=\(unit.rawValue)"
                throw WireError(.badRequest, "got \(got), expected both unit=expected and batch=, or neither")
            }
        }

        func lookup(_ ids: PackedStrings, _ estimates: @escaping (Range<Int>) -> [FrequencyEstimate]) -> Lookup {
            Lookup(ids, rowBytes: 128) {
                let estimates = estimates($0)
                return [$1, Column(.numbers(estimates.map(value))), Column(states: estimates)]
            }
        }

        private func value(_ estimate: FrequencyEstimate) -> Double {
            let quantity =
                switch unit {
                case .q: estimate.q
                case .p: estimate.p
                case .expected: estimate.expected(batch: batch ?? 1)
                }
            // A strength of 0 may give -0. Adding 0 turns it into 0.
            return strength * logFrequency(quantity) + 0
        }
    }
}

extension ValueGrammar<Double> {
    /// A factor for log q.
    static var strength: ValueGrammar {
        .number(expected: "a number from -1000 to 1000") { $0.magnitude <= 1_000 }
    }
}

extension Column {
    private static let stateWords: [StaticString] = ["seen", "once", "unseen", "stale"]

    /// The state of each estimate as a word.
    init(states estimates: [FrequencyEstimate], label: StaticString? = nil) {
        let choices = estimates.map { estimate -> UInt8 in
            switch estimate.state {
            case .seen: 0
            case .once: 1
            case .unseen: 2
            case .stale: 3
            }
        }
        self.init(.choices(choices, among: Self.stateWords), label: label)
    }
}
