// The kernels for x86-64 with AVX2 and FMA. A tile of a matrix product is 6 × 16 and takes 12 of the 16 registers.
#include "Codes.h"

#if defined(__x86_64__)
#include <immintrin.h>

// The mask for loading n lanes is the eight words from index 8 − n on: the sign bits of the first n are set.
static const int32_t tail_mask[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

// Half a block at a time: eight queries' sums for eight slots leave registers for the codes and the products. Pairs of
// products are summed in 16 bits, with saturation. A query's codes are at most 64, because 2·255·64 is just below the
// limit.
static inline __attribute__((always_inline)) void sum_products(
    const size_t count, const code_queries *queries, const uint8_t *codes, size_t groups, sums16 *sums
) {
    const __m256i ones = _mm256_set1_epi16(1);
    for (size_t half = 0; half < 2; ++half) {
        const int8_t *query_codes = queries->codes;
        const uint8_t *half_codes = codes + 32 * half;
        __m256i eight[code_queries_max];
        for (size_t query = 0; query < count; ++query) eight[query] = _mm256_set1_epi32(queries->starts[query]);
        for (size_t group = 0; group < groups; ++group, half_codes += 64, query_codes += 4 * code_queries_max) {
            if (half == 0) prefetch_codes(half_codes);
            __m256i slots = _mm256_loadu_si256((const __m256i *)(const void *)half_codes);
            for (size_t query = 0; query < count; ++query) {
                int32_t four;
                memcpy(&four, query_codes + 4 * query, sizeof four);
                __m256i pairs = _mm256_maddubs_epi16(slots, _mm256_set1_epi32(four));
                eight[query] = _mm256_add_epi32(eight[query], _mm256_madd_epi16(pairs, ones));
            }
        }
        for (size_t query = 0; query < count; ++query) memcpy((char *)&sums[query] + 32 * half, &eight[query], 32);
    }
}

#define KERNEL_SET vector_kernels_avx2
#define KERNEL_NAME "avx2"
#define TILE_ROWS 6
#define TILE_VECTORS 2
#define TILE_LANES 8
#define QUERY_CODE_MAX 64
#define load_tail(p, n)                        \
    ((float8)_mm256_maskload_ps(               \
        (const float *)(const void *)(p),      \
        _mm256_loadu_si256((const __m256i *)(const void *)(tail_mask + 8 - (n)))))
#include "KernelsVector.h"

#pragma clang attribute pop
#endif
