import ItemStore
import SamplingFrequency
import VectorIndex
import WireProtocol

/// `CREATE` makes an empty collection with a configuration that cannot change later.
enum Create {
    enum Estimator: String, CaseIterable, Sendable {
        case exact, sketch
    }

    static let dimension = OptionKey<Int>(
        "dim",
        .integer(upTo: { $0.dimensionMax }),
        help: "numbers in each vector, from 1; required without like="
    )
    static let like = OptionKey<String>(
        "like",
        .collection,
        help: "take the parameters of this collection, the seed of a sketch too; dim= and metric= may differ"
    )
    static let metric = DefaultedOptionKey<Metric>("metric", .word, default: .dot) {
        "how vectors are scored, default \($0)"
    }
    static let alpha = DefaultedOptionKey<Double>(
        "alpha",
        .number(expected: "a number above 0 and at most 1") { $0 > 0 && $0 <= 1 },
        default: CollectionConfiguration.alphaDefault
    ) {
        "weight of a new gap in the estimate of p, above 0 and at most 1, default \($0)"
    }
    static let halfLife = OptionKey<Double>(
        "half_life",
        .number(expected: "a finite number of 1 or more") { $0 >= 1 },
        "steps",
        help: "after so many steps a hit counts half for q; without it hits count 1 for ever"
    )
    static let recent = DefaultedOptionKey<Int>(
        "recent",
        .integer(0...CollectionConfiguration.recentCountMax),
        default: CollectionConfiguration.recentCountDefault
    ) {
        "observations that SAMPLE by=recent draws from, 0 to \(CollectionConfiguration.recentCountMax), default \($0)"
    }
    static let maxIDs = OptionKey<Int>(
        "max_ids",
        .integer(1...Int(UInt32.max)),
        help: "past so many ids, those seen longest ago give way, if nothing but a count is known of them"
    )
    static let estimator = DefaultedOptionKey<Estimator>("estimator", .word, default: .exact) {
        "statistics for each id (\($0), the default), or in fixed memory, for an unbounded number of ids"
    }
    static let buckets = OptionKey<Int>(
        "buckets",
        .integer(1...SketchLayout.totalBucketCountMax, isLimited: true),
        help: "of estimator=sketch: buckets of each hash, 40 bytes each; at least the usual number of ids"
    )
    static let hashes = DefaultedOptionKey<Int>("hashes", .integer(1...SketchLayout.hashCountMax), default: 4) {
        "of estimator=sketch: hashes, 1 to \(SketchLayout.hashCountMax), default \($0)"
    }
    static let seed = OptionKey<UInt64>(
        "seed",
        .integer(0...UInt64.max),
        help: "of estimator=sketch: the same seed puts ids into the same buckets; default a secret one"
    )
    static let ifMissing = DefaultedOptionKey<Bool>("if_missing", .flag, default: false) {
        "accept a collection of that name if it has the same parameters, default \($0)"
    }

    static let verb = Verb(
        VerbSyntax(
            "CREATE",
            [.collection],
            options: [
                dimension, like, metric, alpha, halfLife, recent, maxIDs, estimator, buckets, hashes, seed, ifMissing,
            ]
        ),
        "make an empty collection",
        example: "CREATE songs dim=2 metric=cosine",
        access: .admin,
        .write(create)
    )

    private static func create(_ request: Request) throws(WireError) -> Write {
        let acceptsEqual: Write.IfExists =
            request.has(seed) || request.has(like) ? .acceptEqual : .acceptEqualWithAnySeed
        let ifExists = request[ifMissing] ? acceptsEqual : .refuse
        if let like = request[like] {
            return try create(request, like: like, ifExists)
        }
        guard let dimension = request[dimension] else {
            throw WireError(.badRequest, "got no dim=, expected dim= or like=")
        }
        return .create(
            name: request[.collection],
            CollectionConfiguration(
                dimension: dimension,
                metric: request[metric],
                alpha: request[alpha],
                halfLife: request[halfLife],
                recentCount: request[recent],
                idCountMax: request[maxIDs],
                sketch: try sketch(request)
            ),
            ifExists: ifExists
        )
    }

    private static func create(
        _ request: Request,
        like: String,
        _ ifExists: Write.IfExists
    ) throws(WireError) -> Write {
        if let option = request.first(of: [alpha, halfLife, recent, maxIDs, estimator, buckets, hashes, seed]) {
            throw WireError(.badRequest, "got \(option.name)= with like=, which takes it from '\(like)'")
        }
        return .createLike(
            name: request[.collection],
            like: like,
            dimension: request[dimension],
            metric: request.has(metric) ? request[metric] : nil,
            ifExists: ifExists
        )
    }

    /// The layout of the requested sketch. Nil for exact statistics.
    private static func sketch(_ request: Request) throws(WireError) -> SketchLayout? {
        guard request[estimator] == .sketch else {
            if let option = request.first(of: [buckets, hashes, seed]) {
                throw WireError(.badRequest, "got \(option.name)= without estimator=sketch")
            }
            return nil
        }
        guard let bucketCount = request[buckets] else {
            throw WireError(.badRequest, "got estimator=sketch without buckets=, which is its memory")
        }
        if let option = request.first(of: [recent, maxIDs]) {
            throw WireError(.badRequest, "got \(option.name)= with estimator=sketch, which has no list of ids")
        }
        let hashCount = request[hashes]
        guard SketchLayout.isPossible(bucketCount: bucketCount, hashCount: hashCount) else {
            let most = SketchLayout.totalBucketCountMax / hashCount
            throw WireError(
                .limit,
                "got buckets=\(bucketCount), expected at most \(most) for each of \(hashCount) hashes"
            )
        }
        let seed = request[seed] ?? .random(in: 0...UInt64.max)
        return SketchLayout(bucketCount: bucketCount, hashCount: hashCount, seed: seed)
    }
}
