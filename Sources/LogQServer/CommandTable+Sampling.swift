import WireProtocol

/// The verb that draws negatives.
extension CommandTable {
    /// What makes an item likely.
    enum Distribution: String, CaseIterable, Sendable {
        case uniform, frequency, mixed, recent
    }

    static let distributions = Distribution.allCases
    private static let flags = ["true", "false"]

    static let sampling = [
        Command(
            VerbSyntax(
                "SAMPLE",
                [.collection, .count],
                options: [
                    OptionSyntax(
                        .by,
                        .choice(distributions.map(\.rawValue)),
                        distributions.map(\.rawValue).joined(separator: "|"),
                        help: "what makes an item likely: nothing (uniform, the default), its count, either, "
                            + "or its part in the latest observations"
                    ),
                    OptionSyntax(
                        .power,
                        .number(expected: "a number from 0 to 1") { $0 >= 0 && $0 <= 1 },
                        "x",
                        help: "by frequency or mixed: q is in proportion to count^x, 0 to 1, default 1"
                    ),
                    OptionSyntax(
                        .mix,
                        .weights,
                        "B:B'",
                        help: "by mixed: by frequency with probability B/(B+B'), else uniform"
                    ),
                    OptionSyntax(
                        .unique,
                        .choice(flags),
                        flags.joined(separator: "|"),
                        help: "no item twice, default false; after 100 n draws there are fewer rows"
                    ),
                    OptionSyntax(.except, .ids, "id,...", help: "ids that can't be drawn"),
                    OptionSyntax(
                        .seed,
                        .integer(0...UInt64.max),
                        "s",
                        help: "the same seed and the same collection give the same draw"
                    ),
                    OptionSyntax(
                        .with,
                        .choices(itemColumns),
                        itemColumns.joined(separator: ","),
                        help: "more columns; logq is what LOGQ answers, whatever was drawn by"
                    ),
                    timeout("t", "give up if the draw is not begun within so many milliseconds"),
                ]
            ),
            "draw n negatives, each with its probability",
            example: "SAMPLE songs 100 by=mixed power=0.75 mix=3:1 except=help! with=vector,logq",
            .sample(Commands.sample)
        )
    ]
}
