#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// How to draw from a `DrawTable` as it is now, less some rows: once a request, then as many draws as wanted.
///
/// Excluded rows are left out of every class by rank, so no draw ever hits one, and their counts are taken out of the
/// sums exactly: whatever share they held, the probabilities of the others add up to 1.
package struct DrawPlan: Sendable {
    private let table: DrawTable
    private let power: Double
    private let classes: [ClassPlan]
    /// Running sums over `classes`: of rows, and of the weights that bound their counts^power.
    private var rowsThrough: [Int] = []
    private var weightThrough: [Double] = []
    /// Counts are divided by 2^topExponent before they are raised to a power, so that none overflows.
    private var topExponent = 0
    /// Σ (count / 2^topExponent)^power over the rows with a count; 0 if there are none.
    private var sum = 0.0
    private let rowBound: Int
    /// With their counts.
    private let excluded: [UInt32: Double]
    /// At least one in so many of the numbers below `rowBound` must be a row that can be drawn, or looking for one by trial
    /// takes longer than finding it by rank.
    private static let numbersPerRowMax = 4

    private struct ClassPlan: Sendable {
        let number: Int
        let exponent: Int
        let rowCount: Int
        /// For the rank of the i-th excluded row of the class, that rank less i, ascending.
        let skips: [Int]
    }

    /// `excluded`: rows with their counts, each once; those that the table does not have are passed over.
    package init(_ table: DrawTable, excluding excluded: [(row: UInt32, count: Double)], power: Double) {
        self.table = table
        self.power = power
        self.excluded = Dictionary(uniqueKeysWithValues: excluded.lazy.map { ($0.row, $0.count) })
        rowBound = table.rowBound
        var ranks: [Int: [Int]] = [:]
        var moments: [Int: CountMoments] = [:]
        for (row, count) in excluded where table.contains(row) {
            let number = table.classNumber(of: row)
            ranks[number, default: []].append(table.rank(of: row))
            moments[number, default: CountMoments()].add(RowClass.significand(of: count))
        }
        let series = CountMoments.PowerSeries(power: power)
        var plans: [ClassPlan] = []
        var sums: [Double] = []
        for rowClass in table.classesInOrder {
            let skips = (ranks[rowClass.number] ?? []).sorted().enumerated().map { $1 - $0 }
            var rest = rowClass.moments
            if let out = moments[rowClass.number] { rest.subtract(out) }
            guard rest.count > 0 else { continue }
            plans.append(
                ClassPlan(
                    number: rowClass.number,
                    exponent: rowClass.exponent,
                    rowCount: rest.count,
                    skips: skips
                )
            )
            sums.append(rowClass.number == 0 ? 0 : rest.sum(series))
        }
        classes = plans
        topExponent = plans.last?.exponent ?? 0
        var (rowCount, weight) = (0, 0.0)
        for (plan, sum) in zip(plans, sums) {
            let scale = exp2(power * Double(plan.exponent - topExponent))
            rowCount += plan.rowCount
            if plan.number > 0 {
                weight += Double(plan.rowCount) * scale * exp2(power)
                self.sum += sum * scale
            }
            rowsThrough.append(rowCount)
            weightThrough.append(weight)
        }
    }

    /// M: how many rows can be drawn uniformly.
    package var rowCount: Int { rowsThrough.last ?? 0 }

    /// How many rows can be drawn by count.
    package var countedRowCount: Int { rowCount - (classes.first?.number == 0 ? classes[0].rowCount : 0) }

    /// The probability that a draw by count^power hits a row with this count, one that the plan has.
    package func probability(ofCount count: Double) -> Double {
        guard count > 0, sum > 0 else { return 0 }
        // Significand and exponent each for itself: counts may be further apart than a Double reaches, and their powers not.
        let scale = exp2(power * Double(Int(count.exponent) - topExponent))
        let weight = (power == 1 ? count.significand : power == 0 ? 1 : pow(count.significand, power)) * scale
        return min(1, weight / sum)
    }

    /// The plan with these rows excluded as well. `count` tells their counts.
    package func without(_ rows: Set<UInt32>, _ count: (UInt32) -> Double) -> DrawPlan {
        var all = excluded
        for row in rows { all[row] = count(row) }
        return DrawPlan(table, excluding: all.map { ($0, $1) }, power: power)
    }

    /// How likely a uniform draw from this plan is one that `rest`, a plan with fewer rows, could have made.
    package func uniformShare(of rest: DrawPlan) -> Double {
        rowCount == 0 ? 0 : Double(rest.rowCount) / Double(rowCount)
    }

    /// The same for a draw by count.
    package func countedShare(of rest: DrawPlan) -> Double {
        sum == 0 ? 0 : rest.sum * exp2(power * Double(rest.topExponent - topExponent)) / sum
    }

    /// A row, each as likely as the next. There must be one.
    package func uniformRow(_ random: inout DrawGenerator) -> UInt32 {
        if rowCount * Self.numbersPerRowMax >= rowBound {
            while true {
                let row = UInt32(random.below(rowBound))
                if table.contains(row), excluded.isEmpty || excluded[row] == nil { return row }
            }
        }
        let number = random.below(rowCount)
        let place = rowsThrough.partitioningIndex { $0 > number }
        return row(classes[place], number - (place == 0 ? 0 : rowsThrough[place - 1]))
    }

    /// A row with a count, as likely as count^power. There must be one. Tries twice at most on average.
    package func countedRow(_ random: inout DrawGenerator, _ count: (UInt32) -> Double) -> UInt32 {
        while true {
            let last = weightThrough.count - 1
            let weight = random.unit() * weightThrough[last]
            // The product may round up to the whole of it.
            let plan = classes[min(weightThrough.partitioningIndex { $0 > weight }, last)]
            let row = row(plan, random.below(plan.rowCount))
            if power == 0 { return row }
            let half = count(row).significand / 2
            if random.unit() < (power == 1 ? half : pow(half, power)) { return row }
        }
    }

    /// The row with so many rows of its class before it, the excluded ones not counted.
    private func row(_ plan: ClassPlan, _ place: Int) -> UInt32 {
        table.row(place + plan.skips.partitioningIndex { $0 > place }, ofClass: plan.number)
    }
}
