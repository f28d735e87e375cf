import ItemStore
import PackedStrings
import SamplingFrequency
import VectorIndex
import WireProtocol

/// Every verb, once. The parser, `HELP`, the arity errors and the test that holds PROTOCOL.md against the daemon all
/// read this table; the handlers stand in `Commands+*.swift`.
enum CommandTable {
    static let commands: [Command] = session + collections + items + features + frequencies + searches + sampling

    static let syntaxes = commands.map(\.syntax)

    static let metrics = Metric.allCases
    static let units = FrequencyUnit.allCases
    static let vectorFormats: [(name: String, format: VectorText.Format)] = [("text", .text), ("f32", .base64)]
    /// What an answer may tell of an item beside its id, in the order of a reply.
    static let itemColumns = ["vector", "logq", "features"]
    static let topKColumns = ["rank"] + itemColumns
    static let strategies = ["top", "random"]
    static let estimators = ["exact", "sketch"]
    static let sketchHashCountDefault = 4

    // MARK: Connection

    private static let session = [
        Command(VerbSyntax("PING"), "answer OK", example: "PING", .session { _, _, _ in .done }),
        Command(
            VerbSyntax(
                "HELLO",
                [.version],
                options: [
                    OptionSyntax(
                        .vectors,
                        .choice(vectorFormats.map(\.name)),
                        vectorFormats.map(\.name).joined(separator: "|"),
                        help: "how replies write vectors: text (the default), or base64 of float32"
                    )
                ]
            ),
            "name the protocol version, choose how replies write vectors, learn the limits",
            example: "HELLO 1 vectors=f32",
            .session(Commands.hello)
        ),
        Command(
            VerbSyntax("HELP", [.optionalWord("verb")]),
            "list the verbs, or explain one",
            example: "HELP TOPK",
            .session(Commands.help)
        ),
        Command(
            VerbSyntax("INFO", [.optionalWord("section")]),
            "what the daemon knows of itself; sections: " + Commands.infoSections.joined(separator: " "),
            example: "INFO memory",
            .read(Commands.info)
        ),
        Command(VerbSyntax("QUIT"), "answer OK and close the connection", example: "QUIT", .quit),
    ]

    // MARK: Collections

    private static let collections = [
        Command(
            VerbSyntax(
                "CREATE",
                [.collection],
                options: [
                    OptionSyntax(.dim, .dimension, "n", isRequired: true, help: "numbers in each vector, from 1"),
                    OptionSyntax(
                        .metric,
                        .choice(metrics.map(\.rawValue)),
                        metrics.map(\.rawValue).joined(separator: "|"),
                        help: "how vectors are scored, default dot"
                    ),
                    OptionSyntax(
                        .alpha,
                        .number(expected: "a number above 0 and at most 1") { $0 > 0 && $0 <= 1 },
                        "x",
                        help: "weight of a new gap in the estimate of p, above 0 and at most 1, default 0.01"
                    ),
                    OptionSyntax(
                        .halfLife,
                        .number(expected: "a finite number of 1 or more") { $0 >= 1 },
                        "steps",
                        help: "after so many steps a hit counts half for q; without it hits count 1 for ever"
                    ),
                    OptionSyntax(
                        .recent,
                        .integer(0...UInt64(CollectionConfiguration.recentCountMax)),
                        "n",
                        help: "observations that SAMPLE by=recent draws from, 0 to "
                            + "\(CollectionConfiguration.recentCountMax), "
                            + "default \(CollectionConfiguration.recentCountDefault)"
                    ),
                    OptionSyntax(
                        .maxIDs,
                        .integer(1...UInt64(UInt32.max)),
                        "n",
                        help:
                            "past so many ids, those seen longest ago give way, if nothing but a count is known of them"
                    ),
                    OptionSyntax(
                        .estimator,
                        .choice(estimators),
                        estimators.joined(separator: "|"),
                        help: "statistics for each id (exact, the default), or in fixed memory, for ids without number"
                    ),
                    OptionSyntax(
                        .buckets,
                        .integer(1...UInt64(SketchLayout.totalBucketCountMax), isLimited: true),
                        "n",
                        help: "of estimator=sketch: buckets of each hash, 32 bytes each; as many as usual ids, or more"
                    ),
                    OptionSyntax(
                        .hashes,
                        .integer(1...UInt64(SketchLayout.hashCountMax)),
                        "n",
                        help: "of estimator=sketch: hashes, 1 to \(SketchLayout.hashCountMax), "
                            + "default \(sketchHashCountDefault)"
                    ),
                    OptionSyntax(
                        .seed,
                        .integer(0...UInt64.max),
                        "n",
                        help: "of estimator=sketch: the same seed puts ids into the same buckets; default a secret one"
                    ),
                ]
            ),
            "make an empty collection",
            example: "CREATE songs dim=2 metric=cosine",
            .write(Commands.create)
        ),
        Command(
            VerbSyntax("DROP", [.collection]),
            "remove a collection with all that is in it",
            example: "DROP songs",
            .write { .drop(name: $0.collection) }
        ),
        Command(
            VerbSyntax("SWAP", [.firstCollection, .secondCollection]),
            "two collections exchange their names, for everybody at the same moment",
            example: "SWAP songs songs-next",
            .write(Commands.swap)
        ),
        Command(
            VerbSyntax("COLLECTIONS"),
            "list the collections",
            example: "COLLECTIONS",
            .read(Commands.collections)
        ),
    ]

    // MARK: Items and features

    private static let items = [
        Command(
            VerbSyntax("PUT", [.collection, .id], tail: .vectorThenJSON),
            "set the embedding of an item, and with JSON its features",
            example: "PUT songs yesterday [1,0.5] {\"year\":1965}",
            .write(Commands.put)
        ),
        Command(
            VerbSyntax("GET", [.collection], tail: .ids),
            "embeddings",
            example: "GET songs yesterday help!",
            .lookup(Commands.get)
        ),
        Command(
            VerbSyntax("DEL", [.collection], tail: .ids),
            "remove embedding, features and statistics of ids",
            example: "DEL songs yesterday",
            .change(Commands.delete)
        ),
        Command(
            VerbSyntax(
                "SCAN",
                [.collection],
                options: [
                    OptionSyntax(
                        .after,
                        .integer(0...UInt64(UInt32.max)),
                        "row",
                        help: "only rows above this one: the last of the page before"
                    ),
                    OptionSyntax(
                        .limit,
                        .integer(1...UInt64(Limits.scanRowsMax), isLimited: true),
                        "n",
                        help: "rows a page, 1 to \(Limits.scanRowsMax), default \(Limits.scanRowsDefault)"
                    ),
                ]
            ),
            "page through the ids that have an embedding",
            example: "SCAN songs after=999 limit=1000",
            .scan(Commands.scan)
        ),
    ]

    private static let features = [
        Command(
            VerbSyntax("FSET", [.collection, .id], tail: .json),
            "replace the features of an item, one JSON object",
            example: "FSET songs yesterday {\"year\":1965}",
            .write { .setFeatures(collection: $0.collection, id: Array($0.ids[0]), json: $0.json ?? []) }
        ),
        Command(
            VerbSyntax(
                "FGET",
                [.collection],
                options: [OptionSyntax(.fields, .keys, "a,b", help: "only these top-level keys")],
                tail: .ids
            ),
            "features",
            example: "FGET songs fields=year yesterday help!",
            .lookup(Commands.features)
        ),
    ]

    // MARK: Frequencies

    private static let batch = OptionSyntax(
        .batch,
        .integer(1...UInt64(1 << 31)),
        "n",
        help: "draws in a batch, for the expected count"
    )

    private static let unit = OptionSyntax(
        .unit,
        .choice(units.map(\.rawValue)),
        units.map(\.rawValue).joined(separator: "|"),
        help: "logarithm of q, per draw (the default); p, of being in a batch; or expected"
    )

    private static let strength = OptionSyntax(
        .strength,
        strengths,
        "x",
        help: "a factor for the logarithm, default 1"
    )

    private static let strengths = OptionSyntax.Values.number(expected: "a number from -1000 to 1000") {
        $0.magnitude <= 1_000
    }

    private static let frequencies = [
        Command(
            VerbSyntax(
                "OBSERVE",
                [.collection, .step],
                options: [
                    OptionSyntax(
                        .seq,
                        .writerSequence,
                        "writer:n",
                        help: "n rises with each request: retries are safe"
                    ),
                    OptionSyntax(
                        .returns,
                        .choice(["logq"]),
                        "logq",
                        help: "answer what LOGQ says of these ids right after; the options behind it are those of LOGQ"
                    ),
                    unit, batch, strength,
                ],
                tail: .ids
            ),
            "these ids were in the trainer's batch of this step; step - is the last one + 1",
            example: "OBSERVE songs 1041 seq=worker-1:17 return=logq unit=p yesterday help! yesterday",
            .change(Commands.observe)
        ),
        Command(
            VerbSyntax("FREQSET", [.collection, .step], tail: .estimates),
            "set a trainer's own estimates; - leaves a gap or a count as it is",
            example: "FREQSET songs 1041 yesterday 2.5 417 help! 80 -",
            .write(Commands.setFrequencies)
        ),
        Command(
            VerbSyntax(
                "LOGQ",
                [.collection],
                options: [unit, batch, strength],
                tail: .ids
            ),
            "what a trainer subtracts from its logits",
            example: "LOGQ songs unit=p yesterday help!",
            .lookup(Commands.logQ)
        ),
        Command(
            VerbSyntax("FREQ", [.collection], options: [batch], tail: .ids),
            "all that is known of the frequencies of ids",
            example: "FREQ songs batch=1024 yesterday",
            .lookup(Commands.frequencies)
        ),
    ]

    // MARK: Search

    static func timeout(_ placeholder: String, _ what: String) -> OptionSyntax {
        OptionSyntax(
            .timeoutMilliseconds,
            .integer(1...UInt64(Limits.timeoutMillisecondsMax)),
            placeholder,
            help: "\(what), 1 to \(Limits.timeoutMillisecondsMax), "
                + "default \(Limits.timeoutMillisecondsDefault) unless the daemon was started with another"
        )
    }

    private static let rank = OptionSyntax.Values.integer(1...UInt64(Int64.max))

    private static let searches = [
        Command(
            VerbSyntax(
                "TOPK",
                [.collection, .k],
                options: [
                    OptionSyntax(
                        .strength,
                        strengths,
                        "x",
                        help: "score x·log q less, so that what is sampled often ranks lower; default 0"
                    ),
                    OptionSyntax(
                        .rangeMin,
                        rank,
                        "a",
                        help: "the rank to begin with, counted from 1 at the best, default 1"
                    ),
                    OptionSyntax(.rangeMax, rank, "b", help: "the rank to end with, at the latest"),
                    OptionSyntax(
                        .radius,
                        .number(expected: "a finite number") { _ in true },
                        "r",
                        help: "only items that score so much or more"
                    ),
                    OptionSyntax(.except, .ids, "id,...", help: "ids to leave out, before ranks are counted"),
                    OptionSyntax(
                        .margin,
                        .number(expected: "a finite number of 0 or more") { $0 >= 0 },
                        "m",
                        help: "of these ranks only what scores m or more below the lowest of except="
                    ),
                    OptionSyntax(.sample, rank, "n", help: "n at most of what is left"),
                    OptionSyntax(
                        .strategy,
                        .choice(strategies),
                        strategies.joined(separator: "|"),
                        help: "which n: the best (the default), or any, each as likely as the next"
                    ),
                    OptionSyntax(
                        .seed,
                        .integer(0...UInt64.max),
                        "n",
                        help: "the same seed draws the same sample=, strategy=random"
                    ),
                    OptionSyntax(
                        .with,
                        .choices(topKColumns),
                        topKColumns.joined(separator: ","),
                        help: "more columns"
                    ),
                    timeout("n", "give up after so many milliseconds"),
                    OptionSyntax(
                        .like,
                        .id,
                        "id",
                        isPartOfTail: true,
                        help: "an item's embedding as the query, itself left out"
                    ),
                ],
                tail: .vectorOrLike
            ),
            "the k items with the highest scores, exactly",
            example: "TOPK songs 10 except=help! with=logq [0.1,0.2]",
            .search(Commands.topK)
        ),
        Command(
            VerbSyntax("SCORE", [.collection], tail: .vectorThenIDs),
            "scores of ids",
            example: "SCORE songs [0.1,0.2] yesterday help!",
            .lookup(Commands.score)
        ),
    ]
}

/// Which quantity `LOGQ` takes the logarithm of.
enum FrequencyUnit: String, CaseIterable, Sendable {
    case q, p, expected
}
