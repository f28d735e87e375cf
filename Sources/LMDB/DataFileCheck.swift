internal import SystemSupport

/// Checks a whole data file before LMDB opens it. LMDB has no checksums, and trusts every number in its pages: damage
/// is a signal, a failed assertion, or entries that are silently missing.
///
/// The check reads both meta pages, and then walks the trees of the last transaction: the list of free pages, the list
/// of tables, and every table. It proves this:
///
/// - Every page of a tree is in the file, has its own number and the type that its place needs, and is reached once.
/// - The nodes of a page fill it without gaps. Keys rise in a page, and lie between the keys of the page above.
/// - The trees have the depth, the pages and the entries that LMDB has counted. So no entry can be missing.
/// - Free pages are listed once, and are in no tree.
///
/// It does not read values. Each record has a checksum of its key and value.
package enum DataFile {
    /// Throws if the file is damaged. `keyByteCounts` has the sizes of the keys of each table.
    package static func check(
        path: String,
        keyByteCounts: [String: ClosedRange<Int>]
    ) throws(DataFileError) -> DataFileReport {
        let reader = try PageReader(path: path)
        let meta = try readMeta(reader)
        let check = DataFileCheck(reader, meta, keyByteCounts)
        defer { check.deallocate() }
        return try check.run()
    }

    /// The newer of the two meta pages, after a check of both.
    private static func readMeta(_ reader: PageReader) throws(DataFileError) -> MetaRecord {
        let bytes = UnsafeMutableRawBufferPointer.allocate(
            byteCount: PageFormat.headerByteCount + PageFormat.metaByteCount,
            alignment: 8
        )
        defer { bytes.deallocate() }
        var metas: [MetaRecord] = []
        for number: UInt64 in 0...1 {
            try reader.read(page: number, into: bytes)
            let meta = MetaRecord(UnsafeRawBufferPointer(bytes))
            guard meta.pageNumber == number, meta.pageFlags == PageFormat.PageFlags.meta,
                meta.magic == PageFormat.magic
            else { throw reader.damaged("page \(number) is not a meta page of LMDB") }
            guard meta.version == PageFormat.version else {
                throw reader.damaged("got LMDB's data version \(meta.version), expected \(PageFormat.version)")
            }
            let pageByteCount = Int(meta.freeTree.pageByteCount)
            guard PageFormat.pageSizes.contains(pageByteCount), pageByteCount.nonzeroBitCount == 1,
                number == 0 || pageByteCount == reader.pageByteCount
            else { throw reader.damaged("got pages of \(pageByteCount) bytes in meta page \(number)") }
            reader.pageByteCount = pageByteCount
            metas.append(meta)
        }
        let (even, odd) = (metas[0].transaction, metas[1].transaction)
        // Transaction n is written to meta page n mod 2, so the pages have the last two. A new file has 0 in both.
        let areConsecutive = even == 0 && odd == 0 || even % 2 == 0 && odd % 2 == 1 && (odd &- even &+ 1) <= 2
        guard areConsecutive else {
            throw reader.damaged("got transactions \(even) and \(odd) in the meta pages, expected the last two")
        }
        return odd > even ? metas[1] : metas[0]
    }
}

private final class DataFileCheck {
    private enum Tree {
        case free
        case main
        case table(String)
    }

    private let reader: PageReader
    private let meta: MetaRecord
    private let keyByteCounts: [String: ClosedRange<Int>]
    /// The sizes that keys may have in the tree that is being checked; nil if they may have any.
    private var treeKeyByteCounts: ClosedRange<Int>?
    /// A bit for each page: whether it was reached.
    private var reached: [UInt64]
    /// For `NodePage.flaw`.
    private var starts: [UInt64]
    /// A page for each level, so that the keys of a page stay valid while its children are checked.
    private var levels: [UnsafeMutableRawBufferPointer] = []
    private var tables: [(name: String, tree: TreeRecord)] = []
    private var counts = TreeCounts()
    private var report = DataFileReport()

    init(_ reader: PageReader, _ meta: MetaRecord, _ keyByteCounts: [String: ClosedRange<Int>]) {
        self.reader = reader
        self.meta = meta
        self.keyByteCounts = keyByteCounts
        reached = []
        starts = [UInt64](repeating: 0, count: reader.pageByteCount / 128 + 1)
    }

    func deallocate() {
        for level in levels { level.deallocate() }
    }

    func run() throws(DataFileError) -> DataFileReport {
        // All pages but free ones at the end are in the file. A far higher number would take too much memory here.
        let pagesInFile = reader.fileByteCount / UInt64(reader.pageByteCount)
        guard meta.lastPage >= 1, meta.lastPage < pagesInFile.multipliedReportingOverflow(by: 8).partialValue + 1_024
        else { throw reader.damaged("got last page \(meta.lastPage), the file has \(pagesInFile) pages") }
        reached = [UInt64](repeating: 0, count: Int(meta.lastPage / 64) + 1)
        reached[0] = 0b11
        report.lastTransaction = meta.transaction
        report.pageByteCount = reader.pageByteCount
        report.pageCount = Int(meta.lastPage) + 1
        try check(meta.mainTree, .main)
        for (name, tree) in tables {
            try check(tree, .table(name))
            report.entryCounts[name] = Int(tree.counts.entries)
        }
        // After the trees, so that a free page that is in use is noticed as such.
        try check(meta.freeTree, .free)
        report.strayPageCount = report.pageCount - reached.reduce(0) { $0 + $1.nonzeroBitCount }
        return report
    }

    private func name(of tree: Tree) -> String {
        switch tree {
        case .free: "the list of free pages"
        case .main: "the list of tables"
        case .table(let name): "table '\(name)'"
        }
    }

    private func check(_ record: TreeRecord, _ tree: Tree) throws(DataFileError) {
        let name = name(of: tree)
        treeKeyByteCounts =
            switch tree {
            case .free: 8...8
            case .main: nil
            case .table(let name): keyByteCounts[name]
            }
        var expectedFlags: UInt16 = 0
        if case .free = tree { expectedFlags = PageFormat.integerKeys }
        guard record.flags == expectedFlags else {
            throw reader.damaged("got flags \(record.flags) of \(name), expected \(expectedFlags)")
        }
        counts = TreeCounts()
        if record.root == PageFormat.noPage {
            guard record.depth == 0 else { throw reader.damaged("\(name) has no root, but depth \(record.depth)") }
        } else {
            guard (1...PageFormat.depthMax).contains(record.depth) else {
                throw reader.damaged("got depth \(record.depth) of \(name)")
            }
            while levels.count < record.depth {
                levels.append(.allocate(byteCount: reader.pageByteCount, alignment: 16))
            }
            try walk(record.root, level: 0, of: record, tree, from: nil, to: nil)
        }
        guard counts == record.counts else {
            throw reader.damaged("got \(counts) in \(name), expected \(record.counts)")
        }
    }

    // MARK: - Pages

    private func walk(
        _ number: UInt64,
        level: Int,
        of record: TreeRecord,
        _ tree: Tree,
        from lowest: UnsafeRawBufferPointer?,
        to end: UnsafeRawBufferPointer?
    ) throws(DataFileError) {
        try reach(number, tree)
        try reader.read(page: number, into: levels[level])
        let bytes = UnsafeRawBufferPointer(levels[level])
        let isLeaf = level == record.depth - 1
        // An empty leaf never remains in a tree, nor does a branch with one child, except in the list of free pages.
        var countMin = isLeaf ? 1 : 2
        if case .free = tree { countMin = 1 }
        let flaw = NodePage.flaw(in: bytes, number: number, isLeaf: isLeaf, countMin: countMin, starts: &starts)
        if let flaw {
            throw damaged(number, tree, flaw)
        }
        let lower = Int(bytes.loadUnaligned(fromByteOffset: 12, as: UInt16.self))
        let page = NodePage(
            bytes: bytes,
            isLeaf: isLeaf,
            nodeCount: (lower - PageFormat.headerByteCount) / 2
        )
        try checkKeys(of: page, number, tree, from: lowest, to: end)
        if isLeaf {
            counts.leafPages += 1
            counts.entries += UInt64(page.nodeCount)
            for index in 0..<page.nodeCount { try checkEntry(page[index], number, tree) }
        } else {
            counts.branchPages += 1
            for index in 0..<page.nodeCount {
                try walk(
                    page[index].child,
                    level: level + 1,
                    of: record,
                    tree,
                    from: index == 0 ? lowest : page[index].key,
                    to: index + 1 < page.nodeCount ? page[index + 1].key : end
                )
            }
        }
    }

    /// Keys must rise, and lie between those of the page above. LMDB ignores the first key of a branch.
    private func checkKeys(
        of page: NodePage,
        _ number: UInt64,
        _ tree: Tree,
        from lowest: UnsafeRawBufferPointer?,
        to end: UnsafeRawBufferPointer?
    ) throws(DataFileError) {
        var last = lowest
        for index in (page.isLeaf ? 0 : 1)..<page.nodeCount {
            let key = page[index].key
            try checkSize(of: key, number, tree)
            if let last {
                let isRising = index == 0 ? !precedes(key, last, tree) : precedes(last, key, tree)
                guard isRising else { throw damaged(number, tree, "its keys do not rise") }
            }
            last = key
        }
        if let last, let end, !precedes(last, end, tree) {
            throw damaged(number, tree, "its keys pass those of the page above")
        }
    }

    private func checkSize(
        of key: UnsafeRawBufferPointer,
        _ number: UInt64,
        _ tree: Tree
    ) throws(DataFileError) {
        guard treeKeyByteCounts?.contains(key.count) ?? true else {
            throw damaged(number, tree, "got a key of \(key.count) bytes")
        }
    }

    private func precedes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer, _ tree: Tree) -> Bool {
        if case .free = tree { return left.loadUnaligned(as: UInt64.self) < right.loadUnaligned(as: UInt64.self) }
        let order = memcmp(left.baseAddress!, right.baseAddress!, min(left.count, right.count))
        return order == 0 ? left.count < right.count : order < 0
    }

    /// Notes that a page is in use or free.
    private func reach(_ page: UInt64, _ tree: Tree) throws(DataFileError) {
        guard page <= meta.lastPage else {
            throw reader.damaged("\(name(of: tree)) has page \(page), the last page is \(meta.lastPage)")
        }
        let mask: UInt64 = 1 << (page % 64)
        guard reached[Int(page / 64)] & mask == 0 else {
            throw reader.damaged("\(name(of: tree)) has page \(page), which is used twice")
        }
        reached[Int(page / 64)] |= mask
    }

    private func damaged(_ page: UInt64, _ tree: Tree, _ flaw: String) -> DataFileError {
        reader.damaged("page \(page) of \(name(of: tree)): \(flaw)")
    }

    // MARK: - Entries

    private func checkEntry(_ node: Node, _ number: UInt64, _ tree: Tree) throws(DataFileError) {
        var expectedFlags = node.flags & PageFormat.NodeFlags.overflow
        if case .main = tree { expectedFlags = PageFormat.NodeFlags.table }
        guard node.flags == expectedFlags else { throw damaged(number, tree, "got flags \(node.flags) of an entry") }
        if case .main = tree {
            guard node.valueByteCount == PageFormat.treeByteCount else {
                throw damaged(number, tree, "got an entry of \(node.valueByteCount) bytes")
            }
            tables.append((String(decoding: node.key, as: UTF8.self), TreeRecord(node.value)))
        } else if case .free = tree {
            let transaction = node.key.loadUnaligned(as: UInt64.self)
            guard transaction >= 1, transaction <= meta.transaction else {
                throw damaged(number, tree, "got transaction \(transaction), the last is \(meta.transaction)")
            }
            if node.isOverflow {
                let run = try checkOverflow(node, number, tree)
                defer { run?.deallocate() }
                let value = UnsafeRawBufferPointer(rebasing: run![PageFormat.headerByteCount...])
                try checkFreePages(UnsafeRawBufferPointer(rebasing: value.prefix(node.valueByteCount)), number)
            } else {
                try checkFreePages(node.value, number)
            }
        } else if node.isOverflow {
            _ = try checkOverflow(node, number, tree)
        }
    }

    /// Checks the run of pages that has a value. Returns the pages if the tree is the list of free pages; the caller
    /// deallocates them.
    private func checkOverflow(
        _ node: Node,
        _ number: UInt64,
        _ tree: Tree
    ) throws(DataFileError) -> UnsafeMutableRawBufferPointer? {
        let first = node.overflowPage
        let neededCount = (PageFormat.headerByteCount - 1 + node.valueByteCount) / reader.pageByteCount + 1
        guard first <= meta.lastPage else { throw damaged(number, tree, "got overflow page \(first)") }
        var isReturned = false
        if case .free = tree { isReturned = true }
        // The whole run is written at once, so all of it must be in the file.
        let (byteCount, isOver) = neededCount.multipliedReportingOverflow(by: reader.pageByteCount)
        guard !isOver, UInt64(byteCount) <= reader.fileByteCount else {
            throw damaged(number, tree, "got a value of \(node.valueByteCount) bytes")
        }
        let run = UnsafeMutableRawBufferPointer.allocate(
            byteCount: isReturned ? byteCount : PageFormat.headerByteCount,
            alignment: 16
        )
        var isKept = false
        defer { if !isKept { run.deallocate() } }
        try reader.read(page: first, into: run)
        let got = run.loadUnaligned(as: UInt64.self)
        let flags = run.loadUnaligned(fromByteOffset: 10, as: UInt16.self)
        let pageCount = Int(run.loadUnaligned(fromByteOffset: 12, as: UInt32.self))
        // LMDB keeps a longer run if it replaces a value twice in a transaction.
        guard got == first, flags == PageFormat.PageFlags.overflow, pageCount >= neededCount else {
            throw damaged(
                first,
                tree,
                "got page \(got) with flags \(flags) and \(pageCount) pages of a value of \(node.valueByteCount) bytes"
            )
        }
        for page in first..<first + UInt64(pageCount) { try reach(page, tree) }
        guard first + UInt64(neededCount) <= reader.fileByteCount / UInt64(reader.pageByteCount) else {
            throw damaged(first, tree, "the file ends before the end of the value")
        }
        counts.overflowPages += UInt64(pageCount)
        isKept = isReturned
        return isReturned ? run : nil
    }

    /// Checks the numbers of pages that a transaction has freed: a count, and the numbers in falling order.
    private func checkFreePages(_ value: UnsafeRawBufferPointer, _ number: UInt64) throws(DataFileError) {
        let count = value.count >= 8 ? value.loadUnaligned(as: UInt64.self) : .max
        guard value.count % 8 == 0, count < UInt64(value.count / 8) else {
            throw damaged(number, .free, "got \(count) pages in \(value.count) bytes")
        }
        var last = UInt64.max
        for index in 0..<Int(count) {
            let page = value.loadUnaligned(fromByteOffset: 8 * (index + 1), as: UInt64.self)
            guard page < last else { throw damaged(number, .free, "its pages do not fall") }
            last = page
            try reach(page, .free)
        }
        report.freePageCount += Int(count)
    }
}
