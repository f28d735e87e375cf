// The kernels for x86-64 with AVX-512 and VNNI. A tile of a matrix product is 8 × 48 and takes 24 of the 32 registers.
#include "Codes.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(                                                                   \
    __attribute__((target("avx2,fma,avx512f,avx512vl,avx512dq,avx512bw,avx512vnni"))), apply_to = function)

static inline __attribute__((always_inline)) void sum_products(
    const size_t count, const code_queries *queries, const uint8_t *codes, size_t groups, sums16 *sums
) {
    const int8_t *query_codes = queries->codes;
    for (size_t query = 0; query < count; ++query) sums[query] = (sums16)_mm512_set1_epi32(queries->starts[query]);
    for (size_t group = 0; group < groups; ++group, codes += 64, query_codes += 4 * code_queries_max) {
        prefetch_codes(codes);
        __m512i slots = _mm512_loadu_si512(codes);
        for (size_t query = 0; query < count; ++query) {
            int32_t four;
            memcpy(&four, query_codes + 4 * query, sizeof four);
            sums[query] = (sums16)_mm512_dpbusd_epi32((__m512i)sums[query], slots, _mm512_set1_epi32(four));
        }
    }
}

#define KERNEL_SET vector_kernels_avx512
#define KERNEL_NAME "avx512"
#define TILE_ROWS 8
#define TILE_VECTORS 3
#define TILE_LANES 16
#define QUERY_CODE_MAX 127
#define load_tail(p, n) ((float8)_mm256_maskz_loadu_ps((__mmask8)((1u << (n)) - 1), (p)))
#include "KernelsVector.h"

#pragma clang attribute pop
#endif
