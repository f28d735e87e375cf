package import PackedStrings
import SystemSupport

/// Sorted keys to select from objects. One request may look for a thousand keys in thousands of objects with hundreds
/// of keys each. A binary search avoids a cost of the product of these three numbers.
package struct JSONKeys: Sendable {
    private let keys: PackedStrings

    /// `keys` must be unescaped.
    package init(_ keys: PackedStrings) {
        self.keys = PackedStrings((0..<keys.count).map { keys[$0] }.sorted { $0.lexicographicallyPrecedes($1) })
    }

    func contains(_ key: UnsafeRawBufferPointer) -> Bool {
        keys.withAllBytes { all in
            var low = 0
            var high = keys.count
            while low < high {
                let middle = (low + high) / 2
                let order = Self.order(UnsafeRawBufferPointer(rebasing: all[keys.range(middle)]), key)
                if order == 0 { return true }
                if order < 0 { low = middle + 1 } else { high = middle }
            }
            return false
        }
    }

    /// Compares bytewise. Negative if `left` sorts before `right`, zero if they are equal, positive otherwise.
    @inline(__always)
    private static func order(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
        let sharedCount = min(left.count, right.count)
        if sharedCount > 0 {
            let order = memcmp(left.baseAddress!, right.baseAddress!, sharedCount)
            if order != 0 { return Int(order) }
        }
        return left.count - right.count
    }
}
