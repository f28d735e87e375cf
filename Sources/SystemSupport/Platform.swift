// The platform's C library for the whole project. A module that needs `memcpy`, `mmap` or `log1p` imports
// SystemSupport, so that only this file selects the library.
#if canImport(Glibc)
@_exported public import Glibc
#elseif canImport(Musl)
@_exported public import Musl
#else
@_exported public import Darwin
#endif

/// Nanoseconds of the monotonic clock. Only differences are meaningful.
package func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// The most bytes in the path of a Unix-domain socket: 107 on Linux, 103 on macOS.
package let unixSocketPathBytesMax = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1
