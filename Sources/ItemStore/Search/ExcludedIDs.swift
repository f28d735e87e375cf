import PackedStrings
import SystemSupport

/// The ids that a query excludes. There may be thousands, and a search looks up a few hundred ids in them.
///
/// A hash table of indices into the list, with linear probing. A `Set` would take ten times as long to build, because
/// it needs an array slice for each id and hashes it byte by byte.
struct ExcludedIDs {
    private let ids: PackedStrings
    /// An entry is an index in `ids` plus one, or 0 if it is free. The size is a power of two, and at most half of the
    /// entries are used.
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
