// CRC-32C (Castagnoli), the checksum of every stored record.
//
// There are three implementations: the crc32 instructions of SSE 4.2 and of ARMv8, and tables ("slicing by eight"). The
// program chooses one when it is loaded, after asking the CPU. All compute the same bits, so a data directory can move
// between machines.
#pragma once

#include <stddef.h>
#include <stdint.h>

// The checksum of `count` bytes at `bytes`, continuing from `crc`. Start with 0. Results chain as in zlib's crc32():
// crc(crc(0, a), b) is the checksum of a followed by b. `bytes` may have any alignment.
uint32_t checksum_crc32c(uint32_t crc, const void *bytes, size_t count);

// The same function with tables only. It serves CPUs without a crc32 instruction, and is the reference in tests.
uint32_t checksum_crc32c_portable(uint32_t crc, const void *bytes, size_t count);
