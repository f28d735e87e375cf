// The kernels for x86-64 with AVX2 and FMA. 6 × 16 results fill 12 of 16 registers.
#include "Kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

// Eight words from index 8 − n on: the first n have the sign bit that lets a lane be loaded.
static const int32_t tail_mask[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

#define KERNEL_SET vector_kernels_avx2
#define KERNEL_NAME "avx2"
#define TILE_ROWS 6
#define TILE_VECTORS 2
#define TILE_LANES 8
#define load_tail(p, n)                        \
    ((float8)_mm256_maskload_ps(               \
        (const float *)(const void *)(p),      \
        _mm256_loadu_si256((const __m256i *)(const void *)(tail_mask + 8 - (n)))))
#include "KernelsVector.h"

#pragma clang attribute pop
#endif
