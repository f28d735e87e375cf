// CRC-32C (Castagnoli), the checksum of every stored record.
//
// One definition, three ways to compute it: the crc32 instruction of SSE 4.2, that of ARMv8, and tables ("slicing by
// eight"). The way is chosen once, when the program is loaded, by asking the CPU. All give the same bits, so a data
// directory can move between machines.
#pragma once

#include <stddef.h>
#include <stdint.h>

// The checksum of `count` bytes at `bytes`, continuing from `crc`. Start with 0. Chainable like zlib's crc32():
// crc(crc(0, a), b) is the checksum of a followed by b. `bytes` may have any alignment.
uint32_t checksum_crc32c(uint32_t crc, const void *bytes, size_t count);

// The same without special instructions: what other CPUs run, and what the tests compare with.
uint32_t checksum_crc32c_portable(uint32_t crc, const void *bytes, size_t count);

// What checksum_crc32c runs on this machine: "sse4.2", "armv8-crc" or "portable".
const char *checksum_crc32c_name(void);
