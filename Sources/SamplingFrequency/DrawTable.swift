#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The rows that can be drawn, so arranged that one is drawn in logarithmic time, uniformly or by count^power for any
/// power, from counts that change all the time.
///
/// A row stands in a *class*: those without a count, and one for each ⌊log₂ count⌋. Within such a class counts differ by
/// less than two, so drawing by count^power is: choose a class by (rows in it)·2^(power·(exponent + 1)), choose one of its
/// rows uniformly, accept it with probability (significand / 2)^power, which is at least a half; else begin again.
///
/// A class is no list. Each row has two bytes that name its class; a class has a Fenwick tree of how many of its rows
/// there are in each block of 256. "The r-th row of the class" is a descent in the tree and a look through a block.
/// So what is drawn depends on rows and counts alone, never on the order in which they came: a seed draws the same after
/// a restart. An update changes two bytes, and two trees when a count passes a power of two.
///
/// Not locked: the owner sees to it that nobody draws while it changes.
package struct DrawTable: Sendable {
    static let rowsInBlock = 256

    /// Of each row: 0, not there; else its class plus one.
    private var marks: [UInt16] = []
    /// The classes that have rows, in no order.
    private var classes: [RowClass] = []
    /// Where a class stands in `classes`, by number; −1: nowhere.
    private var places: [Int16] = []
    private var blockCount = 0

    /// How many rows can be drawn.
    package private(set) var rowCount = 0

    package init() {}

    package var byteCount: Int {
        (marks.count + places.count) * MemoryLayout<UInt16>.size
            + classes.count * (MemoryLayout<RowClass>.stride + blockCount * MemoryLayout<Int32>.size)
    }

    // MARK: - Changes

    /// Adds a row that is not there.
    package mutating func insert(_ row: UInt32, count: Double) {
        reserve(through: row)
        assert(marks[Int(row)] == 0, "row \(row) is there already")
        add(row, count)
        rowCount += 1
    }

    /// Takes a row out that is there with this count.
    package mutating func remove(_ row: UInt32, count: Double) {
        takeOut(row, count)
        marks[Int(row)] = 0
        rowCount -= 1
    }

    /// Changes the count of a row, if it is there.
    package mutating func update(_ row: UInt32, from old: Double, to new: Double) {
        guard Int(row) < marks.count, marks[Int(row)] != 0, old != new else { return }
        let number = RowClass.number(of: old)
        if number == RowClass.number(of: new) {
            classes[Int(places[number])].moments.replace(old.significand, with: new.significand)
        } else {
            takeOut(row, old)
            add(row, new)
        }
    }

    /// Measures all counts in an epoch that came so many epochs later: see `CountDecay.convert`. Costs a step a row.
    package mutating func rescale(byEpochs epochs: Int) {
        // More epochs than a few leave nothing but traces.
        let shift = CountDecay.epochExponent * min(epochs, RowClass.numberCount)
        guard shift > 0, !classes.isEmpty else { return }
        func moved(_ number: Int) -> Int { number == 0 ? 0 : max(RowClass.traceNumber, number - shift) }
        for index in marks.indices where marks[index] > 1 {
            marks[index] = UInt16(moved(Int(marks[index]) - 1) + 1)
        }
        let old = classes
        classes = []
        places = Array(repeating: -1, count: RowClass.numberCount)
        for rowClass in old {
            let number = moved(rowClass.number)
            let rowClass = rowClass.renumbered(number, isTrace: number > rowClass.number - shift)
            if places[number] < 0 {
                places[number] = Int16(classes.count)
                classes.append(rowClass)
            } else {
                classes[Int(places[number])].formUnion(rowClass)
            }
        }
    }

    package func contains(_ row: UInt32) -> Bool {
        Int(row) < marks.count && marks[Int(row)] != 0
    }

    /// Where the table keeps what it knows of a row: to ask the processor for, not to look at. Nil if it has no place yet.
    package func address(of row: UInt32) -> UnsafeRawPointer? {
        guard Int(row) < marks.count else { return nil }
        return marks.withUnsafeBytes { $0.baseAddress! + Int(row) * MemoryLayout<UInt16>.stride }
    }

    private mutating func add(_ row: UInt32, _ count: Double) {
        let number = RowClass.number(of: count)
        if places[number] < 0 {
            places[number] = Int16(classes.count)
            classes.append(RowClass(number: number, blockCount: blockCount))
        }
        classes[Int(places[number])].add(block: Int(row) / Self.rowsInBlock, count)
        marks[Int(row)] = UInt16(number + 1)
    }

    private mutating func takeOut(_ row: UInt32, _ count: Double) {
        let number = RowClass.number(of: count)
        assert(marks[Int(row)] == number + 1, "row \(row) is not there with count \(count)")
        let place = Int(places[number])
        classes[place].remove(block: Int(row) / Self.rowsInBlock, count)
        guard classes[place].moments.count == 0 else { return }
        // The last one moves into the gap.
        places[classes[classes.count - 1].number] = Int16(place)
        places[number] = -1
        classes.swapAt(place, classes.count - 1)
        classes.removeLast()
    }

    /// Makes room by doubling, so that growing costs little a row.
    private mutating func reserve(through row: UInt32) {
        let needed = Int(row) / Self.rowsInBlock + 1
        guard needed > blockCount else { return }
        if places.isEmpty { places = Array(repeating: -1, count: RowClass.numberCount) }
        blockCount = max(needed, 2 * blockCount)
        marks.append(contentsOf: repeatElement(0, count: blockCount * Self.rowsInBlock - marks.count))
        for place in classes.indices { classes[place].rows.grow(to: blockCount) }
    }

    // MARK: - Reading

    /// The classes that have rows, by number.
    var classesInOrder: [RowClass] { classes.sorted { $0.number < $1.number } }

    /// The class of a row that is there.
    func classNumber(of row: UInt32) -> Int { Int(marks[Int(row)]) - 1 }

    /// No row that is there is at or above this one, and the one before it is there; 0 if there is none.
    var rowBound: Int {
        let lastBlock = classes.map { $0.rows.find($0.moments.count - 1).place }.max()
        guard let lastBlock else { return 0 }
        let rows = marks[lastBlock * Self.rowsInBlock..<(lastBlock + 1) * Self.rowsInBlock]
        return rows.lastIndex { $0 != 0 }! + 1
    }

    /// The row that has `rank` rows of its class before it.
    func row(_ rank: Int, ofClass number: Int) -> UInt32 {
        let (block, rest) = classes[Int(places[number])].rows.find(rank)
        let mark = UInt16(number + 1)
        var remaining = rest
        return marks.withUnsafeBufferPointer { marks in
            // Runs of 64, which the compiler turns into a few wide compares, then the run that has it.
            var start = block * Self.rowsInBlock
            while true {
                var found: UInt16 = 0
                for index in start..<start + 64 { found &+= marks[index] == mark ? 1 : 0 }
                if remaining < Int(found) { break }
                remaining -= Int(found)
                start += 64
            }
            while true {
                if marks[start] == mark {
                    if remaining == 0 { return UInt32(start) }
                    remaining -= 1
                }
                start += 1
            }
        }
    }

    /// How many rows of its class stand before a row that is there.
    func rank(of row: UInt32) -> Int {
        let mark = marks[Int(row)]
        let block = Int(row) / Self.rowsInBlock
        let inBlock = marks[block * Self.rowsInBlock..<Int(row)].count { $0 == mark }
        return classes[Int(places[Int(mark) - 1])].rows.countBefore(block) + inBlock
    }
}

/// The rows whose counts have the same exponent, or those without a count.
struct RowClass: Sendable {
    /// Class 0: no count. Class e + 1023: counts in [2^e, 2^(e+1)).
    static let numberCount = 2_047

    static func number(of count: Double) -> Int {
        assert(count == 0 || count.isNormal, "got \(count), expected 0 or a normal number")
        return Int(count.exponentBitPattern)
    }

    let number: Int
    fileprivate(set) var rows: FenwickTree
    /// Of the significands; of class 0 only how many there are.
    fileprivate(set) var moments = CountMoments()

    fileprivate init(number: Int, blockCount: Int) {
        self.number = number
        rows = FenwickTree(count: blockCount)
    }

    /// Of the counts of a class above 0.
    var exponent: Int { number - 1_023 }

    fileprivate mutating func add(block: Int, _ count: Double) {
        rows.add(1, at: block)
        moments.add(Self.significand(of: count))
    }

    fileprivate mutating func remove(block: Int, _ count: Double) {
        rows.add(-1, at: block)
        moments.remove(Self.significand(of: count))
    }

    /// The same rows in another class; of what is only a trace, all with the smallest count.
    fileprivate func renumbered(_ number: Int, isTrace: Bool) -> RowClass {
        guard self.number > 0 else { return self }
        var rowClass = RowClass(number: number, blockCount: 0)
        rowClass.rows = rows
        rowClass.moments = isTrace ? CountMoments(ones: moments.count) : moments
        return rowClass
    }

    fileprivate mutating func formUnion(_ other: RowClass) {
        rows.add(other.rows)
        moments.add(other.moments)
    }

    /// The class of `leastNormalMagnitude`.
    static let traceNumber = 1

    /// That of no count is arbitrary, but always the same.
    static func significand(of count: Double) -> Double { count == 0 ? 1 : count.significand }
}

/// Counts by place, with the sum of all before a place, and the place that a sum is reached at, in logarithmic time
/// (Fenwick, 1994).
struct FenwickTree: Sendable {
    /// At i − 1: the sum of the `i & −i` counts that end at i.
    private var sums: [Int32]

    init(count: Int) {
        sums = Array(repeating: 0, count: count)
    }

    mutating func add(_ amount: Int32, at place: Int) {
        var index = place + 1
        while index <= sums.count {
            sums[index - 1] += amount
            index += index & -index
        }
    }

    /// Adds the counts of a tree with as many places.
    mutating func add(_ other: FenwickTree) {
        for index in sums.indices { sums[index] += other.sums[index] }
    }

    func countBefore(_ place: Int) -> Int {
        var index = place
        var sum = 0
        while index > 0 {
            sum += Int(sums[index - 1])
            index -= index & -index
        }
        return sum
    }

    /// The place at which the sum of all up to it passes `rank`, and how much of `rank` is left there.
    func find(_ rank: Int) -> (place: Int, rest: Int) {
        var place = 0
        var rest = rank
        var width = sums.isEmpty ? 0 : 1 << (Int.bitWidth - 1 - sums.count.leadingZeroBitCount)
        while width > 0 {
            if place + width <= sums.count, Int(sums[place + width - 1]) <= rest {
                rest -= Int(sums[place + width - 1])
                place += width
            }
            width /= 2
        }
        precondition(place < sums.count, "got rank \(rank), there are fewer rows")
        return (place, rest)
    }

    /// Appends places with a count of 0.
    mutating func grow(to count: Int) {
        let old = sums.count
        let total = countBefore(old)
        sums.append(contentsOf: repeatElement(0, count: count - old))
        // A new place sums some of the old ones if its stretch reaches back to them.
        for index in old..<count {
            let stretch = (index + 1) & -(index + 1)
            let first = index + 1 - stretch
            if first < old { sums[index] = Int32(total - countBefore(first)) }
        }
    }
}
