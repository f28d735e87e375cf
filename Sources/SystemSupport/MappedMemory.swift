/// Maps zeroed memory that never moves, and uses no physical memory until it is written. Ends the process if the system
/// has no memory.
package func mapAnonymousMemory(byteCount: Int) -> UnsafeMutableRawPointer {
    guard let address = tryMapAnonymousMemory(byteCount: byteCount) else {
        // As after a failed malloc, a caller could not recover: an incomplete chunk has no valid state.
        fatalError("out of memory: could not map \(byteCount) bytes, errno \(errno)")
    }
    return address
}

/// Like `mapAnonymousMemory`, but returns nil if the system has no memory. For a caller that can do without it.
package func tryMapAnonymousMemory(byteCount: Int) -> UnsafeMutableRawPointer? {
    let address = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0)
    return address == MAP_FAILED ? nil : address
}

/// A mapping that begins at a multiple of 2 MiB, on pages of that size if the system has them.
///
/// With 4 KiB pages, a scan spends a third of its time on address translation. So does a look-up in memory that was not
/// used recently.
package struct LargePageMemory {
    package static let pageByteCount = 2 << 20

    package let start: UnsafeMutableRawPointer
    private let mapping: UnsafeMutableRawPointer
    private let mappingByteCount: Int

    /// Memory shorter than one large page stays on small pages. Longer memory is rounded up to whole large pages. Set
    /// `isSparse` if most of the memory will never be touched: it then stays on small pages too.
    package init(byteCount: Int, isSparse: Bool) {
        let usesLargePages = byteCount >= Self.pageByteCount && !isSparse
        let byteCount =
            usesLargePages ? (byteCount + Self.pageByteCount - 1) & ~(Self.pageByteCount - 1) : byteCount
        mappingByteCount = byteCount + Self.pageByteCount
        mapping = mapAnonymousMemory(byteCount: mappingByteCount)
        start = mapping.alignedUp(toMultipleOf: Self.pageByteCount)
        #if os(Linux)
        if usesLargePages {
            // If the system has no large pages, the call fails and the memory stays on small pages.
            _ = madvise(start, byteCount, MADV_HUGEPAGE)
        }
        #endif
    }

    package func deallocate() {
        let status = munmap(mapping, mappingByteCount)
        precondition(status == 0, "munmap: errno \(errno)")
    }
}
