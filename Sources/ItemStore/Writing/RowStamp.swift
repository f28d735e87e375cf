/// Marks what the pending operations do with a row, in `RowReuse.stamp`: the serial of the group if one frees the row,
/// and the serial plus one if one changes it. Rows are marked as changed only if a cap needs to know that.
///
/// Serials are even, so the two marks never mix. Every commit changes the serial, so no mark has to be cleared. But
/// serials repeat after 2^31 groups, and an old mark could then look like a new one. So a row gets `none` when it is
/// handed out or when its deletion fails. No serial is 0. An old mark of a change only makes a group commit early.
enum RowStamp {
    static let none: UInt32 = 0
    static let firstSerial: UInt32 = 2

    static func freed(in serial: UInt32) -> UInt32 { serial }

    static func changed(in serial: UInt32) -> UInt32 { serial + 1 }

    static func serial(after serial: UInt32) -> UInt32 {
        serial &+ 2 == 0 ? firstSerial : serial &+ 2
    }
}

/// How a group changes the memory of collections when it is applied. Rows and the id table grow when a write is judged,
/// so they are not in here. Both sums may be too high: two writes to a row count as if each came alone.
struct PendingMemory {
    private(set) var growthByteCount = 0
    private(set) var freedByteCount = 0
    /// By collection: the number of rows that become free.
    private var freedRowCounts: [UInt32: Int] = [:]

    func freedRowCount(in collection: Collection) -> Int {
        freedRowCounts[collection.number] ?? 0
    }

    /// A negative change frees memory.
    mutating func noteChange(_ byteCount: Int) {
        growthByteCount += max(0, byteCount)
        freedByteCount += max(0, -byteCount)
    }

    mutating func noteFreedRow(in collection: Collection, byteCount: Int) {
        freedRowCounts[collection.number, default: 0] += 1
        freedByteCount += byteCount
    }
}

/// A row and the number of its collection, as a key.
struct CollectionRow: Hashable {
    let collection: UInt32
    let row: UInt32
}
