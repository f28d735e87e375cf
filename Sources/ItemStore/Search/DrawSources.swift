import SamplingFrequency

/// A distribution of rows, from which rows can be drawn.
protocol DrawSource {
    /// The number of rows that can be drawn.
    var populationCount: Int { get }
    /// Draws a row. There must be a row that can be drawn.
    func draw(_ random: inout DrawGenerator) -> UInt32
    /// The probability that one draw hits this row, which must be one that can be drawn.
    func probability(of row: UInt32) -> Double
    /// This distribution without these rows, and the probability that a draw from this distribution hits none of them.
    func without(_ rows: Set<UInt32>) -> (rest: Self, share: Double)
}

struct UniformSource: DrawSource {
    let plan: DrawPlan
    let count: (UInt32) -> Double

    var populationCount: Int { plan.rowCount }

    func draw(_ random: inout DrawGenerator) -> UInt32 { plan.uniformRow(&random) }

    func probability(of row: UInt32) -> Double { uniformProbability(itemCount: plan.rowCount) }

    func without(_ rows: Set<UInt32>) -> (rest: UniformSource, share: Double) {
        let rest = plan.without(rows, count)
        return (UniformSource(plan: rest, count: count), plan.uniformShare(of: rest))
    }
}

struct FrequencySource: DrawSource {
    let plan: DrawPlan
    let count: (UInt32) -> Double

    var populationCount: Int { plan.countedRowCount }

    func draw(_ random: inout DrawGenerator) -> UInt32 { plan.countedRow(&random, count) }

    func probability(of row: UInt32) -> Double { plan.probability(ofCount: count(row)) }

    func without(_ rows: Set<UInt32>) -> (rest: FrequencySource, share: Double) {
        let rest = plan.without(rows, count)
        return (FrequencySource(plan: rest, count: count), plan.countedShare(of: rest))
    }
}

struct MixedSource: DrawSource {
    private let plan: DrawPlan
    private let count: (UInt32) -> Double
    /// The weights of draws by count and of uniform draws. Neither is below 0, and at least one is above 0. Only their
    /// ratio matters.
    private let byFrequency: Double
    private let uniform: Double

    init(plan: DrawPlan, count: @escaping (UInt32) -> Double, byFrequency: Double, uniform: Double) {
        self.plan = plan
        self.count = count
        // If no row has a count, all draws are uniform.
        let hasCounts = plan.countedRowCount > 0
        self.byFrequency = hasCounts ? byFrequency : 0
        self.uniform = hasCounts ? uniform : 1
    }

    /// The fraction of draws by count. Divides the weights first, because their sum may overflow.
    private var share: Double {
        let largest = max(byFrequency, uniform)
        return byFrequency / largest / (byFrequency / largest + uniform / largest)
    }

    var populationCount: Int { uniform > 0 ? plan.rowCount : plan.countedRowCount }

    func draw(_ random: inout DrawGenerator) -> UInt32 {
        random.unit() < share ? plan.countedRow(&random, count) : plan.uniformRow(&random)
    }

    func probability(of row: UInt32) -> Double {
        mixedProbability(
            q: plan.probability(ofCount: count(row)),
            byFrequency: byFrequency,
            uniform: uniform,
            itemCount: plan.rowCount
        )
    }

    func without(_ rows: Set<UInt32>) -> (rest: MixedSource, share: Double) {
        let rest = plan.without(rows, count)
        let byFrequency = share * plan.countedShare(of: rest)
        let uniform = (1 - share) * plan.uniformShare(of: rest)
        return (
            MixedSource(plan: rest, count: count, byFrequency: byFrequency, uniform: uniform), byFrequency + uniform
        )
    }
}

/// The distribution of the recent observations: each one is equally likely.
struct RecentSource: DrawSource {
    private let rows: [UInt32]
    private let occurrences: [UInt32: Int]

    /// `rows` has the row of each observation.
    init(_ rows: [UInt32]) {
        self.rows = rows
        var occurrences: [UInt32: Int] = [:]
        occurrences.reserveCapacity(rows.count)
        for row in rows { occurrences[row, default: 0] += 1 }
        self.occurrences = occurrences
    }

    var populationCount: Int { occurrences.count }

    func draw(_ random: inout DrawGenerator) -> UInt32 { rows[random.below(rows.count)] }

    func probability(of row: UInt32) -> Double { Double(occurrences[row]!) / Double(rows.count) }

    func without(_ excluded: Set<UInt32>) -> (rest: RecentSource, share: Double) {
        let rest = RecentSource(rows.filter { !excluded.contains($0) })
        return (rest, Double(rest.rows.count) / Double(rows.count))
    }
}

/// The result of a SAMPLE: the drawn rows and their probabilities.
struct Draws {
    /// Unique draws end after this many tries for each requested item.
    private static let triesPerItem = 100
    /// Drawn rows are removed from the source after more repetitions than there are drawn rows, and more than this.
    private static let repetitionCountMin = 16

    private(set) var rows: [UInt32] = []
    private(set) var probabilities: [Double] = []
    private var tries = 0
    private let wantedCount: Int
    private let isUnique: Bool

    init(_ query: SampleQuery, from source: some DrawSource, _ random: inout DrawGenerator) {
        wantedCount = query.count
        isUnique = query.isUnique
        guard source.populationCount > 0 else { return }
        if isUnique {
            drawUnique(from: source, &random)
        } else {
            for _ in 0..<wantedCount { append(source.draw(&random), source) }
        }
    }

    /// Draws different rows. If a draw repeats a row, it is rejected, and the next draw is tried.
    ///
    /// If a few rows have nearly all of the probability, each of the others would take thousands of tries. So after
    /// many repetitions, the drawn rows are removed from the source. From then on, the number of tries that would have
    /// hit them is drawn from its geometric distribution. The rows and the number of tries have the same distribution
    /// as if every try had been made.
    private mutating func drawUnique(from source: some DrawSource, _ random: inout DrawGenerator) {
        let triesMax = Self.triesPerItem * wantedCount
        var seen: Set<UInt32> = []
        var (rest, share) = (source, 1.0)
        var repetitionCount = 0
        // Ends when all rows are drawn.
        while rows.count < min(wantedCount, source.populationCount) {
            tries = min(tries + random.failures(beforeSuccessWith: share), triesMax)
            guard tries < triesMax else { return }
            tries += 1
            let row = rest.draw(&random)
            if seen.insert(row).inserted {
                append(row, source)
                continue
            }
            repetitionCount += 1
            if repetitionCount > max(Self.repetitionCountMin, rows.count) {
                (rest, share) = source.without(seen)
                repetitionCount = 0
            }
        }
    }

    private mutating func append(_ row: UInt32, _ source: some DrawSource) {
        rows.append(row)
        probabilities.append(source.probability(of: row))
    }

    /// By drawn row: the expected number of times that this request draws it.
    var expectedCounts: [Double] {
        probabilities.map { q in
            isUnique ? expectedCount(q: q, tries: tries) : expectedCount(q: q, draws: wantedCount)
        }
    }
}
