// Hints to the CPU about memory that will be read soon.
#ifndef CPREFETCH_H
#define CPREFETCH_H

#include <stddef.h>

// Starts to load the cache lines from `address` on. Does not wait, and does nothing for an address that is not mapped.
static inline void prefetch_lines(const void *address, size_t byte_count) {
    for (size_t offset = 0; offset < byte_count; offset += 64) {
        __builtin_prefetch((const char *)address + offset, 0, 3);
    }
}

#endif
