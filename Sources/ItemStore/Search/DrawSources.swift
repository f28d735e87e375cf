import SamplingFrequency

/// Where rows are drawn from, and how likely each is.
protocol DrawSource {
    /// How many different rows can be drawn.
    var populationCount: Int { get }
    /// A row. There must be one.
    func draw(_ random: inout DrawGenerator) -> UInt32
    /// The probability of a row that can be drawn.
    func probability(of row: UInt32) -> Double
    /// The same without these rows, and how likely a draw from this one is to hit none of them.
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
    /// Neither is below 0, and one is above; only their ratio counts.
    private let byFrequency: Double
    private let uniform: Double

    init(plan: DrawPlan, count: @escaping (UInt32) -> Double, byFrequency: Double, uniform: Double) {
        self.plan = plan
        self.count = count
        // Where nothing was counted, all draws are uniform.
        let hasCounts = plan.countedRowCount > 0
        self.byFrequency = hasCounts ? byFrequency : 0
        self.uniform = hasCounts ? uniform : 1
    }

    /// How many of the draws are by frequency. The weights may be so large that their sum overflows.
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

/// The bank of recent observations. Looks through it once a request.
struct RecentSource: DrawSource {
    private let rows: [UInt32]
    private let occurrences: [UInt32: Int]

    /// Of each observation the row.
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

/// What was drawn.
struct Draws {
    /// Unique draws give up after so many tries for each item wanted.
    private static let triesPerItem = 100
    /// Repetitions are taken out when there were more of them than of rows, and of this.
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

    /// An item that was drawn before is drawn again instead. Where a few items hold nearly all of the probability that would
    /// take thousands of tries for each of the others. So now and then what was drawn is taken out of the source, and how many
    /// tries would have hit it is itself drawn, from the geometric distribution that it has: rows and tries are as likely as
    /// if each try had been made.
    private mutating func drawUnique(from source: some DrawSource, _ random: inout DrawGenerator) {
        let triesMax = Self.triesPerItem * wantedCount
        var seen: Set<UInt32> = []
        var (rest, share) = (source, 1.0)
        var repetitionCount = 0
        // When all are drawn, no try will find another.
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

    var expectedCounts: [Double] {
        probabilities.map { q in
            isUnique ? expectedCount(q: q, tries: tries) : expectedCount(q: q, draws: wantedCount)
        }
    }
}
