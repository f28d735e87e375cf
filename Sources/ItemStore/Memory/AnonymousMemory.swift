#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Zeroed memory that never moves and costs nothing until it is written.
func mapAnonymousMemory(byteCount: Int) -> UnsafeMutableRawPointer {
    guard let address = tryMapAnonymousMemory(byteCount: byteCount) else {
        // Like a failed malloc: there is no state to which a half-made chunk could return.
        fatalError("out of memory: could not map \(byteCount) bytes, errno \(errno)")
    }
    return address
}

/// The same for whoever can do without; nil if the system has none.
func tryMapAnonymousMemory(byteCount: Int) -> UnsafeMutableRawPointer? {
    let address = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0)
    return address == MAP_FAILED ? nil : address
}

/// Memory of its own that begins at a multiple of 2 MiB, on pages of that size where the system has them: a scan over
/// pages of 4 KiB spends a third of its time on finding them, and a look at a place that nobody looked at lately as much.
struct LargePageMemory {
    static let pageByteCount = 2 << 20

    let start: UnsafeMutableRawPointer
    private let mapping: UnsafeMutableRawPointer
    private let mappingByteCount: Int

    /// Memory shorter than a large page stays on small ones; longer memory ends at the end of a large one. `isSparse`: most
    /// of it will never be touched, so it is better off on small ones.
    init(byteCount: Int, isSparse: Bool) {
        let usesLargePages = byteCount >= Self.pageByteCount && !isSparse
        let byteCount =
            usesLargePages ? (byteCount + Self.pageByteCount - 1) & ~(Self.pageByteCount - 1) : byteCount
        mappingByteCount = byteCount + Self.pageByteCount
        mapping = mapAnonymousMemory(byteCount: mappingByteCount)
        start = mapping.alignedUp(toMultipleOf: Self.pageByteCount)
        #if os(Linux)
        if usesLargePages {
            // A system without large pages refuses, and all is as without them.
            _ = madvise(start, byteCount, MADV_HUGEPAGE)
        }
        #endif
    }

    func deallocate() {
        let status = munmap(mapping, mappingByteCount)
        precondition(status == 0, "munmap: errno \(errno)")
    }
}
