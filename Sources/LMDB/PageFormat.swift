/// The bytes of LMDB's pages, versions 0.9 and later with data version 1, on a machine with 64-bit pointers. Integers
/// have the byte order of the machine, and both supported architectures are little-endian.
///
///     page:    number 8 | unused 2 | flags 2 | end of the offsets 2 | begin of the nodes 2 | offsets of nodes 2 ...
///     overflow: number 8 | unused 2 | flags 2 | pages of the run 4 | value
///     node:    low 2 | middle 2 | flags 2 | key size 2 | key | data
///     tree:    unused 4 | flags 2 | depth 2 | branch pages 8 | leaf pages 8 | overflow pages 8 | entries 8 | root 8
///     meta:    (page header) | magic 4 | version 4 | address 8 | map size 8 | free tree 48 | main tree 48
///              | last page 8 | transaction 8
///
/// The offsets of a page are in key order. The nodes are in any order, without gaps, from the begin of the nodes to the
/// end of the page. In a branch, low, middle and flags are the number of a page. In a leaf, low and middle are the size
/// of the data. The first unused field of the free tree is the page size.
enum PageFormat {
    static let headerByteCount = 16
    static let nodeHeaderByteCount = 8
    static let treeByteCount = 48
    static let metaByteCount = 136
    static let magic: UInt32 = 0xBEEF_C0DE
    static let version: UInt32 = 1
    /// The root of an empty tree.
    static let noPage = UInt64.max
    /// LMDB's cursors have room for this many levels.
    static let depthMax = 32
    static let pageSizes = 512...32_768
    /// The flag of trees with integer keys. Only the list of free pages has it.
    static let integerKeys: UInt16 = 0x08

    enum PageFlags {
        static let branch: UInt16 = 0x01
        static let leaf: UInt16 = 0x02
        static let overflow: UInt16 = 0x04
        static let meta: UInt16 = 0x08
    }

    enum NodeFlags {
        /// The data is the number of the first page of an overflow run.
        static let overflow: UInt16 = 0x01
        /// The data is the tree of a table.
        static let table: UInt16 = 0x02
    }
}

/// The root of a tree, and what LMDB has counted in it.
struct TreeRecord {
    let flags: UInt16
    let depth: Int
    let counts: TreeCounts
    let root: UInt64
    /// The page size, if this is the list of free pages.
    let pageByteCount: UInt32

    init(_ bytes: UnsafeRawBufferPointer) {
        pageByteCount = bytes.loadUnaligned(as: UInt32.self)
        flags = bytes.loadUnaligned(fromByteOffset: 4, as: UInt16.self)
        depth = Int(bytes.loadUnaligned(fromByteOffset: 6, as: UInt16.self))
        counts = TreeCounts(
            branchPages: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
            leafPages: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self),
            overflowPages: bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self),
            entries: bytes.loadUnaligned(fromByteOffset: 32, as: UInt64.self)
        )
        root = bytes.loadUnaligned(fromByteOffset: 40, as: UInt64.self)
    }
}

struct TreeCounts: Equatable {
    var branchPages: UInt64 = 0
    var leafPages: UInt64 = 0
    var overflowPages: UInt64 = 0
    var entries: UInt64 = 0
}

/// A meta page: the beginning of everything that one transaction has stored.
struct MetaRecord {
    let pageNumber: UInt64
    let pageFlags: UInt16
    let magic: UInt32
    let version: UInt32
    let freeTree: TreeRecord
    let mainTree: TreeRecord
    let lastPage: UInt64
    let transaction: UInt64

    init(_ page: UnsafeRawBufferPointer) {
        pageNumber = page.loadUnaligned(as: UInt64.self)
        pageFlags = page.loadUnaligned(fromByteOffset: 10, as: UInt16.self)
        let meta = UnsafeRawBufferPointer(rebasing: page[PageFormat.headerByteCount...])
        magic = meta.loadUnaligned(as: UInt32.self)
        version = meta.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
        freeTree = TreeRecord(UnsafeRawBufferPointer(rebasing: meta[24..<72]))
        mainTree = TreeRecord(UnsafeRawBufferPointer(rebasing: meta[72..<120]))
        lastPage = meta.loadUnaligned(fromByteOffset: 120, as: UInt64.self)
        transaction = meta.loadUnaligned(fromByteOffset: 128, as: UInt64.self)
    }
}

/// A branch or leaf page whose nodes lie within it, without gaps and without an overlap.
struct NodePage {
    let bytes: UnsafeRawBufferPointer
    let isLeaf: Bool
    let nodeCount: Int

    /// Returns why the bytes are no such page with at least `countMin` nodes; nil if they are one. `starts` has a bit
    /// for each two bytes of a page. It must be clear, and is clear again after a success.
    static func flaw(
        in bytes: UnsafeRawBufferPointer,
        number: UInt64,
        isLeaf: Bool,
        countMin: Int,
        starts: inout [UInt64]
    ) -> String? {
        let got = bytes.loadUnaligned(as: UInt64.self)
        guard got == number else { return "it has the number \(got)" }
        let flags = bytes.loadUnaligned(fromByteOffset: 10, as: UInt16.self)
        let expected = isLeaf ? PageFormat.PageFlags.leaf : PageFormat.PageFlags.branch
        guard flags == expected else { return "got flags \(flags), expected \(expected)" }
        let lower = Int(bytes.loadUnaligned(fromByteOffset: 12, as: UInt16.self))
        let upper = Int(bytes.loadUnaligned(fromByteOffset: 14, as: UInt16.self))
        let offsetsByteCount = lower - PageFormat.headerByteCount
        guard offsetsByteCount >= 2 * countMin, offsetsByteCount % 2 == 0, lower <= upper, upper % 2 == 0,
            upper < bytes.count
        else { return "got offsets up to \(lower) and nodes from \(upper) in \(bytes.count) bytes" }
        let page = NodePage(bytes: bytes, isLeaf: isLeaf, nodeCount: offsetsByteCount / 2)
        guard page.markStarts(from: upper, in: &starts), page.clearStarts(from: upper, in: &starts) else {
            return "its \(page.nodeCount) nodes do not fill it"
        }
        return nil
    }

    /// Marks where nodes begin. Returns false if `nodeCount` nodes do not end at the end of the page.
    private func markStarts(from upper: Int, in starts: inout [UInt64]) -> Bool {
        var offset = upper
        for _ in 0..<nodeCount {
            guard offset + PageFormat.nodeHeaderByteCount <= bytes.count else { return false }
            starts[offset >> 7] |= 1 << UInt64(offset >> 1 & 63)
            offset += Node(bytes, at: offset, isLeaf: isLeaf).byteCount
        }
        return offset == bytes.count
    }

    /// Clears the mark of each node that has an offset. Returns false if an offset leads to no node, or two lead to
    /// one.
    private func clearStarts(from upper: Int, in starts: inout [UInt64]) -> Bool {
        for index in 0..<nodeCount {
            let offset = self.offset(of: index)
            guard offset >= upper, offset < bytes.count, offset % 2 == 0 else { return false }
            let mask: UInt64 = 1 << UInt64(offset >> 1 & 63)
            guard starts[offset >> 7] & mask != 0 else { return false }
            starts[offset >> 7] &= ~mask
        }
        return true
    }

    private func offset(of index: Int) -> Int {
        Int(bytes.loadUnaligned(fromByteOffset: PageFormat.headerByteCount + 2 * index, as: UInt16.self))
    }

    subscript(index: Int) -> Node {
        Node(bytes, at: offset(of: index), isLeaf: isLeaf)
    }
}

/// An entry of a leaf, or a child of a branch.
struct Node {
    private let page: UnsafeRawBufferPointer
    private let offset: Int
    private let isLeaf: Bool
    private let low: UInt16
    private let middle: UInt16
    let flags: UInt16
    private let keyByteCount: Int

    /// The header of the node must lie in the page.
    init(_ page: UnsafeRawBufferPointer, at offset: Int, isLeaf: Bool) {
        self.page = page
        self.offset = offset
        self.isLeaf = isLeaf
        low = page.loadUnaligned(fromByteOffset: offset, as: UInt16.self)
        middle = page.loadUnaligned(fromByteOffset: offset + 2, as: UInt16.self)
        flags = page.loadUnaligned(fromByteOffset: offset + 4, as: UInt16.self)
        keyByteCount = Int(page.loadUnaligned(fromByteOffset: offset + 6, as: UInt16.self))
    }

    var isOverflow: Bool { flags & PageFormat.NodeFlags.overflow != 0 }
    var valueByteCount: Int { Int(low) | Int(middle) << 16 }
    var child: UInt64 { UInt64(low) | UInt64(middle) << 16 | UInt64(flags) << 32 }

    /// The size of the node in its page, which is even.
    var byteCount: Int {
        let data = !isLeaf ? 0 : isOverflow ? 8 : valueByteCount
        return (PageFormat.nodeHeaderByteCount + keyByteCount + data + 1) & ~1
    }

    var key: UnsafeRawBufferPointer {
        let start = offset + PageFormat.nodeHeaderByteCount
        return UnsafeRawBufferPointer(rebasing: page[start..<start + keyByteCount])
    }

    /// The value, if it is in this page.
    var value: UnsafeRawBufferPointer {
        let start = offset + PageFormat.nodeHeaderByteCount + keyByteCount
        return UnsafeRawBufferPointer(rebasing: page[start..<start + valueByteCount])
    }

    /// The first page of the overflow run that has the value.
    var overflowPage: UInt64 {
        page.loadUnaligned(
            fromByteOffset: offset + PageFormat.nodeHeaderByteCount + keyByteCount,
            as: UInt64.self
        )
    }
}
