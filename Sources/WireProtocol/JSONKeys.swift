package import PackedStrings

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Keys to select from objects, sorted. One request may compare a thousand of them with each of the hundreds of keys of
/// each of thousands of objects: that must not be the product of all three.
package struct JSONKeys: Sendable {
    private let keys: PackedStrings

    /// `keys` are unescaped.
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

    /// Below, equal to or above 0, as `left` is to `right` bytewise.
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
