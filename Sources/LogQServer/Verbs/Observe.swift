import ItemStore
import NIOCore
import PackedStrings
import SamplingFrequency
import WireProtocol

/// `OBSERVE` counts the ids of a trainer's batch. With `return=logq` it replies with the rows of `LOGQ`, read right
/// after the observation was applied.
enum Observe {
    enum Returned: String, CaseIterable, Sendable {
        case logq
    }

    static let sequence = OptionKey<SequenceNumber>(
        "seq",
        .sequenceNumber,
        help: "n rises with each request: retries are safe"
    )
    static let returned = OptionKey<Returned>(
        "return",
        .word,
        help: "answer what LOGQ says of these ids right after; the options behind it are those of LOGQ"
    )
    static let run = OptionKey<String>(
        "run",
        .runName,
        help: "the run of the trainer: the first step of a new one is the collection's next step"
    )
    static let jump = OptionKey<Bool>(
        "jump",
        .flag,
        help: "true: count the step as it is, however late or far ahead it is"
    )
    enum WhenFull: String, CaseIterable, Sendable {
        case refuse, skip
    }

    static let whenFull = DefaultedOptionKey<WhenFull>("full", .word, default: .refuse) {
        "no room for new ids: refuse all (\($0), the default), or skip the new ids and answer which"
    }
    private static let logQOptions: [VerbOption] = [LogQ.unit, LogQ.batch, LogQ.strength]

    static let verb = Verb(
        VerbSyntax(
            "OBSERVE",
            [.collection, .step],
            options: [sequence, run, jump, whenFull, returned] + logQOptions,
            tail: [.ids]
        ),
        "these ids were in the trainer's batch of this step; step - is the last one + 1",
        example: "OBSERVE songs 1041 seq=worker-1:17 return=logq unit=p yesterday help! yesterday",
        access: .write,
        .change(observe)
    )

    /// The step of a request, with `run=` and `jump=`.
    static func requestedStep(_ request: Request) -> RequestedStep {
        RequestedStep(request[.step], run: request[run] ?? "", isJump: request[jump] ?? false)
    }

    private static func observe(_ request: Request, _ services: Services) throws(WireError) -> Change {
        let ids = request[.ids]
        let returnsLogQ = request.has(returned)
        var change = Change(
            .observe(
                collection: request[.collection],
                step: requestedStep(request),
                sequence: request[sequence].map { ProducerSequence(producer: $0.producer, number: $0.number) },
                ids: ids,
                returnsFrequencies: returnsLogQ,
                skipsWhenFull: request[whenFull] == .skip
            )
        )
        guard returnsLogQ else {
            if let option = request.first(of: logQOptions) {
                throw WireError(.badRequest, "got \(option.name)= without return=, expected both or neither")
            }
            guard request[whenFull] == .skip else { return change }
            change.answerByteCount = try Change.answerByteCount(ids, rowBytes: 1, services)
            change.rows = skipped
            return change
        }
        let correction = try LogQ.Correction(request)
        // A row has a number of at most 24 bytes, a state of at most 6, two spaces and the LF.
        change.answerByteCount =
            try Change.answerByteCount(ids, rowBytes: 33, services) + ids.count * MemoryLayout<Statistics>.stride
        change.rows = { outcome in
            guard case .observed(let snapshot) = outcome else { return nil }
            let rows = ObservedRows(snapshot: snapshot, correction: correction)
            return (ids, Lookup(rows, rowBytes: LogQ.Correction.rowBytes))
        }
        return change
    }

    private struct ObservedRows: LookupRows {
        let snapshot: FrequencySnapshot
        let correction: LogQ.Correction

        func write(_ range: Range<Int>, of ids: PackedStrings, _ encoding: RowEncoding, into buffer: inout ByteBuffer) {
            var last = WrittenNumber()
            for index in range {
                let estimate = snapshot.estimate(index)
                ids.withString(index) { correction.writeRow($0, estimate, encoding, into: &buffer, repeating: &last) }
            }
        }
    }

    /// One row for each id that was not counted.
    private static func skipped(_ outcome: WriteOutcome) -> (PackedStrings, Lookup)? {
        guard case .counted(let ids) = outcome else { return nil }
        return (ids, Lookup(IDRows(), rowBytes: 16))
    }

    private struct IDRows: LookupRows {
        func write(_ range: Range<Int>, of ids: PackedStrings, _ encoding: RowEncoding, into buffer: inout ByteBuffer) {
            for index in range {
                ids.withString(index) { id in
                    let bytesMax = IDText.textBytesMax(id.count)
                    encoding.writeRow(RowShape(1), textBytesMax: bytesMax, into: &buffer) { row in row.id(id) }
                }
            }
        }
    }
}
