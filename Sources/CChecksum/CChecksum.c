// CRC-32C. The reflected polynomial is 0x82F63B78. As in zlib, the register is inverted on entry and on exit. So
// leading zeros change the result, and results can be chained.
//
// Slicing by eight: table[0][b] is the effect of byte b on the register, and table[k][b] is the effect of byte b
// followed by k zero bytes. So the look-ups for eight bytes do not depend on each other.
//
// The CPU's instruction takes three cycles for eight bytes. So a record of 280 bytes takes about 100 cycles, far less
// than storing it. Interleaved streams would be faster for long inputs, but a record is at most one page long.

#include "CChecksum.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif
#endif

#define POLYNOMIAL 0x82F63B78u

static uint32_t table[8][256];

static uint32_t load_little_endian_32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

uint32_t checksum_crc32c_portable(uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *at = bytes;
    crc = ~crc;
    while (count >= 8) {
        uint32_t low = crc ^ load_little_endian_32(at);
        uint32_t high = load_little_endian_32(at + 4);
        crc = table[7][low & 0xFF] ^ table[6][low >> 8 & 0xFF] ^ table[5][low >> 16 & 0xFF] ^ table[4][low >> 24]
            ^ table[3][high & 0xFF] ^ table[2][high >> 8 & 0xFF] ^ table[1][high >> 16 & 0xFF] ^ table[0][high >> 24];
        at += 8;
        count -= 8;
    }
    while (count > 0) {
        crc = crc >> 8 ^ table[0][(crc ^ *at) & 0xFF];
        at += 1;
        count -= 1;
    }
    return ~crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2")))
static uint32_t crc32c_sse42(uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *at = bytes;
    uint64_t wide = (uint32_t)~crc;
    while (count >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        wide = _mm_crc32_u64(wide, word);
        at += 8;
        count -= 8;
    }
    uint32_t narrow = (uint32_t)wide;
    while (count > 0) {
        narrow = _mm_crc32_u8(narrow, *at);
        at += 1;
        count -= 1;
    }
    return ~narrow;
}

#elif defined(__aarch64__)

__attribute__((target("crc")))
static uint32_t crc32c_armv8(uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *at = bytes;
    crc = ~crc;
    while (count >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        crc = __crc32cd(crc, word);
        at += 8;
        count -= 8;
    }
    while (count > 0) {
        crc = __crc32cb(crc, *at);
        at += 1;
        count -= 1;
    }
    return ~crc;
}

static int has_crc_instructions(void) {
#if defined(__linux__)
    return (getauxval(AT_HWCAP) & (1ul << 7)) != 0;  // HWCAP_CRC32
#else
    return 1;  // all of Apple's 64-bit ARM CPUs have them
#endif
}

#endif

static uint32_t (*chosen)(uint32_t, const void *, size_t) = checksum_crc32c_portable;

// Runs before main, so no thread can see a half-filled table.
__attribute__((constructor))
static void choose(void) {
    for (uint32_t byte = 0; byte < 256; byte += 1) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit += 1) {
            crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
        }
        table[0][byte] = crc;
    }
    for (int slice = 1; slice < 8; slice += 1) {
        for (int byte = 0; byte < 256; byte += 1) {
            uint32_t before = table[slice - 1][byte];
            table[slice][byte] = before >> 8 ^ table[0][before & 0xFF];
        }
    }
#if defined(__x86_64__)
    unsigned int eax, ebx, ecx, edx;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_SSE4_2)) {
        chosen = crc32c_sse42;
    }
#elif defined(__aarch64__)
    if (has_crc_instructions()) {
        chosen = crc32c_armv8;
    }
#endif
}

uint32_t checksum_crc32c(uint32_t crc, const void *bytes, size_t count) {
    return chosen(crc, bytes, count);
}
