internal import CPrefetch

/// Asks the CPU to load memory that will be read soon. Does not wait. The address need not be valid.
package func prefetch(_ address: UnsafeRawPointer, byteCount: Int) {
    prefetch_lines(address, byteCount)
}
