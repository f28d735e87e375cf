import SystemSupport

/// The rows that can be drawn, with their counts, which may change at any time. A draw is uniform or by count^power for
/// any power from 0 to 1, and takes logarithmic time.
///
/// Each row is in a *class*. There is one class for rows without a count, and one for each ⌊log₂ count⌋. Counts within
/// one of the latter differ by less than a factor of two. So a draw by count^power:
///
/// 1. chooses a class with weight (rows in it)·2^(power·(exponent + 1)),
/// 2. chooses one of its rows uniformly,
/// 3. accepts it with probability (significand / 2)^power, which is at least a half; otherwise begins again.
///
/// A class does not list its rows. Each row has two bytes that name its class. Each class has a Fenwick tree with the
/// number of its rows in each block of 256 rows. To find the r-th row of a class, a draw descends the tree and searches
/// one block. So a draw depends only on the rows and counts, not on the order in which they came. After a restart, a
/// seed draws the same. An update within a class changes only its moments. When a count passes a power of two, the
/// row's two bytes and two trees change.
///
/// There is no lock here: the owner must ensure that no thread draws during a change.
package struct WeightedRows: Sendable {
    static let rowsInBlock = 256

    /// For each row: the number of its class plus one; 0 if the row is absent.
    private var marks: [UInt16] = []
    /// The classes that have rows, in no particular order.
    private var classes: [RowClass] = []
    /// By class number: the index in `classes`; −1 if the class has no rows.
    private var places: [Int16] = []
    private var blockCount = 0

    /// The number of rows that can be drawn.
    package private(set) var rowCount = 0

    package init() {}

    package var byteCount: Int {
        (marks.count + places.count) * MemoryLayout<UInt16>.size
            + classes.count * (MemoryLayout<RowClass>.stride + blockCount * MemoryLayout<UInt32>.size)
    }

    /// The bytes by which `byteCount` grows when this row is inserted, besides those of a new class.
    package func growth(toHold row: UInt32) -> Int {
        let needed = Int(row) / Self.rowsInBlock + 1
        guard needed > blockCount else { return 0 }
        let added = max(needed, 2 * blockCount) - blockCount
        return added * (Self.rowsInBlock * MemoryLayout<UInt16>.size + classes.count * MemoryLayout<UInt32>.size)
            + (places.isEmpty ? RowClass.numberCount * MemoryLayout<UInt16>.size : 0)
    }

    // MARK: - Changes

    /// Adds a row that is absent.
    package mutating func insert(_ row: UInt32, count: Double) {
        reserve(through: row)
        assert(marks[Int(row)] == 0, "row \(row) is there already")
        add(row, count)
        rowCount += 1
    }

    /// Removes a row that is present with this count.
    package mutating func remove(_ row: UInt32, count: Double) {
        takeOut(row, count)
        marks[Int(row)] = 0
        rowCount -= 1
    }

    /// Changes the count of a row. Does nothing if the row is absent.
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

    /// Converts all counts to a later epoch, as `CountDecay.convert` does. Visits every row.
    package mutating func rescale(byEpochs epochs: Int) {
        // After a few epochs, all counts are the smallest normal number anyway.
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

    /// The address of the row's two bytes, for prefetching only. Nil if there are none yet.
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
        // Moves the last class to the index of the removed one.
        places[classes[classes.count - 1].number] = Int16(place)
        places[number] = -1
        classes.swapAt(place, classes.count - 1)
        classes.removeLast()
    }

    /// Makes room for a row. Doubles the size at least, so the average cost for a row is constant.
    private mutating func reserve(through row: UInt32) {
        let needed = Int(row) / Self.rowsInBlock + 1
        guard needed > blockCount else { return }
        if places.isEmpty { places = Array(repeating: -1, count: RowClass.numberCount) }
        blockCount = max(needed, 2 * blockCount)
        marks.append(contentsOf: repeatElement(0, count: blockCount * Self.rowsInBlock - marks.count))
        for place in classes.indices { classes[place].rows.grow(to: blockCount) }
    }

    // MARK: - Reading

    /// The classes that have rows, ordered by number.
    var classesInOrder: [RowClass] { classes.sorted { $0.number < $1.number } }

    /// The class of a row that is present.
    func classNumber(of row: UInt32) -> Int { Int(marks[Int(row)]) - 1 }

    /// The highest row that is present, plus one; 0 if there is none.
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
            // Counts matches in stretches of 64 rows, which the compiler vectorizes. Then searches the stretch that has
            // the row.
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

    /// The number of rows of the same class that precede this row, which must be present.
    func rank(of row: UInt32) -> Int {
        let mark = marks[Int(row)]
        let block = Int(row) / Self.rowsInBlock
        let inBlock = marks[block * Self.rowsInBlock..<Int(row)].count { $0 == mark }
        return classes[Int(places[Int(mark) - 1])].rows.countBefore(block) + inBlock
    }
}

/// The rows with counts of the same exponent, or the rows without a count.
struct RowClass: Sendable {
    /// Class 0: no count. Class e + 1023: counts in [2^e, 2^(e+1)).
    static let numberCount = 2_047

    static func number(of count: Double) -> Int {
        assert(count == 0 || count.isNormal, "got \(count), expected 0 or a normal number")
        return Int(count.exponentBitPattern)
    }

    let number: Int
    fileprivate(set) var rows: FenwickTree
    /// The moments of the significands. For class 0 only their number matters.
    fileprivate(set) var moments = CountMoments()

    fileprivate init(number: Int, blockCount: Int) {
        self.number = number
        rows = FenwickTree(count: blockCount)
    }

    /// The exponent of the counts; meaningless for class 0.
    var exponent: Int { number - 1_023 }

    fileprivate mutating func add(block: Int, _ count: Double) {
        rows.add(1, at: block)
        moments.add(Self.significand(of: count))
    }

    fileprivate mutating func remove(block: Int, _ count: Double) {
        rows.add(-1, at: block)
        moments.remove(Self.significand(of: count))
    }

    /// The same rows in another class. With `isTrace`, all get the smallest normal count.
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

    /// The class of the smallest normal count.
    static let traceNumber = 1

    /// For a count of 0 the result is arbitrary, but always the same.
    static func significand(of count: Double) -> Double { count == 0 ? 1 : count.significand }
}

/// An array of counts (Fenwick, 1994). Three operations take logarithmic time: changing a count, summing all counts
/// before a place, and finding the place at which a sum is exceeded.
struct FenwickTree: Sendable {
    /// sums[i − 1] is the sum of the `i & −i` counts that end at i. There are fewer than 2^32 rows.
    private var sums: [UInt32]

    init(count: Int) {
        sums = Array(repeating: 0, count: count)
    }

    mutating func add(_ amount: Int, at place: Int) {
        var index = place + 1
        while index <= sums.count {
            sums[index - 1] = UInt32(Int(sums[index - 1]) + amount)
            index += index & -index
        }
    }

    /// Adds the counts of a tree with the same number of places.
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

    /// The first place at which the sum of all counts up to and including it exceeds `rank`. `rest` is `rank` less the
    /// sum of the counts before that place.
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
        // A new element may also sum old places. It then begins with the sum of those.
        for index in old..<count {
            let stretch = (index + 1) & -(index + 1)
            let first = index + 1 - stretch
            if first < old { sums[index] = UInt32(total - countBefore(first)) }
        }
    }
}
