/// The bytes of the heap that an allocation of this many bytes takes. The allocator rounds sizes up, and stores a
/// header of its own before each block.
package func allocatedByteCount(_ byteCount: Int) -> Int {
    #if canImport(Darwin)
    malloc_good_size(byteCount)
    #else
    // glibc: a header of 8 bytes, multiples of 16, and at least 32. Other libraries take about as much.
    max(32, (byteCount + 8 + 15) & ~15)
    #endif
}
