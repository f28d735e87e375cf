import ItemStore
import NIOCore
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
        return Lookup(Rows(collection: collection, correction: correction), rowBytes: Correction.rowBytes)
    }

    private struct Rows: LookupRows {
        let collection: Collection
        let correction: Correction

        func write(_ range: Range<Int>, of ids: PackedStrings, _ encoding: RowEncoding, into buffer: inout ByteBuffer) {
            var last = WrittenNumber()
            collection.forEachEstimate(of: ids, range) { id, estimate in
                correction.writeRow(id, estimate, encoding, into: &buffer, repeating: &last)
            }
        }
    }

    /// The rows that `unit=`, `batch=` and `strength=` ask for. `OBSERVE` replies with the same rows, from the
    /// estimates right after the observation.
    struct Correction {
        /// About how long a row is.
        static let rowBytes = 128

        private let unit: Unit
        /// 0 without `batch=`. Small, so that a lookup needs no allocation.
        private let batch: UInt32
        private let strength: Double

        init(_ request: Request) throws(WireError) {
            unit = request[LogQ.unit]
            batch = UInt32(request[LogQ.batch] ?? 0)
            strength = request[LogQ.strength]
            guard (unit == .expected) == (batch > 0) else {
                let got = batch == 0 ? "unit=expected without batch=" : "batch= with unit=\(unit.rawValue)"
                throw WireError(.badRequest, "got \(got), expected both unit=expected and batch=, or neither")
            }
        }

        func writeRow(
            _ id: UnsafeRawBufferPointer,
            _ estimate: FrequencyEstimate,
            _ encoding: RowEncoding,
            into buffer: inout ByteBuffer,
            repeating last: inout WrittenNumber
        ) {
            let bytesMax = IDText.textBytesMax(id.count) + 2 * RowCursor.numberBytesMax
            encoding.writeRow(RowShape(3), textBytesMax: bytesMax, into: &buffer) { row in
                row.id(id)
                row.number(value(estimate), repeating: &last)
                row.word(estimate.state.word)
            }
        }

        private func value(_ estimate: FrequencyEstimate) -> Double {
            let quantity =
                switch unit {
                case .q: estimate.q
                case .p: estimate.p
                case .expected: estimate.expected(batch: Double(batch))
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

extension FrequencyState {
    var word: StaticString {
        switch self {
        case .seen: "seen"
        case .once: "once"
        case .unseen: "unseen"
        case .stale: "stale"
        }
    }
}
