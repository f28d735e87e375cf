import PackedStrings

@testable import WireProtocol

/// A list of verbs with every kind of argument and option.
enum TestVerbs {
    enum Metric: String, CaseIterable, Sendable {
        case dot, l2
    }

    enum Column: String, CaseIterable, Sendable {
        case vector, logq, features
    }

    static let vectors = DefaultedOptionKey<VectorText.Format>("vectors", .oneOf([.text, .base64]), default: .text) {
        "default \($0)"
    }
    static let word = VerbArgument.optionalWord("verb")
    static let dim = RequiredOptionKey<Int>("dim", .integer(upTo: { $0.dimensionMax }), help: "numbers a vector")
    static let metric = DefaultedOptionKey<Metric>("metric", .word, default: .dot) { "default \($0)" }
    static let alpha = DefaultedOptionKey<Double>(
        "alpha",
        .number(expected: "above 0, at most 1") { $0 > 0 && $0 <= 1 },
        default: 0.01
    ) {
        "default \($0)"
    }
    static let fields = OptionKey<PackedStrings>("fields", .keys, help: "keys")
    static let sequence = OptionKey<SequenceNumber>("seq", .sequenceNumber, help: "safe retries")
    static let k = VerbArgument.count("k") { $0.kMax }
    static let except = DefaultedOptionKey<PackedStrings>("except", .ids, default: PackedStrings()) { _ in "ids" }
    static let with = DefaultedOptionKey<[Column]>("with", .someOf(Column.allCases), default: []) { _ in "columns" }
    static let like = OptionKey<[UInt8]>("like", .id, isPartOfTail: true, help: "an item as query")
    static let query = VerbArgument.vector(or: like)
    static let count = VerbArgument.count("n") { min($0.idsMax, Limits.drawsMax) }
    static let mix = OptionKey<Weights>("mix", .weights, help: "two weights")
    static let unique = DefaultedOptionKey<Bool>("unique", .flag, default: false) { "default \($0)" }
    static let seed = OptionKey<UInt64>("seed", .integer(0...UInt64.max), "s", help: "a seed")
    static let after = OptionKey<UInt32>("after", .integer(0...UInt32.max), "row", help: "rows above")
    static let limit = OptionKey<Int>("limit", .integer(1...16_384, isLimited: true), help: "rows a page")
    static let first = VerbArgument.collection(usage: "a")
    static let second = VerbArgument.otherCollection(usage: "b")

    static let syntaxes: [VerbSyntax] = [
        VerbSyntax("PING"),
        VerbSyntax("HELLO", [.version], options: [vectors]),
        VerbSyntax("HELP", [word]),
        VerbSyntax("CREATE", [.collection], options: [dim, metric, alpha]),
        VerbSyntax("SWAP", [first, second]),
        VerbSyntax("GET", [.collection], tail: [.ids]),
        VerbSyntax("PUT", [.collection, .id], tail: [.vector, .optionalJSON]),
        VerbSyntax("FSET", [.collection, .id], tail: [.json]),
        VerbSyntax("FGET", [.collection], options: [fields], tail: [.ids]),
        VerbSyntax("OBSERVE", [.collection, .step], options: [sequence], tail: [.ids]),
        VerbSyntax("FREQSET", [.collection, .step], tail: [.estimates]),
        VerbSyntax("TOPK", [.collection, k], options: [except, with, like], tail: [query]),
        VerbSyntax("SCORE", [.collection], tail: [.vector, .ids]),
        VerbSyntax("SAMPLE", [.collection, count], options: [mix, unique, seed]),
        VerbSyntax("SCAN", [.collection], options: [after, limit]),
    ]

    static func parser(idsMax: Int = 16_384) -> RequestParser {
        var limits = Limits()
        limits.idsMax = idsMax
        return RequestParser(syntaxes, limits: limits)
    }

    static func parse(_ words: inout some WordSource, idsMax: Int = 16_384) throws(WireError) -> Request {
        do throws(RefusedRequest) {
            return try parser(idsMax: idsMax).parse(&words)
        } catch {
            throw error.error
        }
    }
}
