import PackedStrings

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The ids that a query leaves out: thousands of them, asked for a few hundred times.
///
/// A table of places in the list, by hash, with linear probing. A `Set` of the ids themselves would take ten times as
/// long to build: an array slice each, hashed byte by byte.
struct ExcludedIDs {
    private let ids: PackedStrings
    /// Place in `ids` plus one; zero is empty. A power of two, at most half full.
    private var table: [UInt32] = []

    init(_ ids: PackedStrings) {
        self.ids = ids
        guard !ids.isEmpty else { return }
        var capacity = 4
        while capacity < 2 * ids.count { capacity *= 2 }
        table = [UInt32](repeating: 0, count: capacity)
        for index in 0..<ids.count {
            var entry = ids.withString(index) { home(of: $0) }
            while table[entry] != 0 { entry = (entry + 1) & (capacity - 1) }
            table[entry] = UInt32(index + 1)
        }
    }

    func contains(_ id: UnsafeRawBufferPointer) -> Bool {
        guard !table.isEmpty else { return false }
        var entry = home(of: id)
        while table[entry] != 0 {
            let isEqual = ids.withString(Int(table[entry]) - 1) { other in
                other.count == id.count && memcmp(other.baseAddress!, id.baseAddress!, id.count) == 0
            }
            if isEqual { return true }
            entry = (entry + 1) & (table.count - 1)
        }
        return false
    }

    private func home(of id: UnsafeRawBufferPointer) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: id)
        return hasher.finalize() & (table.count - 1)
    }
}
