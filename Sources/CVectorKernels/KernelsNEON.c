// The kernels for 64-bit ARM with dot products of bytes (nearly all CPUs since ARMv8.2). A tile of a matrix product is
// 8 × 12 and takes 24 of the 32 registers.
#include "Codes.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)

// Four queries at a time, because their 16 vectors of sums and one group of the block fit in the registers. The
// instruction takes signed bytes, so the 128 is removed from each code, and `starts` is not used.
static inline __attribute__((always_inline)) void sum_products(
    const size_t count, const code_queries *queries, const uint8_t *codes, size_t groups, sums16 *sums
) {
    const uint8x16_t shift = vdupq_n_u8(128);
    for (size_t first = 0; first < count; first += 4) {
        const size_t some = count - first < 4 ? count - first : 4;
        const int8_t *query_codes = queries->codes + 4 * first;
        const uint8_t *group_codes = codes;
        int32x4_t four_sums[4][4];
        for (size_t query = 0; query < some; ++query) {
            for (size_t part = 0; part < 4; ++part) four_sums[query][part] = vdupq_n_s32(0);
        }
        for (size_t group = 0; group < groups; ++group, group_codes += 64, query_codes += 4 * code_queries_max) {
            if (first == 0) prefetch_codes(group_codes);
            int8x16_t slots[4];
            for (size_t part = 0; part < 4; ++part) {
                slots[part] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(group_codes + 16 * part), shift));
            }
            for (size_t query = 0; query < some; ++query) {
                int32_t four;
                memcpy(&four, query_codes + 4 * query, sizeof four);
                const int8x16_t same = vreinterpretq_s8_s32(vdupq_n_s32(four));
                for (size_t part = 0; part < 4; ++part) {
                    four_sums[query][part] = vdotq_s32(four_sums[query][part], slots[part], same);
                }
            }
        }
        for (size_t query = 0; query < some; ++query) memcpy(&sums[first + query], four_sums[query], 64);
    }
}

#define KERNEL_SET vector_kernels_neon
#define KERNEL_NAME "neon"
#define TILE_ROWS 8
#define TILE_VECTORS 3
#define TILE_LANES 4
#define QUERY_CODE_MAX 127
#define load_tail(p, n)                                                                        \
    ({                                                                                         \
        float tail[8] __attribute__((aligned(32))) = {0};                                      \
        for (size_t t = 0; t < (n); ++t) memcpy(&tail[t], (const char *)(p) + 4 * t, 4);       \
        *(const float8 *)tail;                                                                 \
    })
#include "KernelsVector.h"

#pragma clang attribute pop
#endif
