import SystemSupport

/// Draws from the present state of a `WeightedRows`, without some excluded rows. A request makes one plan, which serves
/// all of its draws.
///
/// Excluded rows are skipped by their ranks within each class, so no draw ever hits one. Their counts are subtracted
/// from the sums exactly. So the probabilities of the other rows sum to 1, however large the excluded share is.
package struct DrawPlan: Sendable {
    private let table: WeightedRows
    private let power: Double
    private let classes: [ClassPlan]
    /// Cumulative sums over `classes`: of the numbers of rows, and of the upper bounds of Σ count^power.
    private var rowsThrough: [Int] = []
    private var weightThrough: [Double] = []
    /// Counts are divided by 2^topExponent before they are raised to the power, so that nothing overflows.
    private var topExponent = 0
    /// Σ (count / 2^topExponent)^power over the rows that have a count; 0 if there are none.
    private var sum = 0.0
    private let rowBound: Int
    /// The excluded rows with their counts.
    private let excluded: [UInt32: Double]
    /// If `rowBound` is at most this many times the number of rows, drawing by trial is faster than finding a row by
    /// rank.
    private static let numbersPerRowMax = 4

    private struct ClassPlan: Sendable {
        let number: Int
        let exponent: Int
        let rowCount: Int
        /// For the i-th excluded row of the class: its rank less i. Ascending.
        let skips: [Int]
    }

    /// `excluded` has different rows, with their counts. Rows that the table does not contain are ignored.
    package init(_ table: WeightedRows, excluding excluded: [(row: UInt32, count: Double)], power: Double) {
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

    /// M: the number of rows that can be drawn uniformly.
    package var rowCount: Int { rowsThrough.last ?? 0 }

    /// The number of rows that can be drawn by count.
    package var countedRowCount: Int { rowCount - (classes.first?.number == 0 ? classes[0].rowCount : 0) }

    /// The probability that a draw by count^power hits a given row with this count. The row must not be excluded.
    package func probability(ofCount count: Double) -> Double {
        guard count > 0, sum > 0 else { return 0 }
        // The significand and the exponent are raised to the power separately. The ratio of two counts may exceed the
        // range of a Double, although the ratio of their powers does not.
        let scale = exp2(power * Double(Int(count.exponent) - topExponent))
        let weight = (power == 1 ? count.significand : power == 0 ? 1 : pow(count.significand, power)) * scale
        return min(1, weight / sum)
    }

    /// This plan with more excluded rows. `count` returns the count of a row.
    package func without(_ rows: Set<UInt32>, _ count: (UInt32) -> Double) -> DrawPlan {
        var all = excluded
        for row in rows { all[row] = count(row) }
        return DrawPlan(table, excluding: all.map { ($0, $1) }, power: power)
    }

    /// The probability that a uniform draw from this plan hits a row of `rest`, which is this plan with more excluded
    /// rows.
    package func uniformShare(of rest: DrawPlan) -> Double {
        rowCount == 0 ? 0 : Double(rest.rowCount) / Double(rowCount)
    }

    /// The same for a draw by count^power.
    package func countedShare(of rest: DrawPlan) -> Double {
        sum == 0 ? 0 : rest.sum * exp2(power * Double(rest.topExponent - topExponent)) / sum
    }

    /// Draws a row; all are equally likely. The plan must have a row.
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

    /// Draws a row with probability proportional to count^power. The plan must have a row with a count. This takes at
    /// most two tries on average.
    package func countedRow(_ random: inout DrawGenerator, _ count: (UInt32) -> Double) -> UInt32 {
        while true {
            let last = weightThrough.count - 1
            let weight = random.unit() * weightThrough[last]
            // The product may be rounded up to the total weight.
            let plan = classes[min(weightThrough.partitioningIndex { $0 > weight }, last)]
            let row = row(plan, random.below(plan.rowCount))
            if power == 0 { return row }
            let half = count(row).significand / 2
            if random.unit() < (power == 1 ? half : pow(half, power)) { return row }
        }
    }

    /// The row at this rank in its class; excluded rows have no rank.
    private func row(_ plan: ClassPlan, _ place: Int) -> UInt32 {
        table.row(place + plan.skips.partitioningIndex { $0 > place }, ofClass: plan.number)
    }
}
