@testable import WireProtocol

/// A table with every kind of argument, option and tail.
enum TestVerbs {
    static let syntaxes: [VerbSyntax] = [
        VerbSyntax("PING"),
        VerbSyntax(
            "HELLO",
            [.version],
            options: [OptionSyntax(.vectors, .choice(["text", "f32"]), "text|f32", help: "spelling of vectors")]
        ),
        VerbSyntax("HELP", [.optionalWord("verb")]),
        VerbSyntax(
            "CREATE",
            [.collection],
            options: [
                OptionSyntax(.dim, .dimension, "n", isRequired: true, help: "numbers a vector"),
                OptionSyntax(.metric, .choice(["dot", "l2"]), "dot|l2", help: "metric"),
                OptionSyntax(
                    .alpha,
                    .number(expected: "above 0, at most 1") { $0 > 0 && $0 <= 1 },
                    "x",
                    help: "alpha"
                ),
            ]
        ),
        VerbSyntax("GET", [.collection], tail: .ids),
        VerbSyntax("PUT", [.collection, .id], tail: .vectorThenJSON),
        VerbSyntax("FSET", [.collection, .id], tail: .json),
        VerbSyntax("FGET", [.collection], options: [OptionSyntax(.fields, .keys, "a,b", help: "keys")], tail: .ids),
        VerbSyntax(
            "OBSERVE",
            [.collection, .step],
            options: [OptionSyntax(.seq, .writerSequence, "writer:n", help: "safe retries")],
            tail: .ids
        ),
        VerbSyntax("FREQSET", [.collection, .step], tail: .estimates),
        VerbSyntax(
            "TOPK",
            [.collection, .k],
            options: [
                OptionSyntax(.except, .ids, "id,...", help: "ids to leave out"),
                OptionSyntax(.with, .choices(["vector", "logq", "features"]), "vector,logq,features", help: "columns"),
                OptionSyntax(.like, .id, "id", isPartOfTail: true, help: "an item as query"),
            ],
            tail: .vectorOrLike
        ),
        VerbSyntax("SCORE", [.collection], tail: .vectorThenIDs),
        VerbSyntax(
            "SAMPLE",
            [.collection, .count],
            options: [
                OptionSyntax(.mix, .weights, "B:B'", help: "two weights"),
                OptionSyntax(.seed, .integer(0...UInt64.max), "s", help: "a seed"),
            ]
        ),
        VerbSyntax(
            "SCAN",
            [.collection],
            options: [
                OptionSyntax(.after, .integer(0...4_294_967_295), "row", help: "rows above"),
                OptionSyntax(.limit, .integer(1...16_384, isLimited: true), "n", help: "rows a page"),
            ]
        ),
    ]

    static func parser(idsMax: Int = 16_384) -> RequestParser {
        var limits = Limits()
        limits.idsMax = idsMax
        return RequestParser(syntaxes, limits: limits)
    }
}
